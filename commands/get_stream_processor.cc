// getStreamProcessor: one definition, flat. Field list: the drivers' StreamProcessingClient; Java
// refuses a reply that lacks any of the fields written unconditionally here.
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

using engine::Value;

Result<Progress> cmd_get_stream_processor(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_RETURN_IF_ERROR(Options::read(request, {}, {}).status());
  auto& processors = *request.services.processors;
  MR_ASSIGN_OR_RETURN(auto snapshot, processors.get(name));
  const engine::ProcessorDefinition& d = snapshot.definition;
  bool autoscaled = d.autoscaling.get("enabled").truthy();
  reply.append("id", d.id);
  reply.append("name", d.name);
  reply.append("state", engine::state_name(d.state));
  reply.append("pipeline", d.pipeline.get("pipeline"));
  reply.append("pipelineVersion", d.pipeline_version);
  if (!d.tier.empty()) reply.append("tier", d.tier);
  if (autoscaled) {
    reply.append("effectiveTier", d.tier.empty() ? processors.workspace().default_tier : d.tier);
    reply.append("autoscaling", d.autoscaling.value());
  }
  if (d.dlq.configured()) {
    reply.begin_object("dlq");
    reply.append("connectionName", d.dlq.connection);
    reply.append("db", d.dlq.database);
    reply.append("coll", d.dlq.collection);
    reply.end();
  }
  if (!d.stream_meta_field.empty()) reply.append("streamMetaFieldName", d.stream_meta_field);
  reply.append("enableAutoScaling", autoscaled);
  reply.append("failoverEnabled", d.failover);
  reply.append("activeRegion", processors.workspace().region);
  reply.append("workspaceDefaultRegion", processors.workspace().region);
  reply.append("lastStateChange", Value::date(d.last_state_change_ms));
  reply.append("lastModifiedAt", Value::date(d.last_modified_ms));
  reply.append("modifiedBy", d.modified_by);
  reply.append("hasStarted", d.has_started);
  reply.append("errorMsg", engine::with_valid_utf8(d.error.message()));
  reply.append("errorRetryable", d.error_retryable);
  if (!d.error.ok()) reply.append("errorCode", d.error.code());
  return Progress::kDone;
}

}  // namespace millrace::commands
