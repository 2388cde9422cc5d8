// explain: https://www.mongodb.com/docs/manual/reference/command/explain/
#include <algorithm>
#include <iterator>

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/explain_plan.h"
#include "commands/handlers.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

Result<ExplainVerbosity> read_verbosity(const Request& request) {
  Arguments arguments("explain", request.body);
  MR_RETURN_IF_ERROR(
      arguments.one_of("verbosity", {"queryPlanner", "executionStats", "allPlansExecution"}));
  Value verbosity = arguments.any("verbosity");
  if (verbosity.is_missing() || verbosity.as_string() == "allPlansExecution")
    return ExplainVerbosity::kAllPlans;
  return verbosity.as_string() == "queryPlanner" ? ExplainVerbosity::kQueryPlanner
                                                 : ExplainVerbosity::kExecutionStats;
}

// The first statement of an update or delete command; explain takes only one.
Result<Value> only_statement(const Request& inner, std::string_view field) {
  Value statements = inner.get(field);
  if (!statements.is_array() || statements.as_array().size() != 1 ||
      !statements.as_array().at(0).is_object()) {
    return Status(ErrorCode::kInvalidLength, "explained write batches must be of size 1");
  }
  return statements.as_array().at(0);
}

Status explain_other(Request& inner, ExplainVerbosity verbosity, BsonWriter& reply) {
  static constexpr std::string_view kExplained[] = {"count",         "delete",        "distinct",
                                                    "findAndModify", "findandmodify", "update"};
  if (std::find(std::begin(kExplained), std::end(kExplained), inner.name) == std::end(kExplained)) {
    return Status(ErrorCode::kCommandNotFound,
                  "Explain failed due to unknown command: " + std::string(inner.name));
  }
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(inner));
  ExplainedQuery query{std::string(name), inner.get("query"), inner.get("hint"), {}};
  if (inner.name == "count") {
    query.stage = "COUNT";
  } else if (inner.name == "findAndModify" || inner.name == "findandmodify") {
    query.stage = inner.get("remove").truthy() ? "DELETE" : "UPDATE";
  } else if (inner.name == "update" || inner.name == "delete") {
    MR_ASSIGN_OR_RETURN(Value statement,
                        only_statement(inner, inner.name == "update" ? "updates" : "deletes"));
    query.filter = statement.as_object().get("q");
    query.hint = statement.as_object().get("hint");
    query.stage = inner.name == "update" ? "UPDATE" : "DELETE";
  }
  if (query.filter.is_nullish()) query.filter = Value::missing();
  if (!query.filter.is_missing() && !query.filter.is_object())
    return Arguments(inner.name, inner.body).wrong_type("query", "object");
  return explain_query(inner, query, verbosity, reply);
}

}  // namespace

Result<Progress> cmd_explain(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"verbosity"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  Value command = request.argument();
  if (!command.is_object() || command.as_object().empty()) {
    return Status(ErrorCode::kTypeMismatch, "BSON field 'explain.explain' is the wrong type '" +
                                                std::string(command.type_name()) +
                                                "', expected type 'object'");
  }
  MR_ASSIGN_OR_RETURN(auto verbosity, read_verbosity(request));
  std::string name(command.as_object().begin()->name());
  Request inner{request.services, request.client,  command, name,
                request.database, request.received};
  Status status;
  if (name == "find") {
    MR_ASSIGN_OR_RETURN(auto find, read_find(inner, "find"));
    status = explain_find(inner, std::move(find), verbosity, reply);
  } else if (name == "aggregate") {
    MR_ASSIGN_OR_RETURN(auto aggregate, read_aggregate(inner));
    status = explain_aggregate(inner, std::move(aggregate), verbosity, reply);
  } else {
    status = explain_other(inner, verbosity, reply);
  }
  if (!status.ok()) return status;
  return Progress::kDone;
}

}  // namespace millrace::commands
