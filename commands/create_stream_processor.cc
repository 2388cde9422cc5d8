// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#create-a-stream-processor
#include "commands/demo.h"
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

Result<Progress> cmd_create_stream_processor(Request& request, BsonWriter&) {
  MR_ASSIGN_OR_RETURN(Options options, Options::read(request, {"pipeline"},
                                                     {"dlq", "streamMetaFieldName", "tier",
                                                      "failover", "autoscaling"}));
  engine::CreateOptions create;
  MR_ASSIGN_OR_RETURN(create.name, processor_name(request));
  MR_ASSIGN_OR_RETURN(create.pipeline, wrap_pipeline(request.get("pipeline")));
  MR_RETURN_IF_ERROR(read_definition_options(options, &create));
  if (!create.tier.empty() && create.autoscaling.get("enabled").truthy()) {
    // The workspace's maximum is looked at when it starts.
    auto bounds =
        tier_bounds(request.services.processors->workspace(), create.tier, create.autoscaling);
    MR_RETURN_IF_ERROR(check_within(create.tier, bounds));
  }
  MR_RETURN_IF_ERROR(create_over_demo(*request.services.processors, create));
  return Progress::kDone;
}

}  // namespace millrace::commands
