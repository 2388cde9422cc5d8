#include "engine/testing/capture.h"

#include "engine/sink/kafka_producer.h"
#include "engine/sink/merge.h"

namespace millrace::engine {
namespace {

// Text of a field that is a plain name; "" for an expression.
std::string plain_name(const Value& spec, std::string_view field) {
  Value value = spec.is_object() ? spec.as_object().get(field) : Value();
  if (!value.is_string() || value.as_string().starts_with("$")) return "";
  return std::string(value.as_string());
}

class CapturingWriter final : public SinkWriter {
 public:
  CapturingWriter(std::string target, Captured& captured)
      : target_(std::move(target)), captured_(captured) {}

  Status write(const OutputBatch& batch, SinkDeadLetters&) override {
    for (const OutputBatch::Item& item : batch.items) {
      Document document(batch.document(item));
      Document route = item.route_size == 0 ? Document() : Document(batch.route(item));
      Output output;
      output.target = target(route);
      output.actual.document = document;
      output.actual.message = message(document, route, output.target);
      captured_.outputs.push_back(std::move(output));
    }
    return {};
  }

 private:
  std::string target(const Document& route) const {
    Value topic = route.get(kafka_route::kTopic);
    if (topic.is_string()) return std::string(topic.as_string());
    Value database = route.get(merge_route::kDatabase);
    Value collection = route.get(merge_route::kCollection);
    if (!database.is_string() && !collection.is_string()) return target_;
    size_t dot = target_.find('.');
    std::string db =
        database.is_string() ? std::string(database.as_string()) : target_.substr(0, dot);
    return db + "." +
           (collection.is_string() ? std::string(collection.as_string()) : target_.substr(dot + 1));
  }

  static Document message(const Document& document, const Document& route,
                          const std::string& target) {
    BsonWriter w;
    w.begin_document();
    w.append("target", target);
    w.append("document", document.value());
    for (const Field& field : route.view()) {
      if (field.name() != merge_route::kDatabase && field.name() != merge_route::kCollection)
        w.append(field.name(), field.value);
    }
    w.end();
    return Document(w.bytes());
  }

  const std::string target_;
  Captured& captured_;
};

class CapturingClient final : public ClusterClient {
 public:
  explicit CapturingClient(Captured& captured) : captured_(captured) {}

  Result<Document> run(std::string_view, const Value& command) override {
    Field first = *command.as_object().begin();
    if (first.name() != "insert") {
      return Status(ErrorCode::kNotImplemented,
                    "millrace test has no answer to the command " + std::string(first.name()));
    }
    int32_t count = 0;
    for (const Value& letter : command.as_object().get("documents").as_array()) {
      captured_.letters.emplace_back(letter);
      ++count;
    }
    BsonWriter w;
    w.begin_document();
    w.append("n", count);
    w.append("ok", 1.0);
    w.end();
    return Document(w.bytes());
  }

 private:
  Captured& captured_;
};

}  // namespace

std::string fixed_target(const Value& pipeline) {
  Value last;
  for (const Value& stage : pipeline.as_array()) last = stage;
  if (!last.is_object() || last.as_object().empty()) return "";
  Field stage = *last.as_object().begin();
  if (!stage.value.is_object()) return "";
  if (stage.name() == "$merge") {
    Value into = stage.value.as_object().get("into");
    return plain_name(into, "db") + "." + plain_name(into, "coll");
  }
  if (plain_name(stage.value, "connectionName") == "__testLog") return "__testLog";
  return plain_name(stage.value, "topic");
}

std::unique_ptr<SinkWriter> make_capturing_writer(std::string target, Captured& captured) {
  return std::make_unique<CapturingWriter>(std::move(target), captured);
}

Result<std::unique_ptr<ClusterClient>> CapturingClusters::connect(const Connection&) {
  return std::unique_ptr<ClusterClient>(std::make_unique<CapturingClient>(captured_));
}

}  // namespace millrace::engine
