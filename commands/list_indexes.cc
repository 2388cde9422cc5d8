// listIndexes: https://www.mongodb.com/docs/manual/reference/command/listIndexes/
#include "commands/arguments.h"
#include "commands/cursor_reply.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"

namespace millrace::commands {

Result<Progress> cmd_list_indexes(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"cursor"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  MR_ASSIGN_OR_RETURN(auto options, read_cursor_options(request));
  MR_ASSIGN_OR_RETURN(auto collection, request.services.database->find(request.database, name));
  std::string ns = namespace_of(request.database, name);
  if (!collection)
    return engine::Status(engine::ErrorCode::kNamespaceNotFound, "ns does not exist: " + ns);
  MR_RETURN_IF_ERROR(refuse_view(*collection));
  std::vector<engine::Document> specs;
  for (const auto& index : collection->indexes) specs.push_back(index.spec);
  MR_RETURN_IF_ERROR(write_first_batch(request, stream_of(specs), ns, options, reply));
  return Progress::kDone;
}

}  // namespace millrace::commands
