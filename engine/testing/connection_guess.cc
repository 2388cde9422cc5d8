#include "engine/testing/connection_guess.h"

#include <map>

namespace millrace::engine {
namespace {

// Name → type.
using Guesses = std::map<std::string, std::string, std::less<>>;

Status bad(std::string message) { return Status(ErrorCode::kBadValue, std::move(message)); }

// What a connection beside these fields must be, "" if nothing says it.
std::string_view type_by_use(std::string_view stage, const ObjectView& fields) {
  if (stage == "$https") return "Https";
  if (stage == "$externalFunction") return "AWSLambda";
  if (stage == "$iceberg") return "S3";
  if (stage == "$merge" || stage == "$lookup" || stage == "$cachedLookup") return "Cluster";
  if (fields.has("topic")) return "Kafka";
  if (fields.has("db") || fields.has("coll") || fields.has("collection")) return "Cluster";
  if (fields.has("stream")) return "AWSKinesisDataStreams";
  if (fields.has("bucket")) return "S3";
  return stage == "$source" ? "Sample" : "";
}

class Guesser {
 public:
  explicit Guesser(const Value& given) : given_(given) {}

  void note(std::string_view name, std::string_view type) {
    if (type.empty() || name == "__testLog") return;
    if (given_.is_object() && given_.as_object().has(name)) return;
    auto [known, added] = types_.try_emplace(std::string(name), type);
    if (!added && known->second != type && conflict_.empty()) {
      conflict_ = "connection '" + std::string(name) + "' is used as " + known->second +
                  " and as " + std::string(type) + ": say in \"connections\" what it is";
    }
  }

  // `stage`: the innermost stage that `value` stands in.
  void walk(const Value& value, std::string_view stage) {
    if (value.is_array()) {
      for (const Value& element : value.as_array()) walk(element, stage);
      return;
    }
    if (!value.is_object()) return;
    ObjectView fields = value.as_object();
    Value name = fields.get("connectionName");
    if (name.is_string()) note(name.as_string(), type_by_use(stage, fields));
    for (const Field& field : fields) {
      bool deeper = field.name().starts_with("$");
      if (stage == "$source" && field.name() == "documents") continue;
      walk(field.value, deeper ? field.name() : stage);
    }
  }

  const Guesses& types() const { return types_; }
  const std::string& conflict() const { return conflict_; }

 private:
  const Value given_;
  Guesses types_;
  std::string conflict_;
};

// What a connection of a type needs to be one at all. Nothing is ever opened at these addresses.
void append_address(std::string_view type, BsonWriter& w) {
  if (type == "Kafka") {
    w.append("bootstrapServers", "stand-in.invalid:9092");
  } else if (type == "Cluster") {
    w.append("uri", "mongodb://stand-in.invalid");
  } else if (type == "Https" || type == "SchemaRegistry") {
    w.append("url", "https://stand-in.invalid/");
  } else if (type == "AWSKinesisDataStreams" || type == "AWSLambda" || type == "S3") {
    w.begin_object("aws");
    w.append("roleArn", "arn:aws:iam::000000000000:role/stand-in");
    w.end();
  }
}

Status add(std::string_view name, const Value& spec, ConnectionRegistry& registry) {
  BsonWriter w;
  w.begin_document();
  w.append("name", name);
  if (spec.is_string()) {
    w.append("type", spec);
    append_address(spec.as_string(), w);
  } else if (spec.is_object()) {
    for (const Field& field : spec.as_object()) {
      if (field.name() != "name") w.append(field.name(), field.value);
    }
    if (spec.as_object().size() == 1 && spec.as_object().get("type").is_string())
      append_address(spec.as_object().get("type").as_string(), w);
  } else {
    return bad("connections." + std::string(name) + " must be a type or an object");
  }
  w.end();
  Document definition(w.bytes());
  auto added = registry.upsert(definition.value());
  if (added.ok()) return {};
  return bad("connections." + std::string(name) + ": " + added.status().message());
}

}  // namespace

Status add_stand_in_connections(const Value& pipeline, const DeadLetterOptions& dlq,
                                const Value& given, ConnectionRegistry& registry) {
  Guesser guesser(given);
  guesser.walk(pipeline, "");
  if (dlq.configured()) guesser.note(dlq.connection, "Cluster");
  if (!guesser.conflict().empty()) return bad(guesser.conflict());
  for (const auto& [name, type] : guesser.types()) {
    // A name that no connection can have is for the processor itself to refuse.
    if (!check_connection_name(name).ok()) continue;
    MR_RETURN_IF_ERROR(add(name, Value::string(type), registry));
  }
  if (given.is_object()) {
    for (const Field& field : given.as_object())
      MR_RETURN_IF_ERROR(add(field.name(), field.value, registry));
  }
  return {};
}

}  // namespace millrace::engine
