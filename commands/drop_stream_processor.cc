// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#drop-a-stream-processor
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

// `force` and `ttl` are sent by shells and documented nowhere: a drop is always complete and at
// once, so there is nothing for them to do.
Result<Progress> cmd_drop_stream_processor(Request& request, BsonWriter&) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_RETURN_IF_ERROR(Options::read(request, {}, {"force", "ttl"}).status());
  MR_RETURN_IF_ERROR(request.services.processors->drop(name));
  return Progress::kDone;
}

}  // namespace millrace::commands
