// https://www.mongodb.com/docs/manual/reference/read-concern/
#include "commands/read_concern.h"

#include <algorithm>
#include <array>
#include <string>

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

namespace {

constexpr std::array<std::string_view, 7> kFields = {"afterClusterTime",
                                                     "afterOpTime",
                                                     "allowTransactionTableSnapshot",
                                                     "atClusterTime",
                                                     "level",
                                                     "provenance",
                                                     "waitLastStableRecoveryTimestamp"};
constexpr int kNotAReplicaSet = 123;

Status wrong_type(std::string_view what, std::string_view wanted, const Value& found) {
  return Status(ErrorCode::kTypeMismatch,
                "\"" + std::string(what) + "\" had the wrong type. Expected " +
                    std::string(wanted) + ", found " + std::string(found.type_name()));
}

}  // namespace

Status check_read_concern(const Request& request) {
  Value concern = request.get("readConcern");
  if (concern.is_nullish()) return {};
  if (!concern.is_object()) return wrong_type("readConcern", "object", concern);
  for (const auto& field : concern.as_object()) {
    if (std::find(kFields.begin(), kFields.end(), field.name()) != kFields.end()) continue;
    return Status(
        40415, "BSON field 'readConcern." + std::string(field.name()) + "' is an unknown field.");
  }
  Value level = concern.as_object().get("level");
  if (level.is_nullish()) return {};
  if (!level.is_string()) return wrong_type("readConcern.level", "string", level);
  std::string_view name = level.as_string();
  if (name == "local" || name == "majority" || name == "available") return {};
  if (name == "snapshot" && request.name == "count") {
    return Status(ErrorCode::kInvalidOptions,
                  "Command count does not support the readConcern level snapshot");
  }
  if (name == "snapshot" || name == "linearizable") {
    return Status(kNotAReplicaSet,
                  "node needs to be a replica set member to use readConcern: " + std::string(name));
  }
  return Status(ErrorCode::kBadValue, "Enumeration value '" + std::string(name) +
                                          "' for field 'readConcern.level' is not a valid value.");
}

}  // namespace millrace::commands
