// createIndexes: https://www.mongodb.com/docs/manual/reference/command/createIndexes/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/index_build.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

Result<Progress> cmd_create_indexes(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"indexes", "commitQuorum",
                                                 "ignoreUnknownIndexOptions"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  Arguments arguments("createIndexes", request.body);
  MR_RETURN_IF_ERROR(arguments.require("indexes"));
  MR_ASSIGN_OR_RETURN(Value indexes, arguments.array("indexes"));
  if (indexes.as_array().empty())
    return Status(ErrorCode::kBadValue, "Must specify at least one index to create");
  std::vector<engine::Document> specs;
  for (Value index : indexes.as_array()) {
    if (!index.is_object()) return arguments.wrong_type("indexes", "object");
    MR_ASSIGN_OR_RETURN(auto spec, normal_index_spec(index));
    specs.push_back(std::move(spec));
  }
  engine::Document details;
  auto result = create_indexes(*request.services.database, request.database, name, specs, &details);
  if (!result.ok()) {
    request.error_details = details;
    return result.status();
  }
  reply.append("numIndexesBefore", static_cast<int32_t>(result->before));
  reply.append("numIndexesAfter", static_cast<int32_t>(result->after));
  if (result->before == result->after) {
    reply.append("note", "all indexes already exist");
  } else {
    reply.append("createdCollectionAutomatically", result->created_collection);
  }
  return Progress::kDone;
}

}  // namespace millrace::commands
