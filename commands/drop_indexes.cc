// dropIndexes: https://www.mongodb.com/docs/manual/reference/command/dropIndexes/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/index_build.h"

namespace millrace::commands {

using engine::Value;

Result<Progress> cmd_drop_indexes(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"index"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  Arguments arguments("dropIndexes", request.body);
  MR_RETURN_IF_ERROR(arguments.require("index"));
  Value which = arguments.any("index");
  if (!which.is_string() && !which.is_array() && !which.is_object())
    return arguments.wrong_type("index", "[string, array, object");
  MR_ASSIGN_OR_RETURN(size_t before,
                      drop_indexes(*request.services.database, request.database, name, which));
  reply.append("nIndexesWas", static_cast<int32_t>(before));
  if (which.is_string() && which.as_string() == "*")
    reply.append("msg", "non-_id indexes dropped for collection");
  return Progress::kDone;
}

}  // namespace millrace::commands
