// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#modify-a-stream-processor
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

using engine::Value;

namespace {

// The tier and the bounds that the processor has after the change, as far as it has any.
engine::Status check_tier_against_bounds(const Services& services, std::string_view name,
                                         const engine::ModifyOptions& modify) {
  if (!modify.tier && !modify.autoscaling) return {};
  MR_ASSIGN_OR_RETURN(auto snapshot, services.processors->get(name));
  std::string tier = modify.tier.value_or(snapshot.definition.tier);
  engine::Document autoscaling = modify.autoscaling.value_or(snapshot.definition.autoscaling);
  if (tier.empty() || !autoscaling.get("enabled").truthy()) return {};
  return check_within(tier, tier_bounds(services.processors->workspace(), tier, autoscaling));
}

}  // namespace

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
  if (options.given("autoscaling")) {  // null resets
    MR_ASSIGN_OR_RETURN(modify.autoscaling, read_autoscaling(options.get("autoscaling")));
  }
  MR_ASSIGN_OR_RETURN(modify.resume, options.boolean("resumeFromCheckpoint", true));
  MR_RETURN_IF_ERROR(check_tier_against_bounds(request.services, name, modify));
  MR_RETURN_IF_ERROR(request.services.processors->modify(name, modify));
  return Progress::kDone;
}

}  // namespace millrace::commands
