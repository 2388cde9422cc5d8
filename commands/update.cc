// update: https://www.mongodb.com/docs/manual/reference/command/update/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/name_check.h"
#include "commands/local/update_documents.h"
#include "commands/write_concern.h"
#include "commands/write_reply.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

Result<UpdateStatement> read_update(Value object, Value let) {
  MR_RETURN_IF_ERROR(check_statement("update.updates", object,
                                     {"q", "u", "c", "multi", "upsert", "upsertSupplied",
                                      "arrayFilters", "hint", "collation", "sort"}));
  Arguments arguments("update.updates", object);
  MR_RETURN_IF_ERROR(arguments.require("q"));
  if (object.as_object().get("u").is_missing()) MR_RETURN_IF_ERROR(arguments.require("u"));
  UpdateStatement statement;
  MR_ASSIGN_OR_RETURN(statement.spec.query, arguments.object("q"));
  statement.spec.update = arguments.any("u");
  if (!statement.spec.update.is_object() && !statement.spec.update.is_array()) {
    return Status(ErrorCode::kFailedToParse,
                  "Update argument must be either an object or an array");
  }
  MR_ASSIGN_OR_RETURN(statement.spec.array_filters, arguments.array("arrayFilters"));
  MR_ASSIGN_OR_RETURN(statement.spec.constants, arguments.object("c"));
  MR_ASSIGN_OR_RETURN(statement.multi, arguments.boolean("multi", false));
  MR_ASSIGN_OR_RETURN(statement.upsert, arguments.boolean("upsert", false));
  MR_ASSIGN_OR_RETURN(statement.upsert_supplied, arguments.boolean("upsertSupplied", false));
  MR_RETURN_IF_ERROR(arguments.check_collation());
  MR_ASSIGN_OR_RETURN(statement.hint, arguments.hint());
  MR_ASSIGN_OR_RETURN(statement.sort, arguments.object("sort"));
  statement.spec.let = let;
  return statement;
}

}  // namespace

Result<Progress> cmd_update(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"updates", "ordered", "bypassDocumentValidation",
                                                 "bypassEmptyTsReplacement", "let"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  MR_ASSIGN_OR_RETURN(auto options, read_write_options(request));
  MR_ASSIGN_OR_RETURN(auto let, Arguments("update", request.body).object("let"));
  MR_ASSIGN_OR_RETURN(auto updates, read_statements(request, "updates"));
  std::vector<UpdateStatement> statements;
  for (Value object : updates.as_array()) {
    MR_ASSIGN_OR_RETURN(auto statement, read_update(object, let));
    statement.spec.keep_empty_timestamps = options.keep_empty_timestamps;
    statements.push_back(std::move(statement));
  }
  MR_ASSIGN_OR_RETURN(auto result, update_documents(*request.services.database, request.database,
                                                    name, statements, options));
  if (is_unacknowledged(request)) result = {};
  reply.append("n",
               static_cast<int32_t>(result.matched + static_cast<int64_t>(result.upserted.size())));
  if (!result.upserted.empty()) {
    reply.begin_array("upserted");
    size_t at = 0;
    for (const auto& [index, id] : result.upserted) {
      reply.begin_object(std::to_string(at++));
      reply.append("index", static_cast<int32_t>(index));
      reply.append("_id", id.get("_id"));
      reply.end();
    }
    reply.end();
  }
  append_write_errors(result, reply);
  reply.append("nModified", static_cast<int32_t>(result.modified));
  return Progress::kDone;
}

}  // namespace millrace::commands
