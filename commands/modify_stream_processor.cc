// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#modify-a-stream-processor
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

using engine::Value;

Result<Progress> cmd_modify_stream_processor(Request& request, BsonWriter&) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_ASSIGN_OR_RETURN(
      Options options,
      Options::read(request, {},
                    {"pipeline", "name", "dlq", "resumeFromCheckpoint", "tier", "autoscaling"}));
  engine::ModifyOptions modify;
  if (Value pipeline = options.get("pipeline"); !pipeline.is_missing()) {
    MR_ASSIGN_OR_RETURN(modify.pipeline, wrap_pipeline(pipeline));
  }
  if (!options.get("name").is_missing()) {
    MR_ASSIGN_OR_RETURN(modify.name, options.string("name"));
  }
  if (Value dlq = options.get("dlq"); !dlq.is_missing()) {
    MR_ASSIGN_OR_RETURN(modify.dlq, engine::parse_dead_letter_options(dlq));
  }
  if (!options.get("tier").is_missing()) {
    MR_ASSIGN_OR_RETURN(modify.tier, options.string("tier"));
    MR_RETURN_IF_ERROR(engine::check_tier(*modify.tier));
  }
  if (request.body.as_object().has("autoscaling") ||
      !options.get("autoscaling").is_missing()) {  // null resets
    MR_ASSIGN_OR_RETURN(modify.autoscaling, read_autoscaling(options.get("autoscaling")));
  }
  MR_ASSIGN_OR_RETURN(modify.resume, options.boolean("resumeFromCheckpoint", true));
  MR_RETURN_IF_ERROR(request.services.processors->modify(name, modify));
  return Progress::kDone;
}

}  // namespace millrace::commands
