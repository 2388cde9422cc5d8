// $source of type Cluster: the change stream of a collection, several collections, a database or a
// whole deployment. https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-source/ and
// https://github.com/mongodb/specifications/blob/master/source/change-streams/change-streams.md
// (resuming)
//
// The cursor is driven by commands (aggregate, getMore) over a ClusterClient and not by
// mongo-c-driver's own change stream: that one gives event by event and cannot say whether the next
// one is there already, so that a batch could only be ended by waiting.
#include <algorithm>
#include <array>
#include <mutex>

#include "engine/connection/cluster_client.h"
#include "engine/connection/options.h"
#include "engine/source/sources.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kDefaultAwaitMs = 1000;
constexpr int64_t kOutageLimitNs =
    30'000'000'000;  // a deployment that is away for longer is an error
constexpr size_t kMaxBatchRecords = 10'000;

struct ChangeStreamOptions {
  std::string database;                  // "" for the whole deployment
  std::vector<std::string> collections;  // empty for the whole database
  Document stage;                        // options of $changeStream, without the start
  Document pipeline;                     // {"": [...]}: what is pushed down behind $changeStream
  Document start;  // {startAfter: …} or {startAtOperationTime: <timestamp>} or {}
  bool full_document_only = false;
  int64_t await_ms = kDefaultAwaitMs;
};

// What {$meta: "stream.source…"} shows of an event.
struct EventAttributes {
  Value operation;
  Value ns;
  Value document_key;
};

std::string_view text_of(const Value& value) {
  return value.is_string() ? value.as_string() : std::string_view();
}

// Resume tokens of one deployment compare as their `_data` does: hex digits of a key string.
std::string_view token_text(const Value& token) { return text_of(token.as_object().get("_data")); }

// Errors after which the specification opens the stream again behind the last event.
bool is_resumable(const Status& status) {
  static constexpr std::array kCodes = {43, 63, 133, 150, 216, 234, 13388};
  return is_retryable_server_error(status.code()) ||
         std::find(kCodes.begin(), kCodes.end(), status.code()) != kCodes.end();
}

class ChangeStreamSource final : public Source {
 public:
  ChangeStreamSource(ChangeStreamOptions options, ConnectionPtr connection,
                     ClusterConnector* clusters, const Clock* clock)
      : options_(std::move(options)),
        connection_(std::move(connection)),
        clusters_(clusters),
        clock_(clock) {}
  ~ChangeStreamSource() override { close(); }

  std::string_view name() const override { return "ChangeStreamConsumerOperator"; }
  std::string_view type() const override { return "atlas"; }

  // The position is {resumeToken: {_data: …}}.
  Status open(const Value& position) override {
    close();
    MR_ASSIGN_OR_RETURN(client_, clusters_->connect(*connection_));
    Value token = position.is_object() ? position.as_object().get("resumeToken") : Value();
    if (token.is_object()) token_ = Document(token);
    return start();
  }

  Status read(SourceBatch& batch, size_t max_records, milliseconds max_wait) override;

  void close() override {
    // Best effort, so that the server need not wait for its own timeout.
    if (client_ != nullptr && cursor_ != 0) {
      BsonWriter command;
      command.begin_document();
      command.append("killCursors", cursor_collection_);
      command.begin_array("cursors");
      command.append_element(0, Value::int64(cursor_));
      command.end();
      command.end();
      auto ignored = client_->run(cursor_database_, Value::bson_object(command.bytes().data()));
      static_cast<void>(ignored);
    }
    cursor_ = 0;
    token_ = Document();
    invalidated_ = false;
    outage_since_ns_ = 0;
    client_.reset();
  }

  Document position() const override {
    BsonWriter position;
    position.begin_document();
    if (!token_.view().empty()) position.append("resumeToken", token_.value());
    position.end();
    return Document(position.bytes());
  }

  bool replayable() const override { return true; }
  void replay_until(const Value& position) override {
    Value token = position.is_object() ? position.as_object().get("resumeToken") : Value();
    replay_until_ = token.is_object() ? std::string(token_text(token)) : std::string();
  }

  void describe(const SourceRecord& record, const Value& /*body*/, Arena& /*arena*/,
                ObjectBuilder& source) const override {
    if (record.attributes == nullptr) return;
    const auto* event = static_cast<const EventAttributes*>(record.attributes);
    source.add("operationType", event->operation);
    source.add("ns", event->ns);
    source.add("documentKey", event->document_key);
  }

  void add_stats(const Value& processed, const Value& /*checkpoint*/,
                 BsonWriter& stats) const override {
    if (processed.is_object())
      stats.append("changeStreamState", processed.as_object().get("resumeToken"));
    std::lock_guard lock(mutex_);
    stats.append("changeStreamTimeDifferenceSecs", int32_t{lag_seconds_});
  }

 private:
  Status start();
  void aggregate_command(BsonWriter& command) const;
  Status take_cursor(const Document& reply, std::string_view batch_name, SourceBatch* batch);
  void add_event(const Value& event, SourceBatch& batch);
  void note_lag(const Document& reply, uint32_t last_event_seconds);

  // Configuration.
  const ChangeStreamOptions options_;
  const ConnectionPtr connection_;
  ClusterConnector* const clusters_;
  const Clock* const clock_;

  // State that a checkpoint saves.
  Document token_;  // {} before the server has given one

  // State that it does not.
  std::string replay_until_;  // the `_data` of a resume token, or empty
  std::unique_ptr<ClusterClient> client_;
  int64_t cursor_ = 0;
  std::string cursor_database_;
  std::string cursor_collection_;
  bool invalidated_ = false;
  int64_t outage_since_ns_ = 0;
  uint32_t last_event_seconds_ = 0;
  mutable std::mutex mutex_;
  int32_t lag_seconds_ = 0;  // guarded by mutex_
};

// {aggregate: …, pipeline: [{$changeStream: …}, …], cursor: {batchSize: 0}}: the first events come
// with the first getMore.
void ChangeStreamSource::aggregate_command(BsonWriter& command) const {
  command.begin_document();
  if (options_.collections.size() == 1) {
    command.append("aggregate", options_.collections[0]);
  } else {
    command.append("aggregate", int32_t{1});
  }
  command.begin_array("pipeline");
  command.begin_object("0");
  command.begin_object("$changeStream");
  for (const Field& field : options_.stage.view()) command.append(field.name(), field.value);
  if (!token_.view().empty()) {
    command.append("startAfter",
                   token_.value());  // also behind an invalidation, where resumeAfter would not do
  } else {
    for (const Field& field : options_.start.view()) command.append(field.name(), field.value);
  }
  command.end();
  command.end();
  size_t index = 1;
  if (options_.collections.size() > 1) {
    command.begin_object(std::to_string(index++));
    command.begin_object("$match");
    command.begin_object("ns.coll");
    command.begin_array("$in");
    size_t position = 0;
    for (const std::string& collection : options_.collections)
      command.append_element(position++, Value::string(collection));
    command.end();
    command.end();
    command.end();
    command.end();
  }
  Value pushed = options_.pipeline.get("");
  if (pushed.is_array()) {
    for (const Value& stage : pushed.as_array()) command.append_element(index++, stage);
  }
  command.end();
  command.begin_object("cursor");
  command.append("batchSize", int32_t{0});
  command.end();
  command.end();
}

Status ChangeStreamSource::start() {
  BsonWriter command;
  aggregate_command(command);
  std::string_view database =
      options_.database.empty() ? "admin" : std::string_view(options_.database);
  MR_ASSIGN_OR_RETURN(Document reply,
                      client_->run(database, Value::bson_object(command.bytes().data())));
  return take_cursor(reply, "firstBatch", nullptr);
}

// Takes the cursor's id, the events and the newest resume token out of a reply.
Status ChangeStreamSource::take_cursor(const Document& reply, std::string_view batch_name,
                                       SourceBatch* batch) {
  Value cursor = reply.get("cursor");
  Value id = cursor.is_object() ? cursor.as_object().get("id") : Value();
  Value events = cursor.is_object() ? cursor.as_object().get(batch_name) : Value();
  if (!id.is_integer() || !events.is_array())
    return Status(ErrorCode::kOperationFailed,
                  "the server's answer to a change stream has no cursor");
  cursor_ = id.integer_value();
  std::string_view ns = text_of(cursor.as_object().get("ns"));
  size_t dot = ns.find('.');
  if (dot != std::string_view::npos) {
    cursor_database_ = ns.substr(0, dot);
    cursor_collection_ = ns.substr(dot + 1);
  }
  if (batch != nullptr) {
    for (const Value& event : events.as_array()) {
      if (event.is_object()) add_event(event, *batch);
    }
  }
  Value token = cursor.as_object().get("postBatchResumeToken");
  if (token.is_object() && !invalidated_) token_ = Document(token);
  note_lag(reply, events.as_array().empty() ? 0 : last_event_seconds_);
  return {};
}

void ChangeStreamSource::add_event(const Value& value, SourceBatch& batch) {
  ObjectView event = value.as_object();
  Value full = event.get("fullDocument");
  bool without = options_.full_document_only && !full.is_object();
  Value payload = options_.full_document_only && !without ? full : value;
  SourceRecord& record = batch.add(payload.bson_bytes());
  if (without)
    record.fault = "the change event has no fullDocument, which config.fullDocumentOnly asks for";

  auto copy = [&](const Value& object) {
    return object.is_object() ? Value::bson_object(batch.arena.copy(object.bson_bytes()).data())
                              : Value();
  };
  EventAttributes attributes;
  std::string_view operation = text_of(event.get("operationType"));
  attributes.operation = Value::string(batch.arena.copy(operation));
  attributes.ns = copy(event.get("ns"));
  attributes.document_key = copy(event.get("documentKey"));
  record.attributes = batch.arena.make<EventAttributes>(attributes);

  Value wall = event.get("wallTime");
  Value cluster = event.get("clusterTime");
  record.timestamp_ms = batch.ingest_ms;
  if (cluster.is(Type::kTimestamp)) {
    last_event_seconds_ = cluster.timestamp_seconds();
    record.timestamp_ms = int64_t{last_event_seconds_} * 1000;
  }
  if (wall.is(Type::kDate)) record.timestamp_ms = wall.as_date();
  if (Value id = event.get("_id"); id.is_object()) {
    token_ = Document(id);
    record.replayed = token_text(id) <= replay_until_;
  }
  if (operation == "invalidate") invalidated_ = true;
}

// How far the last event read lies behind the newest entry of the oplog; a stream that has nothing
// to give is up to date.
void ChangeStreamSource::note_lag(const Document& reply, uint32_t last_event_seconds) {
  Value newest = reply.get("operationTime");
  int32_t lag = 0;
  if (last_event_seconds != 0 && newest.is(Type::kTimestamp) &&
      newest.timestamp_seconds() > last_event_seconds) {
    lag = static_cast<int32_t>(newest.timestamp_seconds() - last_event_seconds);
  }
  std::lock_guard lock(mutex_);
  lag_seconds_ = lag;
}

Status ChangeStreamSource::read(SourceBatch& batch, size_t max_records, milliseconds max_wait) {
  if (client_ == nullptr) return Status(ErrorCode::kInternalError, "the change stream is not open");
  batch.format = PayloadFormat::kBson;
  batch.ingest_ms = clock_->now_ms();
  if (cursor_ == 0 && invalidated_) {
    return Status(ErrorCode::kChangeStreamFatalError,
                  "the change stream was invalidated: what it watches was dropped or renamed");
  }
  Status status;
  if (cursor_ == 0) status = start();
  if (status.ok() && cursor_ != 0) {
    BsonWriter command;
    command.begin_document();
    command.append("getMore", int64_t{cursor_});
    command.append("collection", cursor_collection_);
    command.append("batchSize",
                   static_cast<int32_t>(std::clamp<size_t>(max_records, 1, kMaxBatchRecords)));
    command.append("maxTimeMS",
                   std::max<int64_t>(1, std::min<int64_t>(options_.await_ms, max_wait.count())));
    command.end();
    auto reply = client_->run(cursor_database_, Value::bson_object(command.bytes().data()));
    status = reply.ok() ? take_cursor(*reply, "nextBatch", &batch) : reply.status();
  }
  if (status.ok()) {
    outage_since_ns_ = 0;
  } else if (is_resumable(status)) {
    // Opened again at the next call, behind the last event.
    cursor_ = 0;
    int64_t now = clock_->monotonic_ns();
    if (outage_since_ns_ == 0) outage_since_ns_ = now;
    if (now - outage_since_ns_ > kOutageLimitNs) return status;
  } else {
    cursor_ = 0;
    return status;
  }
  batch.position = position();
  batch.replaying = !replay_until_.empty() && token_text(token_.value()) < replay_until_;
  batch.seal();
  return {};
}

Status parse_namespace(const Options& options, ChangeStreamOptions& parsed) {
  auto database = options.string("db");
  if (!database.ok()) return database.status();
  parsed.database = (*database).value_or("");
  if (*database && parsed.database.empty()) return options.error("db", "must not be empty");
  Value coll = options.get("coll");
  if (coll.is_missing()) return {};
  if (parsed.database.empty()) return options.error("coll", "needs db");
  if (coll.is_string()) {
    parsed.collections.emplace_back(coll.as_string());
  } else if (coll.is_array()) {
    for (const Value& name : coll.as_array()) {
      if (!name.is_string()) return options.error("coll", "must hold strings");
      parsed.collections.emplace_back(name.as_string());
    }
  } else {
    return options.wrong_type("coll", "a string or an array of strings");
  }
  bool empty_name = std::find(parsed.collections.begin(), parsed.collections.end(), "") !=
                    parsed.collections.end();
  if (empty_name || parsed.collections.empty())
    return options.error("coll", "must name at least one collection");
  return {};
}

// {startAfter: <token>} or {startAtOperationTime: <timestamp or date>}, whichever `options` has, as
// $changeStream wants it.
Result<Document> parse_start(const Options& options) {
  Value after = options.get("startAfter");
  Value at = options.get("startAtOperationTime");
  BsonWriter start;
  start.begin_document();
  if (!after.is_missing() && !at.is_missing())
    return options.error("startAfter", "and startAtOperationTime exclude each other");
  if (!after.is_missing()) {
    if (!after.is_object()) return options.wrong_type("startAfter", "a resume token");
    start.append("startAfter", after);
  }
  if (!at.is_missing()) {
    bool date = at.is(Type::kDate) && at.as_date() >= 0 && at.as_date() / 1000 <= UINT32_MAX;
    if (!date && !at.is(Type::kTimestamp))
      return options.wrong_type("startAtOperationTime", "a timestamp or a date");
    start.append("startAtOperationTime",
                 date ? Value::timestamp(static_cast<uint32_t>(at.as_date() / 1000), 0) : at);
  }
  start.end();
  return Document(start.bytes());
}

Status parse_config(const Options& config, ChangeStreamOptions& parsed) {
  MR_RETURN_IF_ERROR(
      config.only({"startAfter", "startAtOperationTime", "fullDocument", "fullDocumentOnly",
                   "fullDocumentBeforeChange", "pipeline", "maxAwaitTimeMS"}));
  auto full =
      config.choice("fullDocument", {"default", "updateLookup", "whenAvailable", "required"});
  if (!full.ok()) return full.status();
  auto before = config.choice("fullDocumentBeforeChange", {"off", "whenAvailable", "required"});
  if (!before.ok()) return before.status();
  BsonWriter stage;
  stage.begin_document();
  if (*full) stage.append("fullDocument", **full);
  if (*before) stage.append("fullDocumentBeforeChange", **before);
  if (parsed.database.empty()) stage.append("allChangesForCluster", true);
  stage.end();
  parsed.stage = Document(stage.bytes());

  auto only = config.boolean("fullDocumentOnly");
  if (!only.ok()) return only.status();
  parsed.full_document_only = (*only).value_or(false);
  auto await = config.integer("maxAwaitTimeMS", 1, INT32_MAX);
  if (!await.ok()) return await.status();
  parsed.await_ms = (*await).value_or(kDefaultAwaitMs);
  Value pipeline = config.get("pipeline");
  if (!pipeline.is_missing()) {
    if (!pipeline.is_array()) return config.wrong_type("pipeline", "an array of stages");
    for (const Value& stage_value : pipeline.as_array()) {
      if (!stage_value.is_object()) return config.error("pipeline", "must hold stages");
    }
    BsonWriter wrapped;
    wrapped.begin_document();
    wrapped.append("", pipeline);
    wrapped.end();
    parsed.pipeline = Document(wrapped.bytes());
  }
  return {};
}

// {enable: false}, as exported definitions have it, asks for nothing.
Status check_initial_sync(const Options& options) {
  if (options.get("initialSync").is_missing()) return {};
  Options sync = options.sub("initialSync");
  MR_RETURN_IF_ERROR(sync.only({"enable", "parallelism"}, {}));
  MR_ASSIGN_OR_RETURN(auto enable, sync.boolean("enable"));
  if (!enable) return sync.error("enable", "is required");
  if (*enable) return options.error("initialSync", "is not supported by Millrace yet");
  return sync.integer("parallelism", 1, INT32_MAX).status();
}

}  // namespace

Result<SourcePtr> parse_change_stream_source(const SourceContext& context) {
  Options options(context.spec, "$source");
  MR_RETURN_IF_ERROR(options.only({"connectionName", "db", "coll", "timeField", "tsFieldName",
                                   "readPreference", "initialSync", "config"},
                                  {"readPreferenceTags"}));
  MR_RETURN_IF_ERROR(check_initial_sync(options));
  MR_ASSIGN_OR_RETURN(auto preference,
                      options.choice("readPreference", {"primary", "primaryPreferred", "secondary",
                                                        "secondaryPreferred", "nearest"}));
  if (preference && *preference != "primary")
    return options.error("readPreference",
                         "'" + *preference + "' is not supported by Millrace yet");
  ChangeStreamOptions parsed;
  MR_RETURN_IF_ERROR(parse_namespace(options, parsed));
  Options config = options.sub("config");
  MR_RETURN_IF_ERROR(parse_config(config, parsed));
  MR_ASSIGN_OR_RETURN(parsed.start, parse_start(config));
  if (context.start_position.is_object() && !context.start_position.as_object().empty()) {
    MR_ASSIGN_OR_RETURN(parsed.start,
                        parse_start(Options(context.start_position, "startStreamProcessor",
                                            ErrorCode::kInvalidOptions)));
  }
  if (!context.connection->definition.get("uri").is_string()) {
    return Status(
        ErrorCode::kStreamProcessorInvalidOptions,
        "connection " + context.connection->name +
            " is the local database, whose change streams are not supported by Millrace yet: "
            "a Cluster connection with a uri is needed");
  }
  return SourcePtr(std::make_unique<ChangeStreamSource>(std::move(parsed), context.connection,
                                                        context.clusters, context.clock));
}

}  // namespace millrace::engine
