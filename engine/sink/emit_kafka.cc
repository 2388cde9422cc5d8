// $emit to Kafka: its options, and the encoder that evaluates topic, key, headers and tombstone per
// document. Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-emit/
#include <bit>
#include <cmath>
#include <optional>

#include "engine/connection/options.h"
#include "engine/sink/dynamic_option.h"
#include "engine/sink/kafka_producer.h"
#include "engine/sink/sinks.h"

namespace millrace::engine {
namespace {

enum class KeyFormat : uint8_t { kBinData, kString, kJson, kInt, kLong, kDouble };

// Kafka's rule for names of topics.
bool is_topic_name(std::string_view name) {
  if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
  for (char c : name) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '_' || c == '-';
    if (!good) return false;
  }
  return true;
}

// `size` bytes of a number, the highest first, as Java's serializers write them.
std::string_view big_endian(uint64_t bits, size_t size, Arena& arena) {
  char bytes[8];
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(bits >> (8 * (size - 1 - i)));
  return arena.copy({bytes, size});
}
std::string_view big_endian(double number, Arena& arena) {
  return big_endian(std::bit_cast<uint64_t>(number), 8, arena);
}

std::string_view json_text(const Value& value, Arena& arena) {
  std::string text;
  append_json(value, text, JsonFormat::kRelaxed);
  return arena.copy(text);
}

// The whole number that a value stands for, if it does.
std::optional<int64_t> whole_number(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  if (!value.is(Type::kDouble)) return std::nullopt;
  double number = value.as_double();
  if (!(number >= -0x1p63 && number < 0x1p63) || std::trunc(number) != number) return std::nullopt;
  return static_cast<int64_t>(number);
}

// The bytes of a key, or nothing if the value does not fit the format.
std::optional<std::string_view> key_bytes(const Value& value, KeyFormat format, Arena& arena) {
  switch (format) {
    case KeyFormat::kBinData:
      if (value.is(Type::kBinData) || value.is_string()) return value.as_string();
      return std::nullopt;
    case KeyFormat::kString:
      if (value.is_string()) return value.as_string();
      return std::nullopt;
    case KeyFormat::kJson:
      if (value.is_object()) return json_text(value, arena);
      return std::nullopt;
    case KeyFormat::kInt: {
      auto number = whole_number(value);
      if (!number || *number != static_cast<int32_t>(*number)) return std::nullopt;
      return big_endian(static_cast<uint32_t>(*number), 4, arena);
    }
    case KeyFormat::kLong: {
      auto number = whole_number(value);
      if (!number) return std::nullopt;
      return big_endian(static_cast<uint64_t>(*number), 8, arena);
    }
    case KeyFormat::kDouble:
      if (value.is_number() && !value.is(Type::kDecimal))
        return big_endian(value.to_double(), arena);
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view format_name(KeyFormat format) {
  constexpr std::string_view kNames[] = {"binData", "string", "json", "int", "long", "double"};
  return kNames[static_cast<size_t>(format)];
}

// A header's value: binData, or null for a null header. Throws EvaluationError for other types.
Value header_value(std::string_view name, const Value& value, Arena& arena) {
  switch (value.type()) {
    case Type::kMissing:
    case Type::kUndefined:
    case Type::kNull:
      return Value::null();
    case Type::kBinData:
    case Type::kString:
      return Value::binary(0, value.as_string());
    case Type::kObject:
      return Value::binary(0, json_text(value, arena));
    case Type::kInt32:
      return Value::binary(0, big_endian(static_cast<uint32_t>(value.as_int32()), 4, arena));
    case Type::kInt64:
      return Value::binary(0, big_endian(static_cast<uint64_t>(value.as_int64()), 8, arena));
    case Type::kDouble:
      return Value::binary(0, big_endian(value.as_double(), arena));
    default:
      fail_evaluation(ErrorCode::kTypeMismatch, "$emit.config.headers: the header '" +
                                                    std::string(name) + "' cannot be of type " +
                                                    std::string(value.type_name()));
  }
}

void add_header(std::string_view name, const Value& value, Arena& arena, ArrayBuilder& headers) {
  ObjectBuilder header(arena, 2);
  header.add("k", Value::string(name));
  header.add("v", header_value(name, value, arena));
  headers.add(header.finish());
}

// [{k, v}] of an object, each field a header, or of an array that has this form already. Missing or
// null: none.
Value header_list(const Value& value, Arena& arena) {
  if (value.is_nullish()) return Value();
  ArrayBuilder headers(arena);
  if (value.is_object()) {
    for (const Field& field : value.as_object())
      add_header(field.name(), field.value, arena, headers);
    return headers.finish();
  }
  if (!value.is_array()) {
    fail_evaluation(ErrorCode::kTypeMismatch,
                    "$emit.config.headers must give an object or an array, not " +
                        std::string(value.type_name()));
  }
  for (const Value& element : value.as_array()) {
    Value name = element.is_object() ? element.as_object().get("k") : Value();
    if (!name.is_string())
      fail_evaluation(
          ErrorCode::kTypeMismatch,
          "$emit.config.headers: each element must be an object with a string 'k' and a 'v'");
    add_header(name.as_string(), element.as_object().get("v"), arena, headers);
  }
  return headers.finish();
}

class KafkaEmitEncoder final : public SinkEncoder {
 public:
  // What is null is not there, or fixed.
  struct Dynamic {
    ExpressionPtr topic;
    ExpressionPtr key;
    KeyFormat key_format = KeyFormat::kBinData;
    ExpressionPtr headers;
    ExpressionPtr tombstone_when;

    bool any() const { return topic || key || headers || tombstone_when; }
  };

  explicit KafkaEmitEncoder(Dynamic dynamic) : dynamic_(std::move(dynamic)) {}

  std::string_view name() const override { return kKafkaEmitOperatorName; }

  void dependencies(Dependencies& dependencies) const override {
    dependencies.fields.add_all();
    for (const auto* expression :
         {&dynamic_.topic, &dynamic_.key, &dynamic_.headers, &dynamic_.tombstone_when}) {
      if (*expression) (*expression)->add_dependencies(dependencies);
    }
  }

  void encode(const StreamDocument& document, OperatorContext& context,
              OutputBatch& batch) override {
    append(document.body, batch, dynamic_.any() ? route(context.eval) : Value());
  }

 private:
  Value route(EvalContext& eval) const {
    ObjectBuilder builder(*eval.arena, 4);
    if (dynamic_.topic) {
      Value topic = evaluate_target(*dynamic_.topic, eval, "$emit.topic");
      if (!is_topic_name(topic.as_string()))
        fail_evaluation(ErrorCode::kBadValue, "$emit.topic gives " + shown(topic) +
                                                  ", which no Kafka topic can be called");
      builder.add(kafka_route::kTopic, topic);
    }
    if (dynamic_.key) builder.add(kafka_route::kKey, key(eval));
    if (dynamic_.headers)
      builder.add(kafka_route::kHeaders,
                  header_list(dynamic_.headers->evaluate(eval), *eval.arena));
    if (dynamic_.tombstone_when) {
      Value when = dynamic_.tombstone_when->evaluate(eval);
      if (!when.is(Type::kBool))
        fail_evaluation(
            ErrorCode::kTypeMismatch,
            "$emit.config.tombstoneWhen must give a boolean, not " + std::string(when.type_name()));
      if (when.as_bool()) builder.add(kafka_route::kTombstone, when);
    }
    return builder.finish();
  }

  // Missing where the expression gives nothing: a message without a key.
  Value key(EvalContext& eval) const {
    Value value = dynamic_.key->evaluate(eval);
    if (value.is_nullish()) return Value();
    auto bytes = key_bytes(value, dynamic_.key_format, *eval.arena);
    if (!bytes) {
      fail_evaluation(ErrorCode::kTypeMismatch,
                      "$emit.config.key gives a value of type " + std::string(value.type_name()) +
                          ", which does not fit keyFormat '" +
                          std::string(format_name(dynamic_.key_format)) + "'");
    }
    return Value::binary(0, *bytes);
  }

  const Dynamic dynamic_;
};

Result<KeyFormat> parse_key_format(const Options& config) {
  MR_ASSIGN_OR_RETURN(auto text, config.choice("keyFormat", {"binData", "string", "json", "int",
                                                             "long", "double"}));
  for (KeyFormat format : {KeyFormat::kString, KeyFormat::kJson, KeyFormat::kInt, KeyFormat::kLong,
                           KeyFormat::kDouble}) {
    if (text && *text == format_name(format)) return format;
  }
  return KeyFormat::kBinData;
}

Status parse_config(const Options& config, ParseContext& parse, KafkaEmitEncoder::Dynamic& dynamic,
                    KafkaEmitPlan& plan) {
  MR_RETURN_IF_ERROR(config.only({"acks", "compression_type", "dateFormat", "headers", "key",
                                  "keyFormat", "outputFormat", "tombstoneWhen"}));
  MR_ASSIGN_OR_RETURN(auto acks, config.choice("acks", {"-1", "0", "1", "all"}));
  MR_ASSIGN_OR_RETURN(auto compression,
                      config.choice("compression_type", {"none", "gzip", "snappy", "lz4", "zstd"}));
  MR_ASSIGN_OR_RETURN(plan.properties, producer_properties(*plan.connection, acks.value_or(""),
                                                           compression.value_or("")));
  MR_ASSIGN_OR_RETURN(auto dates, config.choice("dateFormat", {"default", "ISO8601"}));
  if (dates.value_or("default") == "ISO8601") plan.dates = DateFormat::kIso8601;
  MR_ASSIGN_OR_RETURN(auto format,
                      config.choice("outputFormat", {"relaxedJson", "canonicalJson", "basicJson"}));
  if (format.value_or("") == "canonicalJson") plan.format = JsonFormat::kCanonical;
  if (format.value_or("") == "basicJson") plan.format = JsonFormat::kBasic;
  MR_ASSIGN_OR_RETURN(dynamic.key_format, parse_key_format(config));
  if (config.has("key")) {
    Value key = config.get("key");
    if (!key.is_string() && !key.is_object())
      return config.wrong_type("key", "a string or an expression");
    MR_ASSIGN_OR_RETURN(dynamic.key, parse_expression(key, parse));
  }
  if (config.has("headers")) {
    MR_ASSIGN_OR_RETURN(dynamic.headers, parse_expression(config.get("headers"), parse));
  }
  if (config.has("tombstoneWhen")) {
    MR_ASSIGN_OR_RETURN(dynamic.tombstone_when,
                        parse_expression(config.get("tombstoneWhen"), parse));
  }
  return {};
}

}  // namespace

Result<Sink> parse_kafka_emit_sink(SinkContext& context) {
  Options options(context.spec, "$emit");
  MR_RETURN_IF_ERROR(options.only({"connectionName", "topic", "config"}, {"schemaRegistry"}));
  KafkaEmitPlan plan;
  KafkaEmitEncoder::Dynamic dynamic;
  plan.connection = context.connection;
  MR_ASSIGN_OR_RETURN(DynamicOption topic, parse_dynamic_option(options, "topic", context.parse));
  if (!topic.expression && !is_topic_name(topic.fixed))
    return options.error("topic", "must be the name of a Kafka topic, not '" + topic.fixed + "'");
  plan.topic = std::move(topic.fixed);
  dynamic.topic = std::move(topic.expression);
  MR_RETURN_IF_ERROR(parse_config(options.sub("config"), context.parse, dynamic, plan));
  Sink sink;
  sink.encoder = std::make_unique<KafkaEmitEncoder>(std::move(dynamic));
  sink.writer = make_kafka_writer(std::move(plan));
  return sink;
}

}  // namespace millrace::engine
