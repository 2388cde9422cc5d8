// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#view-statistics-of-a-stream-processor
// Counts are int64 and sizes doubles, as the service shows them.
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

using engine::Value;

namespace {

using Snapshot = engine::ProcessorManager::Snapshot;

struct Scale {
  int64_t factor;
  Value operator()(int64_t bytes) const {
    return Value::number(static_cast<double>(bytes) / static_cast<double>(factor));
  }
};

void append_latency(const engine::LatencySummary& latency, BsonWriter& to) {
  to.begin_object("latency");
  to.append("p50", latency.p50_us);
  to.append("p99", latency.p99_us);
  to.append("start", Value::date(latency.start_ms));
  to.append("end", Value::date(latency.end_ms));
  to.append("unit", "microseconds");
  to.append("count", latency.count);
  to.append("sum", latency.sum_us);
  to.end();
}

void append_operator(const engine::RunStats::NamedOperator& op, Scale scale, BsonWriter& entry) {
  entry.append("name", op.name);
  entry.append("inputMessageCount", op.stats.input_count);
  entry.append("inputMessageSize", scale(op.stats.input_bytes));
  entry.append("outputMessageCount", op.stats.output_count);
  entry.append("outputMessageSize", scale(op.stats.output_bytes));
  entry.append("dlqMessageCount", op.stats.dlq_count);
  entry.append("dlqMessageSize", scale(op.stats.dlq_bytes));
  entry.append("stateSize", scale(op.state_bytes));
  entry.append("maxMemoryUsage", scale(op.stats.max_state_bytes));
  entry.append("executionTimeMillis", op.stats.execution_ns / 1'000'000);
  append_latency(op.latency, entry);
  for (const engine::Field& field : op.extra.view()) entry.append(field.name(), field.value);
}

void append_stats(const Snapshot& snapshot, bool verbose, Scale scale, BsonWriter& stats) {
  const engine::ProcessorCounters& c = snapshot.counters;
  stats.append("name", snapshot.definition.name);
  stats.append("processorId", snapshot.definition.id);
  stats.append("status", engine::state_status(snapshot.definition.state));
  stats.append("scaleFactor", scale.factor);
  stats.append("inputMessageCount", c.input_count);
  stats.append("inputMessageSize", scale(c.input_bytes));
  stats.append("outputMessageCount", c.output_count);
  stats.append("outputMessageSize", scale(c.output_bytes));
  stats.append("dlqMessageCount", c.dlq_count);
  stats.append("dlqMessageSize", scale(c.dlq_bytes));
  int64_t state = snapshot.run ? snapshot.run->state_bytes : 0;
  stats.append("stateSize", scale(state));
  stats.append("memoryUsageBytes", Value::number(static_cast<double>(state)));
  stats.append("memoryTrackerBytes",
               Value::number(static_cast<double>(state)));  // the older name, still read by tools
  if (snapshot.run && snapshot.run->watermark_ms != engine::kNoWatermark)
    stats.append("watermark", Value::date(snapshot.run->watermark_ms));
  for (const engine::Field& field : snapshot.source_stats.view())
    stats.append(field.name(), field.value);
  if (verbose && !snapshot.run) stats.begin_array("operatorStats"), stats.end();
  if (verbose && snapshot.run) {
    append_latency(snapshot.run->latency, stats);
    for (const auto& op : snapshot.run->operators) {
      for (std::string_view field : {"minOpenWindowStartTime", "maxOpenWindowStartTime"})
        stats.append(field, op.extra.get(field));
    }
    stats.begin_array("operatorStats");
    size_t index = 0;
    for (const auto& op : snapshot.run->operators) {
      BsonWriter entry;
      entry.begin_document();
      append_operator(op, scale, entry);
      entry.end();
      stats.append_element(index++, engine::Document(entry.bytes()).value());
    }
    stats.end();
  }
  stats.append("ok", 1);
}

}  // namespace

Result<Progress> cmd_get_stream_processor_stats(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_ASSIGN_OR_RETURN(Options options, Options::read(request, {}, {"verbose", "scale"}));
  MR_ASSIGN_OR_RETURN(bool verbose, options.boolean("verbose", false));
  MR_ASSIGN_OR_RETURN(int64_t scale, options.integer("scale", 1));
  if (scale != 1 && scale != 1024)
    return engine::Status(engine::ErrorCode::kInvalidOptions, "scale must be 1 or 1024");
  auto& processors = *request.services.processors;
  MR_ASSIGN_OR_RETURN(auto snapshot, processors.get(name));
  const engine::ProcessorDefinition& d = snapshot.definition;
  std::string tier = d.tier.empty() ? processors.workspace().default_tier : d.tier;
  reply.append("ns", processors.workspace_id() + "." + processors.project_id() + "." + d.name);
  reply.append("name", d.name);
  reply.append("state", engine::state_name(d.state));
  reply.append("tier", tier);
  if (d.autoscaling.get("enabled").truthy()) {
    reply.append("effectiveTier", tier);
    reply.begin_object("autoscaling");
    TierBounds bounds = tier_bounds(processors.workspace(), tier, d.autoscaling);
    reply.append("minTier", bounds.min);
    reply.append("maxTier", bounds.max);
    reply.end();
  }
  reply.begin_object("stats");
  append_stats(snapshot, verbose, Scale{scale}, reply);
  reply.end();
  reply.append("pipeline", d.pipeline.get("pipeline"));
  return Progress::kDone;
}

}  // namespace millrace::commands
