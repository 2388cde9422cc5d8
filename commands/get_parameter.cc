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

struct Wanted {
  bool all = false;
  bool details = false;  // {value: …, settableAtRuntime: …, settableAtStartup: …}
};

// The command's own value: "*", {allParameters: …, showDetails: …}, or anything else, which means
// nothing. Errors: 40415.
engine::Result<Wanted> read_wanted(const Request& request) {
  auto argument = request.argument();
  if (argument.is_string()) return Wanted{.all = argument.as_string() == "*"};
  Wanted wanted;
  if (!argument.is_object()) return wanted;
  for (const engine::Field& field : argument.as_object()) {
    if (field.has_name("allParameters")) {
      wanted.all = field.value.truthy();
    } else if (field.has_name("showDetails")) {
      wanted.details = field.value.truthy();
    } else {
      return unknown_field(request, field.name());
    }
  }
  return wanted;
}

// No parameter of this server can be set.
void append_details(const ParameterRow& row, const Services& services, BsonWriter& reply) {
  BsonWriter value;
  value.begin_document();
  row.append(services, value);
  value.end();
  reply.begin_object(row.name);
  reply.append("value", engine::Document(value.bytes()).get(row.name));
  reply.append("settableAtRuntime", false);
  reply.append("settableAtStartup", false);
  reply.end();
}

}  // namespace

Result<Progress> cmd_get_parameter(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(Wanted wanted, read_wanted(request));
  bool found = false;
  for (const auto& row : kParameters) {
    if (!wanted.all && request.get(row.name).is_missing()) continue;
    if (wanted.details) {
      append_details(row, request.services, reply);
    } else {
      row.append(request.services, reply);
    }
    found = true;
  }
  if (!found) return Status(ErrorCode::kInvalidOptions, "no option found to get");
  return Progress::kDone;
}

}  // namespace millrace::commands
