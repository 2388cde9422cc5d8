// getParameter: the few server parameters that clients ask for.
// https://www.mongodb.com/docs/manual/reference/command/getParameter/
#include <array>

#include "commands/dispatch.h"
#include "commands/handlers.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;

struct ParameterRow {
  std::string_view name;
  void (*append)(const Services& services, BsonWriter& reply);
};

// clang-format off
constexpr std::array kParameters = {
    ParameterRow{"authenticationMechanisms", [](const Services&, BsonWriter& reply) {
      reply.begin_array("authenticationMechanisms");
      reply.append_element(0, engine::Value::string("SCRAM-SHA-1"));
      reply.append_element(1, engine::Value::string("SCRAM-SHA-256"));
      reply.end();
    }},
    ParameterRow{"featureCompatibilityVersion", [](const Services&, BsonWriter& reply) {
      reply.begin_object("featureCompatibilityVersion");
      reply.append("version", kFeatureCompatibilityVersion);
      reply.end();
    }},
    ParameterRow{"localLogicalSessionTimeoutMinutes", [](const Services&, BsonWriter& reply) {
      reply.append("localLogicalSessionTimeoutMinutes", kSessionTimeoutMinutes);
    }},
};
// clang-format on

bool wants_all(const Request& request) {
  auto argument = request.argument();
  if (argument.is_string()) return argument.as_string() == "*";
  return argument.is_object() && argument.as_object().get("allParameters").truthy();
}

}  // namespace

Result<Progress> cmd_get_parameter(Request& request, BsonWriter& reply) {
  bool all = wants_all(request);
  bool found = false;
  for (const auto& row : kParameters) {
    if (!all && request.get(row.name).is_missing()) continue;
    row.append(request.services, reply);
    found = true;
  }
  if (!found) return Status(ErrorCode::kInvalidOptions, "no option found to get");
  return Progress::kDone;
}

}  // namespace millrace::commands
