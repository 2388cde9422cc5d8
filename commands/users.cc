// Users, roles and logging in. There are no users yet, so every login with a known mechanism fails
// as one with a wrong password does.
// https://www.mongodb.com/docs/manual/reference/command/nav-authentication/, …/nav-user-management/
#include "commands/handlers.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;

}  // namespace

Result<Progress> cmd_connection_status(Request& request, BsonWriter& reply) {
  auto privileges = request.get("showPrivileges");
  if (!privileges.is_nullish() && !privileges.is(engine::Type::kBool) && !privileges.is_number()) {
    return Status(ErrorCode::kTypeMismatch,
                  "BSON field 'connectionStatus.showPrivileges' is the wrong type '" +
                      std::string(privileges.type_name()) +
                      "', expected types '[bool, long, int, decimal, double']");
  }
  reply.begin_object("authInfo");
  reply.begin_array("authenticatedUsers"), reply.end();
  reply.begin_array("authenticatedUserRoles"), reply.end();
  if (privileges.truthy()) reply.begin_array("authenticatedUserPrivileges"), reply.end();
  reply.end();
  return Progress::kDone;
}

Result<Progress> cmd_sasl_start(Request& request, BsonWriter&) {
  auto mechanism = request.get("mechanism");
  for (auto field : {"mechanism", "payload"}) {
    if (request.get(field).is_missing()) {
      return Status(40414, "BSON field 'saslStart." + std::string(field) +
                               "' is missing but a required field");
    }
  }
  if (!mechanism.is_string()) {
    return Status(ErrorCode::kTypeMismatch, "BSON field 'saslStart.mechanism' is the wrong type '" +
                                                std::string(mechanism.type_name()) +
                                                "', expected type 'string'");
  }
  auto name = mechanism.as_string();
  if (name != "SCRAM-SHA-256" && name != "SCRAM-SHA-1") {
    return Status(
        ErrorCode::kMechanismUnavailable,
        "Received authentication for mechanism " + std::string(name) + " which is not enabled");
  }
  return Status(ErrorCode::kAuthenticationFailed, "Authentication failed.");
}

Result<Progress> cmd_sasl_continue(Request&, BsonWriter&) {
  return Status(ErrorCode::kProtocolError, "No SASL session state found");
}

Result<Progress> cmd_logout(Request&, BsonWriter&) { return Progress::kDone; }

Result<Progress> cmd_users_info(Request&, BsonWriter& reply) {
  reply.begin_array("users"), reply.end();
  return Progress::kDone;
}

Result<Progress> cmd_roles_info(Request&, BsonWriter& reply) {
  reply.begin_array("roles"), reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
