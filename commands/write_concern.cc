// https://www.mongodb.com/docs/manual/reference/write-concern/; codes and order of the checks: a
// MongoDB 6.0 server without --replSet.
#include "commands/write_concern.h"

#include <string>

#include "commands/local/index_keys.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

constexpr double kMostMembers = 50;  // of a replica set

Status check_number(const Value& w) {
  double members = w.to_double();
  if (members >= 0 && members <= kMostMembers) return {};
  return Status(
      ErrorCode::kFailedToParse,
      "w has to be a non-negative number and not greater than 50; found: " + shell_text(w));
}

Status check_fields(const engine::ObjectView& concern) {
  for (const engine::Field& field : concern) {
    std::string name(field.name());
    if (name == "w") {
      if (field.value.is_number()) {
        MR_RETURN_IF_ERROR(check_number(field.value));
      } else if (!field.value.is_string() && !field.value.is_object()) {
        return Status(ErrorCode::kFailedToParse,
                      "w has to be a number, string, or object; found: " +
                          std::string(field.value.type_name()));
      }
    } else if (name == "j" || name == "fsync") {
      if (!field.value.is_number() && field.value.type() != engine::Type::kBool) {
        return Status(ErrorCode::kTypeMismatch,
                      "BSON field 'WriteConcernOptions." + name + "' is the wrong type '" +
                          std::string(field.value.type_name()) +
                          "', expected types '[bool, long, int, decimal, double]'");
      }
    } else if (name != "wtimeout" && name != "getLastError" && name != "provenance") {
      return Status(40415, "BSON field 'WriteConcernOptions." + name + "' is an unknown field.");
    }
  }
  return {};
}

}  // namespace

Status check_write_concern(const Request& request) {
  Value concern = request.get("writeConcern");
  if (concern.is_missing()) return {};
  if (!concern.is_object()) {
    return Status(ErrorCode::kTypeMismatch,
                  "\"writeConcern\" had the wrong type. Expected object, found " +
                      std::string(concern.type_name()));
  }
  MR_RETURN_IF_ERROR(check_fields(concern.as_object()));
  if (concern.as_object().get("j").truthy() && concern.as_object().get("fsync").truthy())
    return Status(ErrorCode::kFailedToParse, "fsync and j options cannot be used together");

  Value w = concern.as_object().get("w");
  if (w.is_number() && w.to_double() > 1)
    return Status(ErrorCode::kBadValue, "cannot use 'w' > 1 when a host is not replicated");
  if ((w.is_string() && w.as_string() != "majority") || w.is_object()) {
    return Status(ErrorCode::kBadValue,
                  "cannot use non-majority 'w' mode " +
                      (w.is_string() ? "\"" + std::string(w.as_string()) + "\" " : std::string()) +
                      "when a host is not a member of a replica set");
  }
  return {};
}

}  // namespace millrace::commands
