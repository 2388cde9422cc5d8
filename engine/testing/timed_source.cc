#include "engine/testing/timed_source.h"

#include <algorithm>
#include <bit>
#include <deque>

#include "engine/connection/connection.h"
#include "engine/document/extended_json.h"
#include "engine/source/kafka_options.h"
#include "engine/source/sources.h"
#include "engine/testing/pushed_pipeline.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

std::string big_endian(uint64_t bits, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(bits >> (8 * (size - 1 - i)));
  return bytes;
}

// The bytes that a producer would have sent for a key or a header: text as it is, numbers as
// Kafka's Java serializers write them, documents as JSON.
std::string wire_bytes(const Value& value) {
  switch (value.type()) {
    case Type::kString:
    case Type::kBinData:
      return std::string(value.as_string());
    case Type::kInt32:
      return big_endian(static_cast<uint32_t>(value.as_int32()), 4);
    case Type::kInt64:
      return big_endian(static_cast<uint64_t>(value.as_int64()), 8);
    case Type::kDouble:
      return big_endian(std::bit_cast<uint64_t>(value.as_double()), 8);
    default:
      return to_json(value, JsonFormat::kRelaxed);
  }
}

Value header(const Value& name, const Value& value, Arena& arena) {
  ObjectBuilder entry(arena, 2);
  entry.add("k", name);
  entry.add("v",
            value.is_nullish() ? Value::null() : Value::binary(0, arena.copy(wire_bytes(value))));
  return entry.finish();
}

Value header_list(const Value& headers, Arena& arena) {
  ArrayBuilder list(arena);
  if (headers.is_object()) {
    for (const Field& field : headers.as_object())
      list.add(header(Value::string(field.name()), field.value, arena));
  } else if (headers.is_array()) {
    for (const Value& entry : headers.as_array())
      list.add(header(entry.as_object().get("k"), entry.as_object().get("v"), arena));
  }
  return list.size() == 0 ? Value() : list.finish();
}

// What all stand-ins have in common: events are read in the order in which they arrived.
class TimedSource : public Source {
 public:
  TimedSource(const SourceContext& context, const Source& real, TimedSourceOptions options)
      : options_(options),
        clock_(context.clock),
        name_(real.name()),
        type_(real.type()),
        replayable_(real.replayable()) {}

  std::string_view name() const override { return name_; }
  std::string_view type() const override { return type_; }
  bool replayable() const override { return replayable_; }

  // The position is how many events have been read: {index: <long>}.
  Status open(const Value& position) override {
    MR_RETURN_IF_ERROR(status_);
    Value index = position.is_object() ? position.as_object().get("index") : Value();
    next_ = index.is_integer() ? static_cast<size_t>(index.integer_value()) : beginning();
    for (size_t i = 0; i < next_ && i < options_.input->size(); ++i) count(options_.input->at(i));
    return {};
  }

  void replay_until(const Value& position) override {
    Value index = position.is_object() ? position.as_object().get("index") : Value();
    if (index.is_integer()) replay_until_ = static_cast<size_t>(index.integer_value());
  }

  Document position() const override {
    BsonWriter w;
    w.begin_document();
    w.append("index", static_cast<int64_t>(next_));
    w.end();
    return Document(w.bytes());
  }

  Status read(SourceBatch& batch, size_t max_records, milliseconds) override {
    batch.format = format();
    batch.ingest_ms = clock_->now_ms();
    size_t limit = std::min(max_records, options_.batch_limit);
    while (next_ < options_.input->size() && batch.records.size() < limit) {
      size_t before = batch.records.size();
      const TestEvent& event = options_.input->at(next_);
      add(event, batch);
      int64_t offset = count(event);
      for (; before < batch.records.size(); ++before) {
        SourceRecord& record = batch.records[before];
        record.offset = offset;
        record.timestamp_ms = event_time(event);
        record.replayed = next_ < replay_until_;
      }
      ++next_;
    }
    batch.position = position();
    batch.replaying = next_ < replay_until_;
    batch.seal();
    return {};
  }

 protected:
  virtual PayloadFormat format() const { return PayloadFormat::kBson; }
  // Where it begins without a checkpoint. "From now on", unless the options say otherwise.
  virtual size_t beginning() const { return options_.input->size(); }
  // Makes a record of an event, or none.
  virtual void add(const TestEvent& event, SourceBatch& batch) {
    batch.add(Document(event.document).bytes());
  }
  virtual int64_t event_time(const TestEvent& event) const { return event.timestamp_ms; }
  // The event's offset in its partition.
  int64_t count(const TestEvent& event) { return offsets_[{event.topic, event.partition}]++; }

  const TimedSourceOptions options_;
  Status status_;  // why it cannot stand in

 private:
  const Clock* clock_;
  const std::string name_;
  const std::string type_;
  const bool replayable_;
  size_t next_ = 0;
  size_t replay_until_ = 0;
  std::map<std::pair<std::string, int32_t>, int64_t> offsets_;
};

class TimedDocuments final : public TimedSource {
 public:
  using TimedSource::TimedSource;

 protected:
  size_t beginning() const override { return 0; }
};

class TimedKafka final : public TimedSource {
 public:
  TimedKafka(const SourceContext& context, const Source& real, TimedSourceOptions options)
      : TimedSource(context, real, options) {
    auto parsed = parse_kafka_options(context);
    status_ = parsed.status();
    if (parsed.ok()) kafka_ = std::move(*parsed);
  }

  std::vector<SourcePartition> partitions() const override {
    std::vector<SourcePartition> list;
    for (const std::string& topic : kafka_.topics) {
      for (int32_t i = 0; i < options_.partitions; ++i) list.push_back({topic, i});
    }
    return list;
  }

  void describe(const SourceRecord& record, const Value&, Arena&,
                ObjectBuilder& source) const override {
    auto per_topic = static_cast<size_t>(options_.partitions);
    auto index = static_cast<size_t>(record.partition);
    source.add("topic", Value::string(kafka_.topics[index / per_topic]));
    source.add("partition", Value::int32(static_cast<int32_t>(index % per_topic)));
    source.add("offset", Value::int64(record.offset));
    if (record.attributes == nullptr) return;
    const auto* attributes = static_cast<const Attributes*>(record.attributes);
    source.add("key", attributes->key);
    source.add("headers", attributes->headers);
  }

 protected:
  PayloadFormat format() const override { return PayloadFormat::kJson; }
  size_t beginning() const override { return kafka_.from_beginning ? 0 : options_.input->size(); }

  void add(const TestEvent& event, SourceBatch& batch) override {
    Attributes attributes;
    const char* fault = nullptr;
    if (!event.key.is_missing()) {
      std::string bytes = wire_bytes(event.key);
      attributes.key = decode_kafka_key(bytes, kafka_.key_format, batch.arena);
      if (attributes.key.is_missing()) {
        if (kafka_.key_fault == KafkaKeyFault::kDiscard) return;
        if (kafka_.key_fault == KafkaKeyFault::kDeadLetter) {
          fault = "the Kafka key does not fit config.keyFormat";
          attributes.key = Value::binary(0, batch.arena.copy(bytes));
        }
      }
    }
    attributes.headers = header_list(event.headers, batch.arena);
    std::string payload = event.has_raw ? event.raw : to_json(event.document, JsonFormat::kRelaxed);
    SourceRecord& record =
        batch.add(kafka_json_payload(event.tombstone ? nullptr : payload.data(), payload.size()));
    auto topic = std::find(kafka_.topics.begin(), kafka_.topics.end(), event.topic);
    auto topic_index = topic == kafka_.topics.end() ? 0 : topic - kafka_.topics.begin();
    record.partition = static_cast<int32_t>(topic_index) * options_.partitions + event.partition;
    record.fault = fault;
    if (!attributes.key.is_missing() || !attributes.headers.is_missing())
      record.attributes = batch.arena.make<Attributes>(attributes);
  }

 private:
  struct Attributes {
    Value key;
    Value headers;
  };
  KafkaSourceOptions kafka_;
};

// A document that has an operationType is a change event as the server gives it; any other one is
// taken as inserted.
class TimedChangeStream final : public TimedSource {
 public:
  TimedChangeStream(const SourceContext& context, const Source& real, TimedSourceOptions options)
      : TimedSource(context, real, options) {
    Value db = context.spec.as_object().get("db");
    Value coll = context.spec.as_object().get("coll");
    database_ = db.is_string() ? db.as_string() : "test";
    if (coll.is_array()) coll = coll.as_array().at(0);
    collection_ = coll.is_string() ? coll.as_string() : "test";
    Value config = context.spec.as_object().get("config");
    if (!config.is_object()) config = Value::object({});
    full_document_only_ = config.as_object().get("fullDocumentOnly").truthy();
    for (std::string_view name : {"startAfter", "startAtOperationTime"}) {
      if (config.as_object().has(name)) refuse("$source.config." + std::string(name));
    }
    if (Value pushed = config.as_object().get("pipeline"); pushed.is_array()) {
      auto built = PushedPipeline::build(pushed, context.clock);
      if (built.ok()) {
        pushed_ = std::move(*built);
      } else {
        status_ = built.status();
      }
    }
    if (context.start_position.is_object() && !context.start_position.as_object().empty())
      refuse("a start position of a change stream");
  }

  void describe(const SourceRecord& record, const Value&, Arena&,
                ObjectBuilder& source) const override {
    ObjectView event = Value::bson_object(static_cast<const char*>(record.attributes)).as_object();
    source.add("operationType", event.get("operationType"));
    source.add("ns", event.get("ns"));
    source.add("documentKey", event.get("documentKey"));
  }

 protected:
  void add(const TestEvent& given, SourceBatch& batch) override {
    Document event = change_event(given);
    if (pushed_ == nullptr) return add_event(event, nullptr, batch);
    std::vector<Document> results = pushed_->run(event);
    if (!pushed_->failure().empty()) {  // a server would break the stream off; a test wants to see
      std::string text = pushed_->failure() + '\0';
      return add_event(event, batch.arena.copy(text).data(), batch);
    }
    for (const Document& result : results) add_event(result, nullptr, batch);
  }

  int64_t event_time(const TestEvent& event) const override {
    Value wall = event.document.as_object().get("wallTime");
    bool own = event.document.as_object().has("operationType") && wall.is(Type::kDate);
    return own && !event.has_timestamp ? wall.as_date() : event.timestamp_ms;
  }

 private:
  void add_event(const Document& document, const char* fault, SourceBatch& batch) {
    ObjectView event = document.view();
    Value full = event.get("fullDocument");
    bool without = full_document_only_ && !full.is_object();
    bool only_full = full_document_only_ && !without;
    SourceRecord& record = batch.add(only_full ? full.bson_bytes() : document.bytes());
    record.fault = fault;
    if (without)
      record.fault = "the change event has no fullDocument, which config.fullDocumentOnly asks for";
    record.attributes = batch.arena.copy(document.bytes()).data();
  }

  void refuse(const std::string& what) {
    if (status_.ok())
      status_ = Status(ErrorCode::kStreamProcessorInvalidOptions,
                       what + " is not supported by millrace test");
  }

  Document change_event(const TestEvent& given) const {
    if (given.document.as_object().has("operationType")) return Document(given.document);
    BsonWriter w;
    w.begin_document();
    w.begin_object("_id");
    w.append("_data", "stand-in");
    w.end();
    w.append("operationType", "insert");
    w.append("clusterTime", Value::timestamp(static_cast<uint32_t>(given.timestamp_ms / 1000), 1));
    w.append("wallTime", Value::date(given.timestamp_ms));
    w.append("fullDocument", given.document);
    w.begin_object("ns");
    w.append("db", database_);
    w.append("coll", collection_);
    w.end();
    w.begin_object("documentKey");
    w.append("_id", given.document.as_object().get("_id"));
    w.end();
    w.end();
    return Document(w.bytes());
  }

  std::string database_;
  std::string collection_;
  bool full_document_only_ = false;
  std::unique_ptr<PushedPipeline> pushed_;  // null without config.pipeline
};

// Passes everything on, fewer records at a time.
class LimitedSource final : public Source {
 public:
  LimitedSource(SourcePtr inner, size_t limit) : inner_(std::move(inner)), limit_(limit) {}
  std::string_view name() const override { return inner_->name(); }
  std::string_view type() const override { return inner_->type(); }
  Status open(const Value& position) override { return inner_->open(position); }
  Status read(SourceBatch& batch, size_t max_records, milliseconds max_wait) override {
    return inner_->read(batch, std::min(max_records, limit_), max_wait);
  }
  void close() override { inner_->close(); }
  Document position() const override { return inner_->position(); }
  bool replayable() const override { return inner_->replayable(); }
  void replay_until(const Value& position) override { inner_->replay_until(position); }
  std::vector<SourcePartition> partitions() const override { return inner_->partitions(); }
  void describe(const SourceRecord& record, const Value& body, Arena& arena,
                ObjectBuilder& source) const override {
    inner_->describe(record, body, arena, source);
  }

 private:
  const SourcePtr inner_;
  const size_t limit_;
};

}  // namespace

SourcePtr make_timed_source(const SourceContext& context, const Source& real,
                            TimedSourceOptions options) {
  if (context.connection == nullptr)
    return std::make_unique<TimedDocuments>(context, real, options);
  if (context.connection->type->name == "Kafka")
    return std::make_unique<TimedKafka>(context, real, options);
  if (context.connection->type->name == "Cluster")
    return std::make_unique<TimedChangeStream>(context, real, options);
  return std::make_unique<TimedSource>(context, real, options);
}

SourcePtr make_limited_documents_source(const SourceContext& context, size_t batch_limit) {
  auto source = parse_documents_source(context);
  if (!source.ok()) return nullptr;  // the real one has said so already
  return std::make_unique<LimitedSource>(std::move(*source), batch_limit);
}

}  // namespace millrace::engine
