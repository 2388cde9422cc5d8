#include "engine/connection/definition.h"

#include <algorithm>
#include <array>

namespace millrace::engine {

Status only_connection_fields(const Value& definition,
                              std::initializer_list<std::string_view> known) {
  static constexpr std::array<std::string_view, 7> kCommon = {"name",  "type",   "id",   "_id",
                                                              "state", "region", "links"};
  for (const Field& field : definition.as_object()) {
    if (std::find(known.begin(), known.end(), field.name()) != known.end()) continue;
    if (std::find(kCommon.begin(), kCommon.end(), field.name()) != kCommon.end()) continue;
    return Status(ErrorCode::kBadValue,
                  "connection has an unknown field '" + std::string(field.name()) + "'");
  }
  return {};
}

Status check_networking(const Options& connection, std::string_view name) {
  Options networking = connection.sub(name);
  MR_RETURN_IF_ERROR(networking.only({"access", "links"}));
  Options access = networking.sub("access");
  MR_RETURN_IF_ERROR(access.only({"type", "connectionId", "name", "tgwRouteId", "links"}));
  auto type = access.choice("type", {"PUBLIC", "VPC", "PRIVATE_LINK", "TRANSIT_GATEWAY"});
  if (!type.ok()) return type.status();
  for (std::string_view field : {"connectionId", "name", "tgwRouteId"}) {
    if (auto text = access.string(field); !text.ok()) return text.status();
  }
  return {};
}

void copy_fields(const Value& definition, std::initializer_list<std::string_view> names,
                 BsonWriter& to) {
  for (std::string_view name : names) to.append(name, definition.as_object().get(name));
}

}  // namespace millrace::engine
