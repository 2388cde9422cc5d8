// collStats: https://www.mongodb.com/docs/manual/reference/command/collStats/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/collection_stats.h"
#include "commands/local/name_check.h"

namespace millrace::commands {

Result<Progress> cmd_coll_stats(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"scale"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  MR_ASSIGN_OR_RETURN(auto scale, Arguments("collStats", request.body).count("scale"));
  if (scale && *scale == 0)
    return engine::Status(51024, "BSON field 'scale' value must be >= 1, actual value '0'");
  MR_ASSIGN_OR_RETURN(auto txn, request.services.database->store().read());
  MR_ASSIGN_OR_RETURN(auto collection, find_collection(*txn, request.database, name));
  if (collection) MR_RETURN_IF_ERROR(refuse_view(*collection));
  MR_ASSIGN_OR_RETURN(auto size, measure(*txn, collection ? &*collection : nullptr));
  reply.append("ns", namespace_of(request.database, name));
  append_storage_stats(collection ? &*collection : nullptr, size, scale.value_or(1), reply);
  return Progress::kDone;
}

}  // namespace millrace::commands
