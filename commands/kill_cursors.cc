// killCursors: https://www.mongodb.com/docs/manual/reference/command/killCursors/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"

namespace millrace::commands {

using engine::Value;

Result<Progress> cmd_kill_cursors(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"cursors"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  Value name = request.argument();
  Arguments arguments("killCursors", request.body);
  if (!name.is_string()) return arguments.wrong_type("killCursors", "string");
  MR_RETURN_IF_ERROR(arguments.require("cursors"));
  MR_ASSIGN_OR_RETURN(Value ids, arguments.array("cursors"));
  std::vector<int64_t> killed;
  std::vector<int64_t> not_found;
  std::string ns = namespace_of(request.database, name.as_string());
  for (Value id : ids.as_array()) {
    if (!id.is(engine::Type::kInt64)) return arguments.wrong_type("cursors", "long");
    bool found = request.services.database->cursors().kill(id.as_int64(), ns);
    (found ? killed : not_found).push_back(id.as_int64());
  }
  auto append = [&](std::string_view field, const std::vector<int64_t>& list) {
    reply.begin_array(field);
    for (size_t i = 0; i < list.size(); ++i) reply.append_element(i, Value::int64(list[i]));
    reply.end();
  };
  append("cursorsKilled", killed);
  append("cursorsNotFound", not_found);
  append("cursorsAlive", {});
  append("cursorsUnknown", {});
  return Progress::kDone;
}

}  // namespace millrace::commands
