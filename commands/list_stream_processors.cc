// https://www.mongodb.com/docs/manual/reference/method/sp.listStreamProcessors/
#include "commands/filter.h"
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

Result<Progress> cmd_list_stream_processors(Request& request, BsonWriter& reply) {
  MR_RETURN_IF_ERROR(Options::read(request, {"filter"}, {}).status());
  MR_ASSIGN_OR_RETURN(Filter filter, Filter::parse(request.get("filter")));
  reply.begin_array("streamProcessors");
  size_t index = 0;
  for (const auto& snapshot : request.services.processors->list()) {
    BsonWriter entry;
    entry.begin_document();
    append_list_entry(snapshot, entry);
    entry.end();
    engine::Document document(entry.bytes());
    MR_ASSIGN_OR_RETURN(bool matches, filter.matches(document.value()));
    if (matches) reply.append_element(index++, document.value());
  }
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
