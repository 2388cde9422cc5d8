// delete: https://www.mongodb.com/docs/manual/reference/command/delete/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/update_documents.h"
#include "commands/write_concern.h"
#include "commands/write_reply.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

Result<DeleteStatement> read_delete(Value object) {
  MR_RETURN_IF_ERROR(
      check_statement("delete.deletes", object, {"q", "limit", "hint", "collation"}));
  Arguments arguments("delete.deletes", object);
  MR_RETURN_IF_ERROR(arguments.require("q"));
  MR_RETURN_IF_ERROR(arguments.require("limit"));
  DeleteStatement statement;
  MR_ASSIGN_OR_RETURN(statement.query, arguments.object("q"));
  Value limit = arguments.any("limit");
  if (!limit.is_number()) return arguments.wrong_type("limit", "[long, int, decimal, double");
  double number = limit.to_double();
  if (number != 0 && number != 1) {
    return Status(ErrorCode::kFailedToParse,
                  "The limit field in delete objects must be 0 or 1. Got " +
                      std::to_string(static_cast<int64_t>(number)));
  }
  statement.only_one = number == 1;
  MR_RETURN_IF_ERROR(arguments.check_collation());
  MR_ASSIGN_OR_RETURN(statement.hint, arguments.hint());
  return statement;
}

}  // namespace

Result<Progress> cmd_delete(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"deletes", "ordered", "let"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  MR_ASSIGN_OR_RETURN(auto options, read_write_options(request));
  MR_ASSIGN_OR_RETURN(auto let, Arguments("delete", request.body).object("let"));
  MR_ASSIGN_OR_RETURN(auto deletes, read_statements(request, "deletes"));
  std::vector<DeleteStatement> statements;
  for (Value object : deletes.as_array()) {
    MR_ASSIGN_OR_RETURN(auto statement, read_delete(object));
    statements.push_back(statement);
  }
  MR_ASSIGN_OR_RETURN(auto result, delete_documents(*request.services.database, request.database,
                                                    name, statements, let, options));
  if (is_unacknowledged(request)) result = {};
  reply.append("n", static_cast<int32_t>(result.matched));
  append_write_errors(result, reply);
  return Progress::kDone;
}

}  // namespace millrace::commands
