// What the definitions of all kinds of connections have in common.
#pragma once

#include <initializer_list>
#include <string_view>

#include "engine/connection/options.h"
#include "engine/document/bson.h"

namespace millrace::engine {

inline Options connection_options(const Value& definition) {
  return Options(definition, "connection", ErrorCode::kBadValue);
}

// Refuses fields that are neither those of every connection (name, type, id, state, region, links)
// nor in `known`.
Status only_connection_fields(const Value& definition,
                              std::initializer_list<std::string_view> known);

// `networking` or `publicPrivateNetworking`: {access: {type, connectionId, name, tgwRouteId}}.
// Checked and kept; only PUBLIC means anything on one's own machine.
Status check_networking(const Options& connection, std::string_view name);

// Copies the named fields that are there.
void copy_fields(const Value& definition, std::initializer_list<std::string_view> names,
                 BsonWriter& to);

}  // namespace millrace::engine
