#include "commands/stream_options.h"

#include <algorithm>
#include <cmath>

#include "commands/dispatch.h"
#include "engine/runtime/definition.h"

namespace millrace::commands {

using engine::Document;
using engine::ErrorCode;
using engine::Field;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

bool contains(std::initializer_list<std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Status wrong_type(std::string_view field, const Value& value, std::string_view expected) {
  return Status(ErrorCode::kTypeMismatch, "BSON field '" + std::string(field) +
                                              "' is the wrong type '" +
                                              std::string(value.type_name()) +
                                              "', expected type '" + std::string(expected) + "'");
}

}  // namespace

Result<std::string> processor_name(const Request& request) {
  Value name = request.argument();
  if (!name.is_string() || name.as_string().empty()) {
    return Status(
        ErrorCode::kFailedToParse,
        std::string(request.name) + " needs the name of a stream processor as a non-empty string");
  }
  return std::string(name.as_string());
}

Result<Options> Options::read(const Request& request, std::initializer_list<std::string_view> top,
                              std::initializer_list<std::string_view> either) {
  Options options;
  options.body_ = request.body;
  bool first = true;
  for (const Field& field : request.body.as_object()) {
    if (std::exchange(first, false) || is_generic_argument(field.name()) ||
        contains(top, field.name()) || contains(either, field.name()))
      continue;
    if (field.name() == "options") {
      if (field.value.is_nullish()) continue;
      if (!field.value.is_object()) return wrong_type("options", field.value, "object");
      options.options_ = field.value;
      continue;
    }
    return Status(40415, "BSON field '" + std::string(request.name) + "." +
                             std::string(field.name()) + "' is an unknown field.");
  }
  if (options.options_.is_object()) {
    for (const Field& field : options.options_.as_object()) {
      if (contains(either, field.name())) continue;
      return Status(40415, "BSON field '" + std::string(request.name) + ".options." +
                               std::string(field.name()) + "' is an unknown field.");
    }
  }
  return options;
}

bool Options::given(std::string_view field) const {
  return body_.as_object().has(field) || (options_.is_object() && options_.as_object().has(field));
}

Value Options::get(std::string_view field) const {
  Value value;
  if (options_.is_object()) value = options_.as_object().get(field);
  if (value.is_missing()) value = body_.as_object().get(field);
  return value.is_nullish() ? Value() : value;
}

Result<bool> Options::boolean(std::string_view field, bool otherwise) const {
  Value value = get(field);
  if (value.is_missing()) return otherwise;
  if (value.is(Type::kBool) || value.is_number()) return value.truthy();
  return wrong_type(field, value, "bool");
}

Result<std::string> Options::string(std::string_view field) const {
  Value value = get(field);
  if (value.is_missing()) return std::string();
  if (!value.is_string()) return wrong_type(field, value, "string");
  return std::string(value.as_string());
}

Result<int64_t> Options::integer(std::string_view field, int64_t otherwise) const {
  Value value = get(field);
  if (value.is_missing()) return otherwise;
  if (value.is_integer()) return value.integer_value();
  double number = value.is_number() ? value.to_double() : NAN;
  if (number == std::floor(number) && std::fabs(number) < 1e18) return static_cast<int64_t>(number);
  return wrong_type(field, value, "int");
}

Result<Document> Options::document(std::string_view field) const {
  Value value = get(field);
  if (value.is_missing()) return Document();
  if (!value.is_object()) return wrong_type(field, value, "object");
  return Document(value);
}

Result<Document> wrap_pipeline(const Value& pipeline) {
  if (!pipeline.is_array())
    return Status(ErrorCode::kFailedToParse, "a stream processor's pipeline must be an array");
  if (pipeline.as_array().empty())
    return Status(ErrorCode::kFailedToParse, "a stream processor's pipeline must not be empty");
  for (const Value& stage : pipeline.as_array()) {
    if (!stage.is_object())
      return Status(ErrorCode::kFailedToParse,
                    "Each element of the 'pipeline' array must be an object");
  }
  engine::BsonWriter w;
  w.begin_document();
  w.append("pipeline", pipeline);
  w.end();
  return Document(w.bytes());
}

Result<Document> read_autoscaling(const Value& spec) {
  if (spec.is_nullish()) return Document();
  if (!spec.is_object()) return Status(ErrorCode::kInvalidOptions, "autoscaling must be an object");
  if (spec.as_object().empty()) return Document();
  for (const Field& field : spec.as_object()) {
    if (field.name() == "enabled") {
      if (!field.value.is(Type::kBool))
        return Status(ErrorCode::kInvalidOptions, "autoscaling.enabled must be a boolean");
    } else if (field.name() == "minTier" || field.name() == "maxTier") {
      if (!field.value.is_string())
        return Status(ErrorCode::kInvalidOptions,
                      "autoscaling." + std::string(field.name()) + " must be a string");
      MR_RETURN_IF_ERROR(engine::check_tier(field.value.as_string()));
    } else {
      return Status(ErrorCode::kInvalidOptions,
                    "autoscaling has an unknown field '" + std::string(field.name()) + "'");
    }
  }
  if (spec.as_object().get("enabled").is_missing())
    return Status(ErrorCode::kInvalidOptions, "autoscaling.enabled is required");
  Value smallest = spec.as_object().get("minTier");
  Value largest = spec.as_object().get("maxTier");
  if (smallest.is_string() && largest.is_string() &&
      engine::tier_rank(smallest.as_string()) > engine::tier_rank(largest.as_string())) {
    return Status(ErrorCode::kInvalidOptions,
                  "autoscaling.minTier must not be above autoscaling.maxTier");
  }
  return Document(spec);
}

TierBounds tier_bounds(const engine::WorkspaceSettings& workspace, std::string_view tier,
                       const Document& autoscaling) {
  Value smallest = autoscaling.get("minTier");
  Value largest = autoscaling.get("maxTier");
  TierBounds bounds;
  if (smallest.is_string()) {
    bounds.min = smallest.as_string();
  } else {
    bool below = engine::tier_rank(tier) < engine::tier_rank(workspace.default_tier);
    bounds.min = below ? std::string(tier) : workspace.default_tier;
  }
  bounds.max = largest.is_string() ? std::string(largest.as_string()) : workspace.max_tier;
  return bounds;
}

Status check_within(std::string_view tier, const TierBounds& bounds) {
  if (engine::tier_rank(tier) >= engine::tier_rank(bounds.min) &&
      engine::tier_rank(tier) <= engine::tier_rank(bounds.max)) {
    return {};
  }
  return Status(ErrorCode::kInvalidOptions, "tier " + std::string(tier) +
                                                " is outside the bounds of autoscaling, " +
                                                bounds.min + " to " + bounds.max);
}

Status check_tier_allowed(const engine::WorkspaceSettings& workspace, std::string_view tier,
                          const Document& autoscaling) {
  auto above = [&](std::string_view what, std::string_view which) {
    return Status(ErrorCode::kInvalidOptions, std::string(what) + std::string(which) +
                                                  " is above the workspace's maximum tier " +
                                                  workspace.max_tier);
  };
  int largest = engine::tier_rank(workspace.max_tier);
  if (engine::tier_rank(tier) > largest) return above("tier ", tier);
  if (!autoscaling.get("enabled").truthy()) return {};
  TierBounds bounds = tier_bounds(workspace, tier, autoscaling);
  if (engine::tier_rank(bounds.max) > largest) return above("autoscaling.maxTier ", bounds.max);
  return check_within(tier, bounds);
}

Status read_definition_options(const Options& options, engine::CreateOptions* create) {
  if (Value dlq = options.get("dlq"); !dlq.is_missing()) {
    MR_ASSIGN_OR_RETURN(create->dlq, engine::parse_dead_letter_options(dlq));
  }
  MR_ASSIGN_OR_RETURN(create->stream_meta_field, options.string("streamMetaFieldName"));
  if (create->stream_meta_field.find('\0') != std::string::npos) {
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  "options.streamMetaFieldName cannot contain a null byte");
  }
  MR_ASSIGN_OR_RETURN(create->tier, options.string("tier"));
  if (!create->tier.empty()) MR_RETURN_IF_ERROR(engine::check_tier(create->tier));
  MR_ASSIGN_OR_RETURN(create->autoscaling, read_autoscaling(options.get("autoscaling")));
  MR_ASSIGN_OR_RETURN(create->failover, options.boolean("failover", false));
  return {};
}

engine::TemporaryOwner owner_of(const Request& request) {
  engine::TemporaryOwner owner;
  owner.connection_id = request.client.connection_id;
  if (Value lsid = request.get("lsid"); lsid.is_object()) {
    if (Value id = lsid.as_object().get("id"); id.is(Type::kBinData))
      owner.session_id = id.as_string();
  }
  return owner;
}

void append_list_entry(const engine::ProcessorManager::Snapshot& snapshot,
                       engine::BsonWriter& entry) {
  const engine::ProcessorDefinition& d = snapshot.definition;
  entry.append("id", d.id);
  entry.append("name", d.name);
  entry.append("lastModified", Value::date(d.last_modified_ms));
  entry.append("state", engine::state_name(d.state));
  entry.append("errorMsg", engine::with_valid_utf8(d.error.message()));
  entry.append("pipeline", d.pipeline.get("pipeline"));
  if (!d.tier.empty()) entry.append("tier", d.tier);
  entry.append("lastStateChange", Value::date(d.last_state_change_ms));
  entry.append("workers", d.workers);
  if (d.dlq.configured()) {
    entry.begin_object("options");
    entry.begin_object("dlq");
    entry.append("connectionName", d.dlq.connection);
    entry.append("db", d.dlq.database);
    entry.append("coll", d.dlq.collection);
    entry.end();
    entry.end();
  }
}

}  // namespace millrace::commands
