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
    BsonWriter entry;
    entry.begin_document();
    entry.append("name", connection->name);
    entry.append("type", connection->type->list_name);
    connection->type->list(connection->definition.value(), entry);
    entry.end();
    engine::Document document(entry.bytes());
    MR_ASSIGN_OR_RETURN(bool matches, filter.matches(document.value()));
    if (matches) reply.append_element(index++, document.value());
  }
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
