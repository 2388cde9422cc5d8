#include "engine/source/kafka_options.h"

#include <algorithm>
#include <bit>
#include <set>

#include "engine/connection/options.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

Status parse_topics(const Options& options, std::vector<std::string>& topics) {
  Value value = options.get("topic");
  if (value.is_missing()) return options.error("topic", "is required");
  if (value.is_string()) {
    topics.emplace_back(value.as_string());
  } else if (value.is_array()) {
    for (const Value& topic : value.as_array()) {
      if (!topic.is_string()) return options.error("topic", "must hold strings");
      topics.emplace_back(topic.as_string());
    }
  } else {
    return options.wrong_type("topic", "a string or an array of strings");
  }
  std::set<std::string> seen;
  for (const std::string& topic : topics) {
    if (topic.empty()) return options.error("topic", "must not be empty");
    if (!seen.insert(topic).second) return options.error("topic", "names '" + topic + "' twice");
  }
  if (topics.empty()) return options.error("topic", "must name at least one topic");
  return {};
}

// The value of a property of the connection, taken out of the list; "" without one.
std::string take(KafkaProperties& properties, std::string_view name) {
  std::string value;
  std::erase_if(properties, [&](const auto& property) {
    if (property.first != name) return false;
    value = property.second;
    return true;
  });
  return value;
}

Status parse_start(const Options& config, KafkaSourceOptions& parsed) {
  auto reset = config.choice("auto_offset_reset",
                             {"earliest", "beginning", "smallest", "latest", "end", "largest"});
  if (!reset.ok()) return reset.status();
  std::string of_connection = take(parsed.properties, "auto.offset.reset");
  std::string chosen = *reset ? **reset : of_connection;
  parsed.from_beginning = chosen == "earliest" || chosen == "beginning" || chosen == "smallest";
  return {};
}

Status parse_group(const Options& config, const SourceContext& context,
                   KafkaSourceOptions& parsed) {
  auto group = config.string("group_id");
  if (!group.ok()) return group.status();
  if (*group && (*group)->empty()) return config.error("group_id", "must not be empty");
  std::string of_connection = take(parsed.properties, "group.id");
  bool persisted = !context.processor_id.empty();
  parsed.group = *group ? **group : of_connection;
  parsed.group_given = !parsed.group.empty();
  if (!parsed.group_given && persisted) parsed.group = "asp-" + context.processor_id + "-consumer";
  auto commit = config.boolean("enable_auto_commit");
  if (!commit.ok()) return commit.status();
  // Unless the user asks for it, offsets are committed with the checkpoint that covers their
  // effects (promise G1); where there are no checkpoints (sp.process) when they are read.
  parsed.commit_when_read = *commit ? **commit : !persisted && parsed.group_given;
  if (parsed.commit_when_read && parsed.group.empty())
    return config.error("enable_auto_commit", "needs group_id here");
  return {};
}

Status parse_key(const Options& config, KafkaSourceOptions& parsed) {
  auto format = config.choice("keyFormat", {"binData", "string", "json", "int", "long", "double"});
  if (!format.ok()) return format.status();
  if (*format) {
    static constexpr std::string_view kNames[] = {"binData", "string", "json",
                                                  "int",     "long",   "double"};
    parsed.key_format = static_cast<KafkaKeyFormat>(
        std::find(std::begin(kNames), std::end(kNames), **format) - std::begin(kNames));
  }
  // "discard" stands in older texts.
  auto fault = config.choice("keyFormatError", {"dlq", "passThrough", "discard"});
  if (!fault.ok()) return fault.status();
  if (*fault && **fault == "passThrough") parsed.key_fault = KafkaKeyFault::kPassThrough;
  if (*fault && **fault == "discard") parsed.key_fault = KafkaKeyFault::kDiscard;
  return {};
}

template <typename T>
T big_endian(std::string_view bytes) {
  T value = 0;
  for (char byte : bytes) value = static_cast<T>(value << 8 | static_cast<uint8_t>(byte));
  return value;
}

}  // namespace

Result<KafkaSourceOptions> parse_kafka_options(const SourceContext& context) {
  Options options(context.spec, "$source");
  MR_RETURN_IF_ERROR(options.only(
      {"connectionName", "topic", "timeField", "tsFieldName", "partitionIdleTimeout", "config"},
      {"partitions", "schemaRegistry"}));
  KafkaSourceOptions parsed;
  MR_RETURN_IF_ERROR(parse_topics(options, parsed.topics));
  MR_ASSIGN_OR_RETURN(auto idle, options.duration_ms("partitionIdleTimeout"));
  parsed.partition_idle_timeout_ms = idle.value_or(0);
  MR_ASSIGN_OR_RETURN(parsed.properties,
                      kafka_properties(*context.connection, KafkaRole::kConsumer));
  Options config = options.sub("config");
  MR_RETURN_IF_ERROR(config.only(
      {"auto_offset_reset", "group_id", "enable_auto_commit", "keyFormat", "keyFormatError"}));
  MR_RETURN_IF_ERROR(parse_start(config, parsed));
  MR_RETURN_IF_ERROR(parse_group(config, context, parsed));
  MR_RETURN_IF_ERROR(parse_key(config, parsed));
  if (context.start_position.is_object() && !context.start_position.as_object().empty()) {
    return Status(ErrorCode::kInvalidOptions,
                  "startAfter and startAtOperationTime are for change stream sources only");
  }
  return parsed;
}

Value decode_kafka_key(std::string_view bytes, KafkaKeyFormat format, Arena& arena) {
  switch (format) {
    case KafkaKeyFormat::kBinData:
      return Value::binary(0, arena.copy(bytes));
    case KafkaKeyFormat::kString:
      return is_valid_utf8(bytes) ? Value::string(arena.copy(bytes)) : Value();
    case KafkaKeyFormat::kJson: {
      auto value = parse_extended_json_value(bytes, arena);
      return value.ok() && value->is_object() ? *value : Value();
    }
    case KafkaKeyFormat::kInt:
      return bytes.size() == 4 ? Value::int32(static_cast<int32_t>(big_endian<uint32_t>(bytes)))
                               : Value();
    case KafkaKeyFormat::kLong:
      return bytes.size() == 8 ? Value::int64(static_cast<int64_t>(big_endian<uint64_t>(bytes)))
                               : Value();
    case KafkaKeyFormat::kDouble:
      return bytes.size() == 8 ? Value::number(std::bit_cast<double>(big_endian<uint64_t>(bytes)))
                               : Value();
  }
  return Value();
}

std::string_view kafka_json_payload(const void* payload, size_t size) {
  constexpr size_t kFrameBytes = 5;
  if (payload == nullptr) return "{}";
  std::string_view text(static_cast<const char*>(payload), size);
  if (size > kFrameBytes && text[0] == 0 && (text[kFrameBytes] == '{' || text[kFrameBytes] == '['))
    text.remove_prefix(kFrameBytes);
  return text;
}

}  // namespace millrace::engine
