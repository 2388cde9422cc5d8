#include "engine/runtime/definition.h"

#include <algorithm>
#include <array>

namespace millrace::engine {
namespace {

struct TierRow {
  std::string_view name;
  int64_t ram_bytes;
};
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/ "Tiers"
constexpr std::array kTiers = {
    TierRow{"SP2", 536870912},   TierRow{"SP5", 1073741824},   TierRow{"SP10", 2147483648},
    TierRow{"SP30", 8589934592}, TierRow{"SP50", 34359738368},
};

constexpr std::array<std::string_view, 5> kStateNames = {"CREATED", "PROVISIONING", "STARTED",
                                                         "STOPPED", "FAILED"};
constexpr std::array<std::string_view, 5> kStatusNames = {"created", "starting", "running",
                                                          "stopped", "error"};

}  // namespace

std::string_view state_name(ProcessorState state) {
  return kStateNames[static_cast<size_t>(state)];
}
std::string_view state_status(ProcessorState state) {
  return kStatusNames[static_cast<size_t>(state)];
}

Document ProcessorDefinition::encode() const {
  BsonWriter w;
  w.begin_document();
  w.append("id", id);
  w.append("name", name);
  w.append("pipeline", pipeline.get("pipeline"));
  w.append("pipelineVersion", pipeline_version);
  if (dlq.configured()) {
    w.begin_object("dlq");
    w.append("connectionName", dlq.connection);
    w.append("db", dlq.database);
    w.append("coll", dlq.collection);
    w.end();
  }
  w.append("streamMetaFieldName", stream_meta_field);
  w.append("tier", tier);
  w.append("autoscaling", autoscaling.value());
  w.append("failover", failover);
  w.append("workers", workers);
  w.append("state", state_name(state));
  w.append("hasStarted", has_started);
  w.append("lastModified", Value::date(last_modified_ms));
  w.append("lastStateChange", Value::date(last_state_change_ms));
  w.append("stopped", Value::date(stopped_ms));
  w.append("sequence", created_sequence);
  w.append("modifiedBy", modified_by);
  w.append("errorCode", error.code());
  w.append("errorMsg", error.message());
  w.append("errorRetryable", error_retryable);
  w.end();
  return Document(w.bytes());
}

Result<ProcessorDefinition> ProcessorDefinition::decode(const Value& record) {
  ObjectView r = record.as_object();
  auto text = [&](std::string_view field) {
    Value v = r.get(field);
    return v.is_string() ? std::string(v.as_string()) : std::string();
  };
  auto number = [&](std::string_view field) -> int64_t {
    Value v = r.get(field);
    return v.is_integer() ? v.integer_value() : v.is(Type::kDate) ? v.as_date() : 0;
  };
  ProcessorDefinition d;
  d.id = text("id");
  d.name = text("name");
  if (d.id.empty() || d.name.empty() || !r.get("pipeline").is_array()) {
    return Status(ErrorCode::kInternalError,
                  "a stored stream processor has no id, name or pipeline");
  }
  BsonWriter pipeline;
  pipeline.begin_document();
  pipeline.append("pipeline", r.get("pipeline"));
  pipeline.end();
  d.pipeline = Document(pipeline.bytes());
  d.pipeline_version = static_cast<int32_t>(number("pipelineVersion"));
  if (r.get("dlq").is_object()) {
    MR_ASSIGN_OR_RETURN(d.dlq, parse_dead_letter_options(r.get("dlq")));
  }
  d.stream_meta_field = text("streamMetaFieldName");
  d.tier = text("tier");
  if (r.get("autoscaling").is_object()) d.autoscaling = Document(r.get("autoscaling"));
  d.failover = r.get("failover").truthy();
  d.workers = static_cast<int32_t>(number("workers"));
  auto state = std::find(kStateNames.begin(), kStateNames.end(), text("state"));
  if (state == kStateNames.end())
    return Status(ErrorCode::kInternalError,
                  "stream processor " + d.name + " is stored with an unknown state");
  d.state = static_cast<ProcessorState>(state - kStateNames.begin());
  d.has_started = r.get("hasStarted").truthy();
  d.last_modified_ms = number("lastModified");
  d.last_state_change_ms = number("lastStateChange");
  d.stopped_ms = number("stopped");
  d.created_sequence = number("sequence");
  d.modified_by = text("modifiedBy");
  if (number("errorCode") != 0)
    d.error = Status(static_cast<int32_t>(number("errorCode")), text("errorMsg"));
  d.error_retryable = r.get("errorRetryable").truthy();
  return d;
}

Status check_processor_name(std::string_view name) {
  bool good =
      !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.' || c == '-';
      });
  if (good) return {};
  return Status(ErrorCode::kInvalidOptions,
                "a stream processor's name must be 1 to 64 letters, digits, '_', '.' or '-'");
}

Result<DeadLetterOptions> parse_dead_letter_options(const Value& spec) {
  if (!spec.is_object())
    return Status(ErrorCode::kInvalidOptions,
                  "dlq must be an object with connectionName, db and coll");
  DeadLetterOptions options;
  for (const Field& field : spec.as_object()) {
    std::string* target = field.name() == "connectionName" ? &options.connection
                          : field.name() == "db"           ? &options.database
                          : field.name() == "coll"         ? &options.collection
                                                           : nullptr;
    if (target == nullptr)
      return Status(ErrorCode::kInvalidOptions,
                    "dlq has an unknown field '" + std::string(field.name()) + "'");
    if (!field.value.is_string() || field.value.as_string().empty()) {
      return Status(ErrorCode::kInvalidOptions,
                    "dlq." + std::string(field.name()) + " must be a non-empty string");
    }
    *target = field.value.as_string();
  }
  bool none = options.connection.empty() && options.database.empty() && options.collection.empty();
  if (!none &&
      (options.connection.empty() || options.database.empty() || options.collection.empty())) {
    return Status(ErrorCode::kInvalidOptions, "dlq needs connectionName, db and coll");
  }
  return options;
}

int tier_rank(std::string_view tier) {
  for (size_t i = 0; i < kTiers.size(); ++i) {
    if (kTiers[i].name == tier) return static_cast<int>(i);
  }
  return -1;
}

Status check_tier(std::string_view tier) {
  if (tier_rank(tier) >= 0) return {};
  return Status(ErrorCode::kInvalidOptions,
                "tier must be one of SP2, SP5, SP10, SP30, SP50, not '" + std::string(tier) + "'");
}

int64_t tier_ram_bytes(std::string_view tier) {
  int rank = tier_rank(tier);
  return rank < 0 ? 0 : kTiers[rank].ram_bytes;
}

}  // namespace millrace::engine
