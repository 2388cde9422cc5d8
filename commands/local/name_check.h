// What a collection may be called. Source:
// https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
#pragma once

#include <string>
#include <string_view>

#include "engine/document/status.h"

namespace millrace::commands {

// "db.collection"
std::string namespace_of(std::string_view database, std::string_view collection);

// For any command that names a collection. Errors: 73 InvalidNamespace.
engine::Status check_collection_name(std::string_view database, std::string_view collection);

// For a stage that reads another collection: only what no collection there can be called; one that
// is merely not there stands for nothing. Errors: 73 InvalidNamespace.
engine::Status check_foreign_name(std::string_view collection);

// For commands that write documents or create collections: system.* is reserved, except system.js,
// system.views and system.users. Errors: 73 InvalidNamespace.
engine::Status check_writable_name(std::string_view database, std::string_view collection);

}  // namespace millrace::commands
