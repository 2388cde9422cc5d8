// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#stop-a-stream-processor
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

// `force` (sent by shells, not documented) leaves out the final checkpoint.
Result<Progress> cmd_stop_stream_processor(Request& request, BsonWriter&) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_ASSIGN_OR_RETURN(Options options, Options::read(request, {}, {"force"}));
  MR_ASSIGN_OR_RETURN(bool force, options.boolean("force", false));
  MR_RETURN_IF_ERROR(request.services.processors->stop(name, force));
  return Progress::kDone;
}

}  // namespace millrace::commands
