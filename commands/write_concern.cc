// https://www.mongodb.com/docs/manual/reference/write-concern/; codes and order of the checks: a
// MongoDB 6.0 server without --replSet.
#include "commands/write_concern.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "commands/local/index_keys.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

constexpr double kMostMembers = 50;  // of a replica set

// Without its fraction.
double members_of(const Value& w) { return std::trunc(w.to_double()); }

Status check_members(const Value& w) {
  if (w.is_nullish() || w.is_string()) return {};
  if (w.is_number()) {
    double members = members_of(w);
    if (members >= 0 && members <= kMostMembers) return {};
    return Status(
        ErrorCode::kFailedToParse,
        "w has to be a non-negative number and not greater than 50; found: " + shell_text(w));
  }
  if (!w.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "w has to be a number, string, or object; found: " + std::string(w.type_name()));
  }
  if (w.as_object().empty())
    return Status(ErrorCode::kFailedToParse, "tagged write concern requires tags");
  for (const engine::Field& tag : w.as_object()) {
    if (tag.value.is_number()) continue;
    return Status(ErrorCode::kFailedToParse,
                  "the value of the tag '" + std::string(tag.name()) + "' in w must be a number");
  }
  return {};
}

Status check_fields(const engine::ObjectView& concern) {
  for (const engine::Field& field : concern) {
    std::string name(field.name());
    if (name == "w") {
      MR_RETURN_IF_ERROR(check_members(field.value));
    } else if (name == "j" || name == "fsync") {
      if (!field.value.is_nullish() && !field.value.is_number() &&
          field.value.type() != engine::Type::kBool) {
        return Status(ErrorCode::kTypeMismatch,
                      "BSON field 'WriteConcernOptions." + name + "' is the wrong type '" +
                          std::string(field.value.type_name()) +
                          "', expected types '[bool, long, int, decimal, double]'");
      }
    } else if (name == "wtimeout") {
      if (field.value.is_number() && field.value.to_double() > INT32_MAX)
        return Status(ErrorCode::kFailedToParse, "wtimeout must be a 32-bit integer");
    } else if (name != "getLastError" && name != "provenance") {
      return Status(40415, "BSON field 'WriteConcernOptions." + name + "' is an unknown field.");
    }
  }
  return {};
}

}  // namespace

Status check_write_concern(const CommandRow& row, const Request& request) {
  Value concern = request.get("writeConcern");
  if (concern.is_missing()) return {};
  if (concern.is_nullish()) return {};
  if (!concern.is_object()) {
    return Status(ErrorCode::kTypeMismatch,
                  "\"writeConcern\" had the wrong type. Expected object, found " +
                      std::string(concern.type_name()));
  }
  if (row.name == "find" || row.name == "count" || row.name == "distinct")
    return Status(ErrorCode::kInvalidOptions, "Command does not support writeConcern");
  MR_RETURN_IF_ERROR(check_fields(concern.as_object()));
  if (concern.as_object().get("j").truthy() && concern.as_object().get("fsync").truthy())
    return Status(ErrorCode::kFailedToParse, "fsync and j options cannot be used together");

  Value w = concern.as_object().get("w");
  if (w.is_number() && members_of(w) > 1)
    return Status(ErrorCode::kBadValue, "cannot use 'w' > 1 when a host is not replicated");
  if ((w.is_string() && w.as_string() != "majority") || w.is(engine::Type::kNull)) {
    return Status(ErrorCode::kBadValue,
                  "cannot use non-majority 'w' mode " +
                      (w.is_string() ? "\"" + std::string(w.as_string()) + "\" " : std::string()) +
                      "when a host is not a member of a replica set");
  }
  return {};
}

bool is_unacknowledged(const Request& request) {
  Value concern = request.get("writeConcern");
  if (!concern.is_object()) return false;
  auto fields = concern.as_object();
  Value w = fields.get("w");
  return w.is_number() && members_of(w) == 0 && !fields.get("j").truthy() &&
         !fields.get("fsync").truthy();
}

}  // namespace millrace::commands
