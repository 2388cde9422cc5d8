// https://www.mongodb.com/docs/manual/reference/method/sp.listConnections/
#include "commands/filter.h"
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"
#include "engine/connection/registry.h"

namespace millrace::commands {

Result<Progress> cmd_list_stream_connections(Request& request, BsonWriter& reply) {
  MR_RETURN_IF_ERROR(Options::read(request, {"filter"}, {}).status());
  MR_ASSIGN_OR_RETURN(Filter filter, Filter::parse(request.get("filter")));
  reply.begin_array("connections");
  size_t index = 0;
  for (const engine::ConnectionPtr& connection : request.services.connections->list()) {
    engine::Document document = engine::ConnectionRegistry::list_entry(*connection);
    MR_ASSIGN_OR_RETURN(bool matches, filter.matches(document.value()));
    if (matches) reply.append_element(index++, document.value());
  }
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
