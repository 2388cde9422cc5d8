// $source of type Kafka, through librdkafka. The thread that calls read() owns the handle;
// partitions are assigned by hand, from the position of a checkpoint, the group's committed offsets
// or auto_offset_reset, so that no rebalance of a group ever moves them.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "engine/source/kafka_options.h"
#include "engine/source/kafka_position.h"
#include "engine/source/sources.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kConnectTimeoutNs = 30 * kSecondNs;    // the service's own limit
constexpr int64_t kRefusedTimeoutNs = 5 * kSecondNs;     // when no broker even accepts a connection
constexpr int64_t kMetadataIntervalNs = 10 * kSecondNs;  // how soon a new partition is noticed
constexpr int64_t kProbeIntervalNs = 2 * kSecondNs;      // while no broker answers
constexpr int64_t kOutageLimitNs = 30 * kSecondNs;       // then read() gives up
constexpr int64_t kAutoCommitIntervalNs = kSecondNs;
constexpr int kRequestTimeoutMs = 10'000;
constexpr size_t kMaxBatchBytes = 1 << 20;
constexpr int kCouldNotConnect = 77175;

struct HandleDeleter {
  void operator()(rd_kafka_t* rk) const {
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
};
struct QueueDeleter {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
struct ListDeleter {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
struct TopicDeleter {
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};
struct MetadataDeleter {
  void operator()(const rd_kafka_metadata_t* metadata) const {
    rd_kafka_metadata_destroy(metadata);
  }
};
using HandlePtr = std::unique_ptr<rd_kafka_t, HandleDeleter>;
using QueuePtr = std::unique_ptr<rd_kafka_queue_t, QueueDeleter>;
using ListPtr = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;

ListPtr make_list(size_t size) {
  return ListPtr(rd_kafka_topic_partition_list_new(static_cast<int>(size)));
}

Status could_not_connect(rd_kafka_resp_err_t error) {
  return Status(kCouldNotConnect, "Could not connect to the Kafka topic with kafka error code: " +
                                      std::to_string(error) +
                                      ", message: " + rd_kafka_err2str(error) + ".");
}

Status no_partitions(const std::string& topic) {
  return Status(ErrorCode::kStreamProcessorUserError,
                "no partitions found in the Kafka topic '" + topic + "'");
}

// A key and headers, where a record has them.
struct RecordAttributes {
  Value key;
  Value headers;
};

// Where one partition stands. `next` belongs to the reading thread.
struct PartitionState {
  size_t topic;  // index into the options' topics, whose names never move
  int32_t partition;
  int64_t next;
  int64_t replay_until = -1;  // records before this offset were processed once
  std::atomic<int64_t> last_record_ns;
};

class KafkaSource final : public Source {
 public:
  KafkaSource(KafkaSourceOptions options, const Clock* clock)
      : options_(std::move(options)), clock_(clock) {}
  ~KafkaSource() override { close(); }

  std::string_view name() const override { return "KafkaConsumerOperator"; }
  std::string_view type() const override { return "kafka"; }

  Status open(const Value& position) override;
  Status read(SourceBatch& batch, size_t max_records, milliseconds max_wait) override;
  void close() override;
  Document position() const override;
  bool replayable() const override { return true; }
  void replay_until(const Value& position) override;
  std::vector<SourcePartition> partitions() const override;
  void describe(const SourceRecord& record, const Value& body, Arena& arena,
                ObjectBuilder& source) const override;
  void on_committed(const Value& position) override;
  void add_stats(const Value& processed, const Value& checkpoint, BsonWriter& stats) const override;

 private:
  struct Found {  // a partition that metadata showed and that is not read yet
    size_t topic;
    int32_t partition;
  };

  Status create_handle();
  Status discover(std::vector<Found>& found, bool wait_for_brokers);
  void keep_order(std::vector<Found>& found, const Value& position) const;
  Status topic_partitions(size_t topic, const rd_kafka_metadata_t& metadata,
                          std::vector<Found>& found);
  Status start_offsets(const std::vector<Found>& found, const Value& position,
                       rd_kafka_topic_partition_list_t* list);
  Status resolve_ends(rd_kafka_topic_partition_list_t* list);
  Status assign(const std::vector<Found>& found, rd_kafka_topic_partition_list_t* list);
  Status watch_brokers();
  Status take(rd_kafka_message_t* message, SourceBatch& batch);
  bool decode_key(const rd_kafka_message_t& message, SourceBatch& batch,
                  RecordAttributes& attributes, const char** fault);
  Value decode_headers(rd_kafka_message_t* message, Arena& arena);
  int32_t index_of(const rd_kafka_topic_t* topic, int32_t partition);
  void commit(const Value& position);
  static void on_error(rd_kafka_t*, int error, const char* reason, void* self);

  // Configuration.
  const KafkaSourceOptions options_;
  const Clock* clock_;

  // The handle and its queues. handle_ is exchanged under mutex_, because stats and commits come
  // from other threads.
  mutable std::mutex mutex_;
  HandlePtr handle_;
  QueuePtr messages_;
  QueuePtr commits_;
  int pending_commits_ = 0;  // guarded by mutex_

  // State that a checkpoint saves: each partition's next offset. The vector grows under mutex_, by
  // the reading thread only.
  std::vector<std::unique_ptr<PartitionState>> partitions_;

  // State that it does not.
  std::unordered_map<std::string, std::vector<int32_t>>
      indexes_;  // topic → partition → index in partitions_
  const rd_kafka_topic_t* last_topic_ = nullptr;
  const std::vector<int32_t>* last_indexes_ = nullptr;
  std::vector<rd_kafka_message_t*> taken_;
  Status pending_error_;  // for the next read()
  size_t average_bytes_ = 1024;
  int64_t next_metadata_ns_ = 0;
  int64_t outage_since_ns_ = 0;
  int64_t last_commit_ns_ = 0;
  Document last_read_;
  bool all_brokers_down_ = false;
  rd_kafka_resp_err_t fatal_ =
      RD_KAFKA_RESP_ERR_NO_ERROR;  // a login or certificate that was refused
};

// Called from rd_kafka_poll, on the reading thread or the opening one.
void KafkaSource::on_error(rd_kafka_t*, int error, const char*, void* self) {
  auto* source = static_cast<KafkaSource*>(self);
  switch (error) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      source->all_brokers_down_ = true;
      break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__FATAL:
      source->fatal_ = static_cast<rd_kafka_resp_err_t>(error);
      break;
    default:
      break;  // single brokers come and go
  }
}

Status KafkaSource::create_handle() {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512];
  auto set = [&](const std::string& name, const std::string& value) -> Status {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) == RD_KAFKA_CONF_OK)
      return {};
    rd_kafka_conf_destroy(conf);
    // librdkafka quotes the value; a password must not come out that way.
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  "the Kafka connection's option " + name + " has a wrong value");
  };
  // Without a group of its own the handle still needs a name for one; nothing is ever committed
  // under it.
  MR_RETURN_IF_ERROR(set("group.id", options_.group.empty() ? "millrace-unnamed" : options_.group));
  MR_RETURN_IF_ERROR(set("client.id", "millrace"));
  MR_RETURN_IF_ERROR(set("enable.auto.commit", "false"));
  MR_RETURN_IF_ERROR(set("enable.auto.offset.store", "false"));
  MR_RETURN_IF_ERROR(set("auto.offset.reset", options_.from_beginning ? "earliest" : "latest"));
  // A fetch queue that is full stalls librdkafka 2.0 for a second: it is made deep enough not to
  // be.
  MR_RETURN_IF_ERROR(set("queued.min.messages", "1000000"));
  MR_RETURN_IF_ERROR(set("queued.max.messages.kbytes", "131072"));
  MR_RETURN_IF_ERROR(set("max.poll.interval.ms",
                         "86400000"));  // a pipeline that is held back by its sink is not dead
  MR_RETURN_IF_ERROR(set("reconnect.backoff.max.ms", "2000"));
  MR_RETURN_IF_ERROR(set("fetch.error.backoff.ms", "100"));
  for (const auto& [name, value] : options_.properties) MR_RETURN_IF_ERROR(set(name, value));
  rd_kafka_conf_set_error_cb(conf, &KafkaSource::on_error);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  rd_kafka_conf_set_opaque(conf, this);
  HandlePtr handle(rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text));
  if (handle == nullptr) {
    rd_kafka_conf_destroy(conf);
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  std::string("the Kafka connection cannot be used: ") + text);
  }
  std::lock_guard lock(mutex_);
  handle_ = std::move(handle);
  messages_.reset(rd_kafka_queue_get_consumer(handle_.get()));
  commits_.reset(rd_kafka_queue_new(handle_.get()));
  return {};
}

Status KafkaSource::open(const Value& position) {
  close();
  MR_RETURN_IF_ERROR(create_handle());
  std::vector<Found> found;
  Status status = discover(found, true);
  ListPtr list = make_list(found.size());
  keep_order(found, position);
  if (status.ok()) status = start_offsets(found, position, list.get());
  if (status.ok()) status = assign(found, list.get());
  if (!status.ok()) close();
  next_metadata_ns_ = clock_->monotonic_ns() + kMetadataIntervalNs;
  return status;
}

// Asks the brokers for the topics' partitions and adds those not read yet.
Status KafkaSource::discover(std::vector<Found>& found, bool wait_for_brokers) {
  int64_t started = clock_->monotonic_ns();
  for (size_t topic = 0; topic < options_.topics.size(); ++topic) {
    std::unique_ptr<rd_kafka_topic_t, TopicDeleter> handle(
        rd_kafka_topic_new(handle_.get(), options_.topics[topic].c_str(), nullptr));
    while (true) {
      const rd_kafka_metadata_t* metadata = nullptr;
      rd_kafka_resp_err_t error =
          rd_kafka_metadata(handle_.get(), 0, handle.get(), &metadata, 1000);
      std::unique_ptr<const rd_kafka_metadata_t, MetadataDeleter> owner(metadata);
      rd_kafka_poll(handle_.get(), 0);
      int64_t waited = clock_->monotonic_ns() - started;
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        all_brokers_down_ = false;
        Status status = topic_partitions(topic, *metadata, found);
        // A topic that is just being made has no leaders for a moment.
        bool forming = metadata->topic_cnt == 1 &&
                       metadata->topics[0].err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        if (!status.ok() && !(forming && wait_for_brokers && waited < kRefusedTimeoutNs))
          return status;
        if (status.ok()) break;
        rd_kafka_poll(handle_.get(), 100);
        continue;
      }
      if (fatal_ != RD_KAFKA_RESP_ERR_NO_ERROR) return could_not_connect(fatal_);
      bool refused = all_brokers_down_ && waited > kRefusedTimeoutNs;
      if (!wait_for_brokers || refused || waited > kConnectTimeoutNs) {
        return could_not_connect(all_brokers_down_ ? RD_KAFKA_RESP_ERR__TRANSPORT : error);
      }
    }
  }
  return {};
}

Status KafkaSource::topic_partitions(size_t topic, const rd_kafka_metadata_t& metadata,
                                     std::vector<Found>& found) {
  const std::string& name = options_.topics[topic];
  if (metadata.topic_cnt != 1) return no_partitions(name);
  const rd_kafka_metadata_topic_t& entry = metadata.topics[0];
  if (entry.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
      entry.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
    return no_partitions(name);
  if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Status(ErrorCode::kStreamProcessorUserError,
                  "the Kafka topic '" + name + "' cannot be read: " + rd_kafka_err2str(entry.err));
  }
  if (entry.partition_cnt == 0) return no_partitions(name);
  auto known = indexes_.find(name);
  for (int i = 0; i < entry.partition_cnt; ++i) {
    int32_t id = entry.partitions[i].id;
    bool read_already = known != indexes_.end() && static_cast<size_t>(id) < known->second.size() &&
                        known->second[static_cast<size_t>(id)] >= 0;
    if (!read_already) found.push_back({topic, id});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return a.topic != b.topic ? a.topic < b.topic : a.partition < b.partition;
  });
  return {};
}

// Partitions stand in the order of the checkpoint, whose watermarks go by it; new ones come behind.
void KafkaSource::keep_order(std::vector<Found>& found, const Value& position) const {
  std::vector<Found> ordered;
  for_each_partition(position, [&](std::string_view topic, int32_t partition, int64_t) {
    auto at = std::find_if(found.begin(), found.end(), [&](const Found& f) {
      return options_.topics[f.topic] == topic && f.partition == partition;
    });
    if (at == found.end()) return;
    ordered.push_back(*at);
    found.erase(at);
  });
  found.insert(found.begin(), ordered.begin(), ordered.end());
}

// The offset each partition starts at: of the checkpoint, else the group's, else the topic's begin
// or end. The latter two are looked up now and not when the first fetch happens: "from the end"
// means from the moment of the start.
Status KafkaSource::start_offsets(const std::vector<Found>& found, const Value& position,
                                  rd_kafka_topic_partition_list_t* list) {
  for (const Found& f : found)
    rd_kafka_topic_partition_list_add(list, options_.topics[f.topic].c_str(), f.partition);
  if (options_.group_given && position.is_missing()) {
    rd_kafka_resp_err_t error = rd_kafka_committed(handle_.get(), list, kRequestTimeoutMs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return could_not_connect(error);
  } else {
    for (int i = 0; i < list->cnt; ++i) {
      auto& entry = list->elems[i];
      int64_t offset = offset_in(position, entry.topic, entry.partition);
      entry.offset = offset >= 0 ? offset : RD_KAFKA_OFFSET_INVALID;
    }
  }
  return resolve_ends(list);
}

Status KafkaSource::resolve_ends(rd_kafka_topic_partition_list_t* list) {
  for (int i = 0; i < list->cnt; ++i) {
    auto& entry = list->elems[i];
    if (entry.offset >= 0) continue;
    int64_t low = 0, high = 0;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t started = clock_->monotonic_ns();
    do {  // a leader may be missing for a moment
      error = rd_kafka_query_watermark_offsets(handle_.get(), entry.topic, entry.partition, &low,
                                               &high, kRequestTimeoutMs);
    } while (error != RD_KAFKA_RESP_ERR_NO_ERROR &&
             clock_->monotonic_ns() - started < kRefusedTimeoutNs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return could_not_connect(error);
    entry.offset = options_.from_beginning ? low : high;
  }
  return {};
}

Status KafkaSource::assign(const std::vector<Found>& found, rd_kafka_topic_partition_list_t* list) {
  bool first = partitions_.empty();
  {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < found.size(); ++i) {
      auto state = std::make_unique<PartitionState>();
      state->topic = found[i].topic;
      state->partition = found[i].partition;
      state->next = list->elems[i].offset;
      state->last_record_ns.store(clock_->monotonic_ns());
      auto& indexes = indexes_[options_.topics[state->topic]];
      if (indexes.size() <= static_cast<size_t>(state->partition))
        indexes.resize(static_cast<size_t>(state->partition) + 1, -1);
      indexes[static_cast<size_t>(state->partition)] = static_cast<int32_t>(partitions_.size());
      partitions_.push_back(std::move(state));
    }
  }
  last_topic_ = nullptr;
  if (first) {
    rd_kafka_resp_err_t error = rd_kafka_assign(handle_.get(), list);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? Status() : could_not_connect(error);
  }
  rd_kafka_error_t* error = rd_kafka_incremental_assign(handle_.get(), list);
  if (error == nullptr) return {};
  Status status = could_not_connect(rd_kafka_error_code(error));
  rd_kafka_error_destroy(error);
  return status;
}

void KafkaSource::close() {
  if (handle_ != nullptr && options_.commit_when_read && !last_read_.view().empty())
    commit(last_read_.value());
  last_read_ = Document();
  HandlePtr handle;
  QueuePtr messages, commits;
  {
    std::unique_lock lock(mutex_);
    // The commit of a checkpoint taken just before the stop is given a moment.
    int64_t until = clock_->monotonic_ns() + kSecondNs;
    while (handle_ != nullptr && pending_commits_ > 0) {
      rd_kafka_event_t* event = rd_kafka_queue_poll(commits_.get(), 100);
      if (event != nullptr) {
        --pending_commits_;
        rd_kafka_event_destroy(event);
      }
      if (clock_->monotonic_ns() >= until) break;
    }
    handle = std::move(handle_);
    messages = std::move(messages_);
    commits = std::move(commits_);
    pending_commits_ = 0;
    partitions_.clear();
    indexes_.clear();
  }
  last_topic_ = nullptr;
  outage_since_ns_ = 0;
  all_brokers_down_ = false;
  fatal_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  messages.reset();
  commits.reset();
}

// Notices new partitions, and brokers that stay away for longer than they should.
Status KafkaSource::watch_brokers() {
  int64_t now = clock_->monotonic_ns();
  if (all_brokers_down_ && outage_since_ns_ == 0) {
    outage_since_ns_ = now;
    next_metadata_ns_ = std::min(next_metadata_ns_, now + kProbeIntervalNs);
  }
  if (fatal_ != RD_KAFKA_RESP_ERR_NO_ERROR) return could_not_connect(fatal_);
  if (now < next_metadata_ns_) return {};
  std::vector<Found> found;
  Status status = discover(found, false);
  now = clock_->monotonic_ns();
  if (status.code() == kCouldNotConnect) {
    if (outage_since_ns_ == 0) outage_since_ns_ = now;
    next_metadata_ns_ = now + kProbeIntervalNs;
    return now - outage_since_ns_ > kOutageLimitNs ? status : Status();
  }
  outage_since_ns_ = 0;
  next_metadata_ns_ = now + kMetadataIntervalNs;
  if (!status.ok() || found.empty()) return status;
  // Partitions added to a topic while it is read begin where auto_offset_reset says.
  ListPtr list = make_list(found.size());
  for (const Found& f : found) {
    rd_kafka_topic_partition_list_add(list.get(), options_.topics[f.topic].c_str(), f.partition)
        ->offset = RD_KAFKA_OFFSET_INVALID;
  }
  if (!resolve_ends(list.get()).ok()) return {};  // tried again at the next look
  return assign(found, list.get());
}

Status KafkaSource::read(SourceBatch& batch, size_t max_records, milliseconds max_wait) {
  if (handle_ == nullptr) return Status(ErrorCode::kInternalError, "the Kafka source is not open");
  batch.format = PayloadFormat::kJson;
  batch.ingest_ms = clock_->now_ms();
  rd_kafka_poll(handle_.get(), 0);
  MR_RETURN_IF_ERROR(watch_brokers());

  if (Status status = std::exchange(pending_error_, {}); !status.ok()) return status;
  bool waited = false;
  while (pending_error_.ok() && batch.records.size() < max_records &&
         batch.payloads().size() < kMaxBatchBytes) {
    // librdkafka counts messages, not bytes: as many as should fit by the sizes seen lately.
    size_t room = (kMaxBatchBytes - batch.payloads().size()) / average_bytes_ + 1;
    taken_.resize(std::min(room, max_records - batch.records.size()));
    ssize_t count = rd_kafka_consume_batch_queue(messages_.get(), 0, taken_.data(), taken_.size());
    if (count <= 0) {
      if (waited || !batch.empty()) break;
      waited = true;
      taken_[0] = rd_kafka_consume_queue(messages_.get(), static_cast<int>(max_wait.count()));
      if (taken_[0] == nullptr) break;
      count = 1;
    }
    for (ssize_t i = 0; i < count; ++i) {
      // What was fetched beside an error is delivered first: its offsets count as read.
      Status status = take(taken_[static_cast<size_t>(i)], batch);
      if (!status.ok() && pending_error_.ok()) pending_error_ = std::move(status);
      rd_kafka_message_destroy(taken_[static_cast<size_t>(i)]);
    }
  }
  if (batch.empty() && !pending_error_.ok()) return std::exchange(pending_error_, {});
  batch.position = position();
  batch.replaying = std::any_of(partitions_.begin(), partitions_.end(), [](const auto& state) {
    return state->next < state->replay_until;
  });
  batch.seal();
  if (options_.commit_when_read && !batch.empty()) {
    last_read_ = batch.position;
    if (clock_->monotonic_ns() - last_commit_ns_ > kAutoCommitIntervalNs) {
      last_commit_ns_ = clock_->monotonic_ns();
      commit(last_read_.value());
    }
  }
  return {};
}

int32_t KafkaSource::index_of(const rd_kafka_topic_t* topic, int32_t partition) {
  if (topic != last_topic_) {
    auto found = indexes_.find(rd_kafka_topic_name(topic));
    last_indexes_ = found == indexes_.end() ? nullptr : &found->second;
    last_topic_ = topic;
  }
  if (last_indexes_ == nullptr || partition < 0 ||
      static_cast<size_t>(partition) >= last_indexes_->size())
    return -1;
  return (*last_indexes_)[static_cast<size_t>(partition)];
}

// One message becomes one record; an error event is judged.
Status KafkaSource::take(rd_kafka_message_t* message, SourceBatch& batch) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    switch (message->err) {
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return Status(ErrorCode::kStreamProcessorUserError,
                      std::string("the Kafka topic cannot be read any more: ") +
                          rd_kafka_message_errstr(message));
      default:
        return {};  // librdkafka tries again by itself; watch_brokers() has the last word
    }
  }
  int32_t index = index_of(message->rkt, message->partition);
  if (index < 0) return {};
  PartitionState& state = *partitions_[static_cast<size_t>(index)];
  state.next = message->offset + 1;
  state.last_record_ns.store(clock_->monotonic_ns(), std::memory_order_relaxed);
  average_bytes_ = (average_bytes_ * 15 + message->len + 15) / 16 + 1;

  RecordAttributes attributes;
  const char* fault = nullptr;
  if (message->key != nullptr && !decode_key(*message, batch, attributes, &fault)) return {};
  attributes.headers = decode_headers(message, batch.arena);
  SourceRecord& record = batch.add(kafka_json_payload(message->payload, message->len));
  record.partition = index;
  record.offset = message->offset;
  record.replayed = message->offset < state.replay_until;
  rd_kafka_timestamp_type_t kind;
  int64_t timestamp = rd_kafka_message_timestamp(message, &kind);
  record.timestamp_ms = kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? batch.ingest_ms : timestamp;
  record.fault = fault;
  if (!attributes.key.is_missing() || !attributes.headers.is_missing()) {
    record.attributes = batch.arena.make<RecordAttributes>(attributes);
  }
  return {};
}

// False: the record is dropped.
bool KafkaSource::decode_key(const rd_kafka_message_t& message, SourceBatch& batch,
                             RecordAttributes& attributes, const char** fault) {
  std::string_view bytes(static_cast<const char*>(message.key), message.key_len);
  attributes.key = decode_kafka_key(bytes, options_.key_format, batch.arena);
  if (!attributes.key.is_missing()) return true;
  if (options_.key_fault == KafkaKeyFault::kDiscard) return false;
  if (options_.key_fault == KafkaKeyFault::kDeadLetter) {
    *fault = "the Kafka key does not fit config.keyFormat";
    attributes.key = Value::binary(0, batch.arena.copy(bytes));
  }
  return true;
}

// [{k: <string>, v: <binData>}], in the record's order; missing without headers.
Value KafkaSource::decode_headers(rd_kafka_message_t* message, Arena& arena) {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      headers == nullptr)
    return Value();
  ArrayBuilder list(arena, rd_kafka_header_cnt(headers));
  const char* name;
  const void* value;
  size_t size;
  for (size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    std::string key(name);
    if (!is_valid_utf8(key)) {  // nothing else can be a BSON string
      std::replace_if(
          key.begin(), key.end(), [](char c) { return static_cast<uint8_t>(c) >= 0x80; }, '?');
    }
    ObjectBuilder header(arena, 2);
    header.add("k", Value::string(arena.copy(key)));
    header.add("v", value == nullptr
                        ? Value::null()
                        : Value::binary(0, arena.copy({static_cast<const char*>(value), size})));
    list.add(header.finish());
  }
  return list.size() == 0 ? Value() : list.finish();
}

void KafkaSource::replay_until(const Value& position) {
  for (const auto& state : partitions_) {
    state->replay_until = offset_in(position, options_.topics[state->topic], state->partition);
  }
}

Document KafkaSource::position() const {
  BsonWriter writer;
  writer.begin_document();
  writer.begin_array("partitions");
  size_t index = 0;
  for (const auto& state : partitions_) {
    writer.begin_object(std::to_string(index++));
    writer.append("topic", options_.topics[state->topic]);
    writer.append("partition", int32_t{state->partition});
    writer.append("offset", int64_t{state->next});
    writer.end();
  }
  writer.end();
  writer.end();
  return Document(writer.bytes());
}

std::vector<SourcePartition> KafkaSource::partitions() const {
  std::lock_guard lock(mutex_);
  std::vector<SourcePartition> list;
  for (const auto& state : partitions_)
    list.push_back({options_.topics[state->topic], state->partition});
  return list;
}

void KafkaSource::describe(const SourceRecord& record, const Value& /*body*/, Arena& /*arena*/,
                           ObjectBuilder& source) const {
  {
    std::lock_guard lock(mutex_);
    if (static_cast<size_t>(record.partition) < partitions_.size()) {
      const PartitionState& state = *partitions_[static_cast<size_t>(record.partition)];
      source.add("topic", Value::string(options_.topics[state.topic]));
      source.add("partition", Value::int32(state.partition));
    }
  }
  source.add("offset", Value::int64(record.offset));
  if (record.attributes == nullptr) return;
  const auto* attributes = static_cast<const RecordAttributes*>(record.attributes);
  source.add("key", attributes->key);
  source.add("headers", attributes->headers);
}

void KafkaSource::on_committed(const Value& position) {
  if (!options_.commit_when_read) commit(position);
}

void KafkaSource::commit(const Value& position) {
  if (options_.group.empty()) return;
  std::lock_guard lock(mutex_);
  if (handle_ == nullptr) return;
  while (rd_kafka_event_t* event =
             rd_kafka_queue_poll(commits_.get(), 0)) {  // what earlier commits answered
    --pending_commits_;
    rd_kafka_event_destroy(event);
  }
  ListPtr list = make_list(partitions_.size());
  for (const auto& state : partitions_) {
    const std::string& topic = options_.topics[state->topic];
    int64_t offset = offset_in(position, topic, state->partition);
    if (offset >= 0)
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), state->partition)->offset =
          offset;
  }
  if (list->cnt == 0) return;
  if (rd_kafka_commit_queue(handle_.get(), list.get(), commits_.get(), nullptr, nullptr) ==
      RD_KAFKA_RESP_ERR_NO_ERROR)
    ++pending_commits_;
}

void KafkaSource::add_stats(const Value& processed, const Value& checkpoint,
                            BsonWriter& stats) const {
  std::lock_guard lock(mutex_);
  int64_t total_lag = 0;
  int64_t now = clock_->monotonic_ns();
  size_t index = 0;
  auto add_partition = [&](std::string_view topic, int32_t partition, const int64_t* last_record) {
    int64_t current = offset_in(processed, topic, partition);
    int64_t saved = offset_in(checkpoint, topic, partition);
    int64_t low = 0, high = RD_KAFKA_OFFSET_INVALID;
    if (handle_ != nullptr)
      rd_kafka_get_watermark_offsets(handle_.get(), std::string(topic).c_str(), partition, &low,
                                     &high);
    stats.begin_object(std::to_string(index++));
    if (options_.topics.size() > 1) stats.append("topic", topic);
    stats.append("partition", partition);
    if (current >= 0) stats.append("currentOffset", current);
    if (saved >= 0) stats.append("checkpointOffset", saved);
    if (current >= 0 && high >= 0) {
      int64_t lag = std::max<int64_t>(0, high - current);
      stats.append("partitionOffsetLag", lag);
      total_lag += lag;
    }
    int64_t limit_ms = options_.partition_idle_timeout_ms;
    stats.append("isIdle", last_record != nullptr && limit_ms > 0 &&
                               now - *last_record > limit_ms * 1'000'000);
    stats.end();
  };
  stats.begin_array("kafkaPartitions");
  for (const auto& state : partitions_) {
    int64_t last_record = state->last_record_ns.load(std::memory_order_relaxed);
    add_partition(options_.topics[state->topic], state->partition, &last_record);
  }
  if (partitions_.empty()) {  // not open: what the position names
    for_each_partition(processed, [&](std::string_view topic, int32_t partition, int64_t) {
      add_partition(topic, partition, nullptr);
    });
  }
  stats.end();
  if (handle_ != nullptr) stats.append("kafkaTotalOffsetLag", total_lag);
}

}  // namespace

Result<SourcePtr> parse_kafka_source(const SourceContext& context) {
  MR_ASSIGN_OR_RETURN(KafkaSourceOptions options, parse_kafka_options(context));
  return SourcePtr(std::make_unique<KafkaSource>(std::move(options), context.clock));
}

}  // namespace millrace::engine
