// insert: https://www.mongodb.com/docs/manual/reference/command/insert/
#include "commands/local/insert.h"

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/name_check.h"
#include "commands/write_concern.h"
#include "commands/write_reply.h"

namespace millrace::commands {

Result<Progress> cmd_insert(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"documents", "ordered", "bypassDocumentValidation",
                                                 "bypassEmptyTsReplacement"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  MR_RETURN_IF_ERROR(check_writable_name(request.database, name));
  MR_ASSIGN_OR_RETURN(auto options, read_write_options(request));
  MR_ASSIGN_OR_RETURN(auto documents, read_statements(request, "documents"));
  MR_ASSIGN_OR_RETURN(auto result, insert_documents(*request.services.database, request.database,
                                                    name, documents, options));
  if (is_unacknowledged(request)) result = {};
  reply.append("n", static_cast<int32_t>(result.matched));
  append_write_errors(result, reply);
  return Progress::kDone;
}

}  // namespace millrace::commands
