#include "engine/runtime/source_stage.h"

#include "engine/runtime/stage_table.h"
#include "engine/runtime/stand_ins.h"
#include "engine/source/normalize.h"
#include "engine/window/window_options.h"

namespace millrace::engine {
namespace {

Status invalid(std::string message) {
  return Status(ErrorCode::kStreamProcessorInvalidOptions, std::move(message));
}

Result<ExpressionPtr> parse_time_field(const Value& spec, ParseContext& parse) {
  if (!spec.is_object() || spec.as_object().size() != 1) {
    return invalid(
        "$source.timeField must be an object with the single field $toDate or $dateFromString");
  }
  std::string_view name = spec.as_object().begin()->name();
  if (name != "$toDate" && name != "$dateFromString") {
    return invalid("$source.timeField must be {$toDate: …} or {$dateFromString: …}, not '" +
                   std::string(name) + "'");
  }
  return parse_expression(spec, parse);
}

}  // namespace

Result<SourceStage> parse_source_stage(const Value& raw_spec, const SourceEnvironment& environment,
                                       ParseContext& parse) {
  if (!raw_spec.is_object()) return invalid("$source must be an object");
  MR_ASSIGN_OR_RETURN(Document normalized, normalize_source(raw_spec));
  Value spec = normalized.value();
  ObjectView view = spec.as_object();

  SourceStage stage;
  ConnectionPtr connection;
  std::string_view kind;
  Value name = view.get("connectionName");
  if (view.has("documents")) {
    if (!name.is_missing())
      return invalid("$source takes either documents or connectionName, not both");
  } else if (view.has("schedule")) {
    return invalid("$source.schedule (cron) is not supported by Millrace yet");
  } else {
    if (name.is_missing()) return invalid("$source needs connectionName or documents");
    if (!name.is_string()) return invalid("$source.connectionName must be a string");
    MR_ASSIGN_OR_RETURN(connection, environment.connections.find(name.as_string()));
    kind = connection->type->name;
  }
  SourceFunction make = find_source(kind);
  if (make == nullptr) {
    bool possible = connection != nullptr &&
                    (connection->type->uses & static_cast<uint8_t>(ConnectionUse::kSource)) != 0;
    return invalid(
        "a connection of type " + std::string(kind) +
        (possible ? " is not supported as $source by Millrace yet" : " cannot be used as $source"));
  }
  if (Value time_field = view.get("timeField"); !time_field.is_missing()) {
    MR_ASSIGN_OR_RETURN(stage.time_field, parse_time_field(time_field, parse));
  }
  if (Value ts_field = view.get("tsFieldName"); !ts_field.is_missing()) {
    if (!ts_field.is_string() || ts_field.as_string().empty())
      return invalid("$source.tsFieldName must be a non-empty string");
    if (ts_field.as_string().find('\0') != std::string_view::npos)
      return invalid("$source.tsFieldName cannot contain a null byte");
    stage.ts_field = ts_field.as_string();
  }
  if (Value idle = view.get("partitionIdleTimeout"); !idle.is_missing()) {
    if (kind != "Kafka") return invalid("$source.partitionIdleTimeout belongs to Kafka sources");
    MR_ASSIGN_OR_RETURN(stage.partition_idle_timeout_ms,
                        parse_duration("$source.partitionIdleTimeout", idle));
  }
  SourceContext context{spec,
                        connection,
                        environment.clusters,
                        environment.clock,
                        environment.processor_id,
                        environment.start_position};
  MR_ASSIGN_OR_RETURN(stage.source, make(context));
  if (environment.stand_ins != nullptr) {
    SourcePtr stand_in = environment.stand_ins->source(context, *stage.source);
    if (stand_in != nullptr) stage.source = std::move(stand_in);
  }
  return stage;
}

}  // namespace millrace::engine
