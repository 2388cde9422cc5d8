#include "engine/sink/normalize.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kKafkaConfig[] = {
    "acks", "compression_type", "dateFormat",   "headers",
    "key",  "keyFormat",        "outputFormat", "tombstoneWhen"};

bool belongs_into_config(std::string_view name) {
  for (std::string_view known : kKafkaConfig) {
    if (name == known) return true;
  }
  return false;
}

// {$expr: X} alone stands for X.
Value unwrap_expr(const Value& value) {
  if (!value.is_object() || value.as_object().size() != 1) return value;
  Field field = *value.as_object().begin();
  return field.name() == "$expr" ? field.value : value;
}

// One option of `config` in its newest spelling.
void append_config(std::string_view name, const Value& value, BsonWriter& config) {
  if (name == "acks" && value.is_integer()) {
    config.append(name, std::to_string(value.integer_value()));
  } else if (name == "key" && value.is_object() && value.as_object().has("field") &&
             value.as_object().has("format")) {
    Value field = value.as_object().get("field");
    config.append("key", field.is_string() ? "$" + std::string(field.as_string()) : std::string());
    config.append("keyFormat", value.as_object().get("format"));
  } else if (name == "keyFormat" && value.is_string() && value.as_string() == "binary") {
    config.append(name, "binData");
  } else if (name == "outputFormat" && value.is_object() &&
             value.as_object().get("name").is_string() &&
             value.as_object().get("name").as_string() == "json") {
    config.append(name, "relaxedJson");
  } else if (name == "tombstoneWhen") {
    config.append(name, unwrap_expr(value));
  } else {
    config.append(name, value);
  }
}

}  // namespace

Result<Document> normalize_sink(std::string_view stage, const Value& spec) {
  if (!spec.is_object()) {
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  std::string(stage) + " must be an object");
  }
  if (stage != "$emit") return Document(spec);
  Value emit = spec;
  // {$emit: {kafka: {connectionName, topic}}} of an early example.
  if (Value inner = spec.as_object().get("kafka");
      inner.is_object() && spec.as_object().size() == 1)
    emit = inner;
  BsonWriter config;
  config.begin_document();
  Value given = emit.as_object().get("config");
  if (given.is_object()) {
    for (const Field& field : given.as_object()) append_config(field.name(), field.value, config);
  }
  bool kafka = emit.as_object().has("topic");
  BsonWriter w;
  w.begin_document();
  for (const Field& field : emit.as_object()) {
    if (field.name() == "config" && field.value.is_object()) continue;
    bool moved = kafka && belongs_into_config(field.name()) &&
                 (!given.is_object() || !given.as_object().has(field.name()));
    if (moved) {
      append_config(field.name(), field.value, config);
    } else {
      w.append(field.name(), field.value);
    }
  }
  config.end();
  Document options(config.bytes());
  if (!options.view().empty() || given.is_object()) w.append("config", options.value());
  w.end();
  return Document(w.bytes());
}

}  // namespace millrace::engine
