// What a collection may be called. Source:
// https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
#pragma once

#include <string>
#include <string_view>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::commands {

// "db.collection"
std::string namespace_of(std::string_view database, std::string_view collection);

// For any command that names a collection. Errors: 73 InvalidNamespace.
engine::Status check_collection_name(std::string_view database, std::string_view collection);

// For commands that read one: a name that is too long or ends with a dot is merely not there.
// Errors: 73 InvalidNamespace.
engine::Status check_read_name(std::string_view database, std::string_view collection);

// 72 InvalidOptions for a validator (but an empty one) on a collection of the system.
engine::Status check_validated_name(std::string_view collection, const engine::Value& validator);

// MongoDB's rules for a database's name (manual, "Naming Restrictions"). $external, where outside
// users live, passes. Errors: 73 InvalidNamespace.
engine::Status check_database_name(std::string_view name);

// What a namespace may have.
inline constexpr size_t kMaxNamespaceBytes = 255;

// For a stage that reads another collection: only what no collection there can be called; one that
// is merely not there stands for nothing. Errors: 73 InvalidNamespace.
engine::Status check_foreign_name(std::string_view collection);

// For commands that write documents or create collections: system.* is reserved, except system.js,
// system.views and system.users. Errors: 73 InvalidNamespace.
engine::Status check_writable_name(std::string_view database, std::string_view collection);

}  // namespace millrace::commands
