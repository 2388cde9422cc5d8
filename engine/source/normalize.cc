#include "engine/source/normalize.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::engine {
namespace {

// Options that belong into `config` and were once written beside it.
constexpr std::array<std::string_view, 9> kConfigOptions = {
    "auto_offset_reset",    "consumerARN", "fullDocument", "fullDocumentBeforeChange",
    "fullDocumentOnly",     "group_id",    "pipeline",     "startAfter",
    "startAtOperationTime",
};

bool belongs_into_config(std::string_view name) {
  return std::find(kConfigOptions.begin(), kConfigOptions.end(), name) != kConfigOptions.end();
}

// Kafka's reader has no such wait: a helper that moves connectors writes it, to no effect.
bool is_no_kafka_option(const ObjectView& spec, std::string_view name) {
  return name == "maxAwaitTimeMS" && spec.has("topic");
}

Value newest_key_format(const Value& value) {
  return value.is_string() && value.as_string() == "binary" ? Value::string("binData") : value;
}

void write_config(const ObjectView& spec, const Value& config, BsonWriter& to) {
  to.begin_object("config");
  if (config.is_object()) {
    for (const Field& field : config.as_object()) {
      if (is_no_kafka_option(spec, field.name())) continue;
      to.append(field.name(),
                field.name() == "keyFormat" ? newest_key_format(field.value) : field.value);
    }
  }
  for (const Field& field : spec) {
    bool given = config.is_object() && config.as_object().has(field.name());
    if (belongs_into_config(field.name()) && !given) to.append(field.name(), field.value);
  }
  to.end();
}

}  // namespace

Result<Document> normalize_source(const Value& value) {
  ObjectView spec = value.as_object();
  Value config = spec.get("config");
  bool strays = false;
  for (const Field& field : spec) strays = strays || belongs_into_config(field.name());
  bool with_config = config.is_object() || (strays && config.is_missing());

  BsonWriter to;
  to.begin_document();
  for (const Field& field : spec) {
    std::string_view name = field.name();
    if (belongs_into_config(name) && with_config) continue;
    if (name == "config" && with_config) continue;
    if (name == "partitionCount" || is_no_kafka_option(spec, name)) continue;
    if (name == "collection") {
      if (!spec.has("coll")) to.append("coll", field.value);
      continue;
    }
    if (name == "readPreference" && field.value.is_object() &&
        field.value.as_object().get("mode").is_string()) {
      to.append(name, field.value.as_object().get("mode"));
      continue;
    }
    to.append(name, field.value);
  }
  if (with_config) write_config(spec, config, to);
  to.end();
  return Document(to.bytes());
}

}  // namespace millrace::engine
