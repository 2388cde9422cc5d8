// drop: https://www.mongodb.com/docs/manual/reference/command/drop/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"

namespace millrace::commands {

Result<Progress> cmd_drop(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {""};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  std::optional<Collection> dropped;
  MR_RETURN_IF_ERROR(request.services.database->store().write(
      [&](storage::WriteTransaction& txn) -> engine::Status {
        MR_ASSIGN_OR_RETURN(dropped, find_collection(txn, request.database, name));
        return dropped ? erase_collection(txn, *dropped) : engine::Status();
      }));
  // What is not there is dropped with success since 7.0.
  if (dropped && !dropped->view)
    reply.append("nIndexesWas", static_cast<int32_t>(dropped->indexes.size()));
  if (dropped) reply.append("ns", dropped->ns());
  return Progress::kDone;
}

}  // namespace millrace::commands
