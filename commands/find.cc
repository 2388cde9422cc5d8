// find: https://www.mongodb.com/docs/manual/reference/command/find/
#include "commands/read_command.h"

#include "commands/dispatch.h"
#include "commands/handlers.h"

namespace millrace::commands {

Result<Progress> cmd_find(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(auto find, read_find(request, "find"));
  MR_ASSIGN_OR_RETURN(auto stream, open_find(*request.services.database, request.database, find));
  MR_RETURN_IF_ERROR(write_first_batch(request, std::move(stream), find.ns, find.cursor, reply));
  return Progress::kDone;
}

}  // namespace millrace::commands
