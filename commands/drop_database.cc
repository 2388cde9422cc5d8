// dropDatabase: https://www.mongodb.com/docs/manual/reference/command/dropDatabase/
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"

namespace millrace::commands {

Result<Progress> cmd_drop_database(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {""};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  if (request.database == "admin" || request.database == "config" || request.database == "local") {
    return engine::Status(
        engine::ErrorCode::kIllegalOperation,
        "Dropping the '" + std::string(request.database) + "' database is prohibited.");
  }
  bool any = false;
  MR_RETURN_IF_ERROR(request.services.database->store().write(
      [&](storage::WriteTransaction& txn) -> engine::Status {
        MR_ASSIGN_OR_RETURN(auto collections, list_collections(txn, request.database));
        any = !collections.empty();
        for (const auto& collection : collections)
          MR_RETURN_IF_ERROR(erase_collection(txn, collection));
        return {};
      }));
  if (any) reply.append("dropped", request.database);
  return Progress::kDone;
}

}  // namespace millrace::commands
