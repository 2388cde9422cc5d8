// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#start-a-stream-processor
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"
#include "engine/connection/registry.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

// {startAfter: …} or {startAtOperationTime: …}, or {}.
Result<engine::Document> start_position(const Options& options) {
  Value after = options.get("startAfter");
  Value time = options.get("startAtOperationTime");
  if (!after.is_missing() && !time.is_missing()) {
    return Status(ErrorCode::kInvalidOptions,
                  "startAfter and startAtOperationTime cannot be given together");
  }
  if (!after.is_missing() && !after.is_object())
    return Status(ErrorCode::kInvalidOptions, "startAfter must be a resume token document");
  if (!time.is_missing() && !time.is(Type::kTimestamp) && !time.is(Type::kDate)) {
    return Status(ErrorCode::kInvalidOptions, "startAtOperationTime must be a timestamp or a date");
  }
  engine::BsonWriter w;
  w.begin_document();
  w.append("startAfter", after);
  w.append("startAtOperationTime", time);
  w.end();
  return engine::Document(w.bytes());
}

// What depends on the processor as it is stored: its tier, and whether its source knows the
// positions of a change stream.
Status check_against_definition(const Services& services, std::string_view name,
                                const engine::StartOptions& start) {
  MR_ASSIGN_OR_RETURN(auto snapshot, services.processors->get(name));
  const engine::ProcessorDefinition& stored = snapshot.definition;
  const engine::WorkspaceSettings& workspace = services.processors->workspace();
  std::string tier = !start.tier.empty()    ? start.tier
                     : !stored.tier.empty() ? stored.tier
                                            : workspace.default_tier;
  MR_RETURN_IF_ERROR(engine::check_tier(tier));
  MR_RETURN_IF_ERROR(
      check_tier_allowed(workspace, tier, start.autoscaling.value_or(stored.autoscaling)));
  if (start.start_position.view().empty()) return {};
  Value source = stored.pipeline.get("pipeline").as_array().at(0).as_object().get("$source");
  Value connection = source.is_object() ? source.as_object().get("connectionName") : Value();
  if (connection.is_string()) {
    MR_ASSIGN_OR_RETURN(auto found, services.connections->find(connection.as_string()));
    if (found->type->name == "Cluster") return {};
  }
  return Status(ErrorCode::kInvalidOptions,
                "startAfter and startAtOperationTime are for change stream sources only");
}

}  // namespace

Result<Progress> cmd_start_stream_processor(Request& request, BsonWriter&) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_ASSIGN_OR_RETURN(
      Options options,
      Options::read(request, {},
                    {"workers", "tier", "autoscaling", "enableAutoScaling", "resumeFromCheckpoint",
                     "clearCheckpoints", "startAtOperationTime", "startAfter", "failover"}));
  engine::StartOptions start;
  MR_ASSIGN_OR_RETURN(bool resume, options.boolean("resumeFromCheckpoint", true));
  MR_ASSIGN_OR_RETURN(bool clear, options.boolean("clearCheckpoints", false));
  start.resume = resume && !clear;
  MR_ASSIGN_OR_RETURN(start.start_position, start_position(options));
  MR_ASSIGN_OR_RETURN(start.tier, options.string("tier"));
  MR_ASSIGN_OR_RETURN(int64_t workers, options.integer("workers", 0));
  if (!options.get("workers").is_missing() && (workers <= 0 || workers > INT32_MAX)) {
    return Status(ErrorCode::kInvalidOptions, "workers must be a positive number");
  }
  start.workers = static_cast<int32_t>(workers);
  if (Value autoscaling = options.get("autoscaling"); !autoscaling.is_missing()) {
    MR_ASSIGN_OR_RETURN(start.autoscaling, read_autoscaling(autoscaling));
  }
  if (!options.get("enableAutoScaling").is_missing()) {
    MR_ASSIGN_OR_RETURN(bool enabled, options.boolean("enableAutoScaling", false));
    engine::BsonWriter w;
    w.begin_document();
    if (enabled) w.append("enabled", true);
    w.end();
    start.autoscaling = engine::Document(w.bytes());
  }
  if (!options.get("failover").is_missing()) {
    return Status(ErrorCode::kNotImplemented,
                  "failover to another region is not supported by Millrace yet");
  }
  MR_RETURN_IF_ERROR(check_against_definition(request.services, name, start));
  MR_RETURN_IF_ERROR(request.services.processors->start(name, start));
  return Progress::kDone;
}

}  // namespace millrace::commands
