#include "engine/sink/kafka_producer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>

namespace millrace::engine {

namespace {

constexpr int kConnectTimeoutMs = 10'000;
// Without a report for so long, the caller hears of it; nothing is given up. The connection's
// delivery.timeout.ms takes its place.
constexpr std::chrono::seconds kNoProgressLimit{10};
constexpr int kPollMs = 50;
constexpr int64_t kQueueKilobytes = 65'536;
constexpr size_t kMaxTopics = 1000;      // distinct dynamic targets of one processor
constexpr size_t kMaxTopicsShown = 100;  // in targetStats

Status invalid(std::string text) {
  return Status(ErrorCode::kStreamProcessorInvalidOptions, std::move(text));
}

Status connect_error(rd_kafka_resp_err_t error) {
  return Status(kCouldNotConnectToKafka,
                "Could not connect to the Kafka topic with kafka error code: " +
                    std::to_string(error) + ", message: " + rd_kafka_err2str(error) + ".");
}

// The last value set for a property, or "".
std::string_view last_of(const KafkaProperties& properties,
                         std::initializer_list<std::string_view> names) {
  std::string_view value;
  for (const auto& [name, text] : properties) {
    if (std::find(names.begin(), names.end(), name) != names.end()) value = text;
  }
  return value;
}

// What librdkafka demands of an idempotent producer.
bool may_be_idempotent(const KafkaProperties& properties) {
  std::string_view acks = last_of(properties, {"acks"});
  std::string_view in_flight = last_of(properties, {"max.in.flight.requests.per.connection"});
  bool few_in_flight =
      in_flight.empty() || (in_flight.size() == 1 && in_flight[0] >= '1' && in_flight[0] <= '5');
  return (acks.empty() || acks == "all" || acks == "-1") && few_in_flight &&
         last_of(properties, {"retries"}) != "0";
}

}  // namespace

Result<KafkaProperties> producer_properties(const Connection& connection, std::string_view acks,
                                            std::string_view compression) {
  KafkaProperties properties = {
      {"client.id", "millrace"},
      {"linger.ms", "5"},
      {"log.connection.close", "false"},
  };
  MR_ASSIGN_OR_RETURN(KafkaProperties own, kafka_properties(connection, KafkaRole::kProducer));
  for (auto& property : own) {
    if (property.first == "transactional.id") {
      return invalid("connection " + connection.name +
                     ": config.transactional.id is not supported by Millrace yet");
    }
    properties.push_back(std::move(property));
  }
  // The queue holds at least two of the largest messages.
  std::string_view largest = last_of(properties, {"message.max.bytes"});
  int64_t bytes = 0;
  std::from_chars(largest.data(), largest.data() + largest.size(), bytes);
  properties.emplace_back("queue.buffering.max.kbytes",
                          std::to_string(std::max(kQueueKilobytes, 2 * (bytes / 1024 + 1))));
  if (!acks.empty()) properties.emplace_back("acks", acks);
  if (!compression.empty()) properties.emplace_back("compression.type", compression);
  // Unless the connection says something: no message twice when the producer itself repeats a
  // request.
  if (last_of(properties, {"enable.idempotence"}).empty() && may_be_idempotent(properties))
    properties.emplace_back("enable.idempotence", "true");
  return properties;
}

namespace {

struct HandleDeleter {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
};
struct ConfDeleter {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};

struct TopicCounters {
  std::atomic<int64_t> count{0};
  std::atomic<int64_t> bytes{0};
};

// One message. Its memory stays where it is from produce until its delivery report.
struct Message {
  uint64_t sequence = 0;
  const std::string* topic = nullptr;
  TopicCounters* counters = nullptr;
  std::string bytes;  // the document, its route and the value
  size_t document_size = 0;
  size_t route_size = 0;
  bool tombstone = false;
  bool alone = false;  // the broker has refused a set of messages that held this one: which of them
                       // is at fault shows only alone

  std::string_view document() const { return std::string_view(bytes).substr(0, document_size); }
  Value route() const {
    return route_size == 0 ? Value() : Value::bson_object(bytes.data() + document_size);
  }
  std::string_view value() const {
    return std::string_view(bytes).substr(document_size + route_size);
  }
};

bool is_fault_of_message(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_INVALID_RECORD || error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

std::chrono::milliseconds patience(const KafkaProperties& properties) {
  std::string_view given = last_of(properties, {"delivery.timeout.ms"});
  int64_t ms = 0;
  std::from_chars(given.data(), given.data() + given.size(), ms);
  return ms > 0 ? std::chrono::milliseconds(ms) : kNoProgressLimit;
}

class KafkaWriter final : public SinkWriter {
 public:
  explicit KafkaWriter(KafkaEmitPlan plan)
      : plan_(std::move(plan)), no_progress_limit_(patience(plan_.properties)) {}
  ~KafkaWriter() override { close(); }

  Status open() override;
  Status write(const OutputBatch& batch, SinkDeadLetters& dead_letters) override;
  Status flush(SinkDeadLetters& dead_letters) override;
  void close() override;
  void add_stats(BsonWriter& stats) const override;

 private:
  using Topics = std::map<std::string, TopicCounters, std::less<>>;

  Status create_handle();
  Result<Topics::value_type*> find_topic(std::string_view name);
  Status take(const OutputBatch& batch);
  Message* new_message();
  void release(Message* message) { free_.push_back(message); }

  Status send_pending();
  Status wait_for_acknowledgements();
  Status drain();
  rd_kafka_resp_err_t produce(Message* message);
  Status renew_after_fatal_error();
  void put_back(Message* message);
  void refuse(Message* message, rd_kafka_resp_err_t error);
  Status failure() const;
  void fail(rd_kafka_resp_err_t error);
  static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* report, void* self);
  static void on_error(rd_kafka_t*, int error, const char*, void* self);

  // Configuration.
  const KafkaEmitPlan plan_;
  const std::chrono::milliseconds no_progress_limit_;

  // The sink thread's; callbacks run on it too, inside rd_kafka_poll.
  std::unique_ptr<rd_kafka_t, HandleDeleter> handle_;
  std::vector<std::unique_ptr<Message>> messages_;  // all there are
  std::vector<Message*> free_;
  std::deque<Message*> pending_;  // to be sent, by sequence
  size_t in_flight_ = 0;          // handed to librdkafka, without a report
  uint64_t next_sequence_ = 0;
  uint64_t reports_ = 0;
  rd_kafka_resp_err_t last_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;  // why messages were put back
  rd_kafka_resp_err_t connection_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  SinkDeadLetters* dead_letters_ = nullptr;  // during write() and flush()
  std::vector<Topics::value_type*> topic_of_item_;

  mutable std::mutex mutex_;
  Topics topics_;  // changed by the sink thread alone, under mutex_; entries never move
};

Status KafkaWriter::create_handle() {
  std::unique_ptr<rd_kafka_conf_t, ConfDeleter> conf(rd_kafka_conf_new());
  char text[512];
  for (const auto& [name, value] : plan_.properties) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text, sizeof text) !=
        RD_KAFKA_CONF_OK) {
      // librdkafka's text would quote the value: a password must not be shown.
      bool secret = name.starts_with("sasl.") || name.starts_with("ssl.");
      return invalid("connection " + plan_.connection->name + ": " +
                     (secret ? name + " is not valid" : std::string(text)));
    }
  }
  // librdkafka gives no message up: when it gave up some of those that wait, later ones could
  // overtake them.
  rd_kafka_conf_set(conf.get(), "message.timeout.ms", "0", text, sizeof text);
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_log_cb(conf.get(), nullptr);
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), text, sizeof text);
  if (handle == nullptr) return invalid("connection " + plan_.connection->name + ": " + text);
  (void)conf.release();  // the handle's now
  handle_.reset(handle);
  return {};
}

Status KafkaWriter::open() {
  if (handle_ == nullptr) MR_RETURN_IF_ERROR(create_handle());
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle_.get(), 0, nullptr, &metadata, kConnectTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return connect_error(error);
  rd_kafka_metadata_destroy(metadata);
  return {};
}

void KafkaWriter::close() {
  if (handle_ == nullptr) return;
  rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
  handle_.reset();
  messages_.clear();
  free_.clear();
  pending_.clear();
  in_flight_ = 0;
}

Message* KafkaWriter::new_message() {
  if (free_.empty()) {
    messages_.push_back(std::make_unique<Message>());
    return messages_.back().get();
  }
  Message* message = free_.back();
  free_.pop_back();
  return message;
}

Result<KafkaWriter::Topics::value_type*> KafkaWriter::find_topic(std::string_view name) {
  if (auto found = topics_.find(name); found != topics_.end()) return &*found;
  if (topics_.size() >= kMaxTopics) {
    return invalid("$emit has reached " + std::to_string(kMaxTopics) +
                   " different topics and may not write to another (" + std::string(name) + ")");
  }
  std::lock_guard lock(mutex_);
  return &*topics_.try_emplace(std::string(name)).first;
}

// Copies the batch into messages. All of it or, after an error, nothing.
Status KafkaWriter::take(const OutputBatch& batch) {
  topic_of_item_.clear();
  for (const OutputBatch::Item& item : batch.items) {
    std::string_view topic = plan_.topic;
    if (topic.empty())
      topic = Value::bson_object(batch.route(item).data())
                  .as_object()
                  .get(kafka_route::kTopic)
                  .as_string();
    if (topic_of_item_.empty() || topic_of_item_.back()->first != topic) {
      MR_ASSIGN_OR_RETURN(auto* found, find_topic(topic));
      topic_of_item_.push_back(found);
    } else {
      topic_of_item_.push_back(topic_of_item_.back());
    }
  }
  for (size_t i = 0; i < batch.items.size(); ++i) {
    const OutputBatch::Item& item = batch.items[i];
    Message* message = new_message();
    message->sequence = next_sequence_++;
    message->topic = &topic_of_item_[i]->first;
    message->counters = &topic_of_item_[i]->second;
    message->alone = false;
    message->bytes = batch.document(item);
    message->document_size = item.size;
    message->bytes += batch.route(item);
    message->route_size = item.route_size;
    Value route = message->route();
    message->tombstone = route.is_object() && route.as_object().has(kafka_route::kTombstone);
    try {
      if (!message->tombstone)
        append_json(Value::bson_object(batch.document(item).data()), message->bytes, plan_.format,
                    plan_.dates);
    } catch (const EvaluationError& error) {
      dead_letters_->add(batch.document(item), kKafkaEmitOperatorName, error.status().message());
      release(message);
      continue;
    }
    pending_.push_back(message);
  }
  return {};
}

// What was taken earlier goes out first: until that works nothing new is taken, and so the caller
// may hand in the batch again.
Status KafkaWriter::write(const OutputBatch& batch, SinkDeadLetters& dead_letters) {
  dead_letters_ = &dead_letters;
  MR_RETURN_IF_ERROR(send_pending());
  MR_RETURN_IF_ERROR(take(batch));
  // An error from here on concerns what is kept: the next call deals with it.
  (void)send_pending();
  rd_kafka_poll(handle_.get(), 0);
  return {};
}

Status KafkaWriter::flush(SinkDeadLetters& dead_letters) {
  dead_letters_ = &dead_letters;
  do {
    MR_RETURN_IF_ERROR(send_pending());
    MR_RETURN_IF_ERROR(wait_for_acknowledgements());
  } while (!pending_.empty());  // messages that must be sent alone
  return {};
}

// Hands everything pending to librdkafka. Its queue being full, waits for room.
Status KafkaWriter::send_pending() {
  if (handle_ == nullptr) MR_RETURN_IF_ERROR(create_handle());
  MR_RETURN_IF_ERROR(renew_after_fatal_error());
  if (last_error_ != RD_KAFKA_RESP_ERR_NO_ERROR) {  // first everything comes back, so that it goes
                                                    // out again in order
    MR_RETURN_IF_ERROR(drain());
    last_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  auto deadline = std::chrono::steady_clock::now() + no_progress_limit_;
  uint64_t reports = reports_;
  while (!pending_.empty()) {
    Message* message = pending_.front();
    if (message->alone) MR_RETURN_IF_ERROR(wait_for_acknowledgements());
    if (pending_.front() != message) continue;
    rd_kafka_resp_err_t error = produce(message);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      pending_.pop_front();
      ++in_flight_;
      if (message->alone) MR_RETURN_IF_ERROR(wait_for_acknowledgements());
      continue;
    }
    if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
      pending_.pop_front();
      refuse(message, error);
      continue;
    }
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      fail(error);
      return failure();
    }
    rd_kafka_poll(handle_.get(), kPollMs);
    if (last_error_ != RD_KAFKA_RESP_ERR_NO_ERROR) return failure();
    auto now = std::chrono::steady_clock::now();
    if (reports_ != reports) {
      reports = reports_;
      deadline = now + no_progress_limit_;
    } else if (now > deadline) {
      return failure();
    }
  }
  return {};
}

Status KafkaWriter::wait_for_acknowledgements() {
  MR_RETURN_IF_ERROR(drain());
  return last_error_ == RD_KAFKA_RESP_ERR_NO_ERROR ? Status() : failure();
}

// Returns when librdkafka holds no message any more, whatever became of them.
Status KafkaWriter::drain() {
  auto deadline = std::chrono::steady_clock::now() + no_progress_limit_;
  uint64_t reports = reports_;
  while (in_flight_ > 0) {
    rd_kafka_poll(handle_.get(), kPollMs);
    auto now = std::chrono::steady_clock::now();
    if (reports_ != reports) {
      reports = reports_;
      deadline = now + no_progress_limit_;
    } else if (now > deadline) {
      return failure();
    }
  }
  return {};
}

rd_kafka_resp_err_t KafkaWriter::produce(Message* message) {
  rd_kafka_vu_t arguments[5];
  size_t count = 0;
  auto next = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
    arguments[count].vtype = type;
    return arguments[count++];
  };
  next(RD_KAFKA_VTYPE_TOPIC).u.cstr = message->topic->c_str();
  next(RD_KAFKA_VTYPE_OPAQUE).u.ptr = message;
  std::string_view value = message->value();
  if (!message->tombstone)
    next(RD_KAFKA_VTYPE_VALUE).u.mem = {const_cast<char*>(value.data()),
                                        value.size()};  // not copied, only read
  rd_kafka_headers_t* headers = nullptr;
  if (Value route = message->route(); route.is_object()) {
    Value key = route.as_object().get(kafka_route::kKey);
    if (key.is(Type::kBinData))
      next(RD_KAFKA_VTYPE_KEY).u.mem = {const_cast<char*>(key.as_string().data()),
                                        key.as_string().size()};
    Value list = route.as_object().get(kafka_route::kHeaders);
    if (list.is_array()) {
      headers = rd_kafka_headers_new(8);
      for (const Value& header : list.as_array()) {
        std::string_view name = header.as_object().get("k").as_string();
        Value text = header.as_object().get("v");
        bool null = !text.is(Type::kBinData);
        rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()),
                            null ? nullptr : text.as_string().data(),
                            null ? 0 : static_cast<ssize_t>(text.as_string().size()));
      }
      next(RD_KAFKA_VTYPE_HEADERS).u.headers = headers;
    }
  }
  rd_kafka_error_t* error = rd_kafka_produceva(handle_.get(), arguments, count);
  if (error == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  if (headers != nullptr) rd_kafka_headers_destroy(headers);
  return code;
}

// An idempotent producer that has lost its place can only be replaced by a new one.
Status KafkaWriter::renew_after_fatal_error() {
  char text[256];
  if (rd_kafka_fatal_error(handle_.get(), text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR)
    return {};
  rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  auto deadline = std::chrono::steady_clock::now() + no_progress_limit_;
  while (in_flight_ > 0) {
    rd_kafka_poll(handle_.get(), kPollMs);
    if (std::chrono::steady_clock::now() > deadline)
      return Status(ErrorCode::kUnknownError, std::string("the Kafka producer failed: ") + text);
  }
  handle_.reset();
  return create_handle();
}

// Back among the pending ones, where its sequence belongs.
void KafkaWriter::put_back(Message* message) {
  auto place = std::lower_bound(
      pending_.begin(), pending_.end(), message->sequence,
      [](const Message* other, uint64_t sequence) { return other->sequence < sequence; });
  pending_.insert(place, message);
}

void KafkaWriter::refuse(Message* message, rd_kafka_resp_err_t error) {
  dead_letters_->add(
      message->document(), kKafkaEmitOperatorName,
      "Kafka refused the message for topic '" + *message->topic + "': " + rd_kafka_err2str(error));
  release(message);
}

void KafkaWriter::fail(rd_kafka_resp_err_t error) {
  if (last_error_ != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  last_error_ = error;
  // What waits behind a message that failed must not overtake it: it comes back and is sent again
  // in order.
  rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

Status KafkaWriter::failure() const {
  rd_kafka_resp_err_t error =
      last_error_ != RD_KAFKA_RESP_ERR_NO_ERROR ? last_error_ : connection_error_;
  ErrorCode code = ErrorCode::kUnknownError;
  if (error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
      error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    code = ErrorCode::kNetworkTimeout;
  } else if (error == RD_KAFKA_RESP_ERR__TRANSPORT ||
             error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || error == RD_KAFKA_RESP_ERR__RESOLVE) {
    code = ErrorCode::kHostUnreachable;
  }
  std::string reason =
      error == RD_KAFKA_RESP_ERR_NO_ERROR
          ? "no acknowledgement in time"
          : "kafka error code: " + std::to_string(error) + ", message: " + rd_kafka_err2str(error);
  return Status(code, "$emit to connection " + plan_.connection->name + " has " +
                          std::to_string(in_flight_ + pending_.size()) +
                          " messages that are not delivered: " + reason);
}

void KafkaWriter::on_delivery(rd_kafka_t*, const rd_kafka_message_t* report, void* self) {
  auto& writer = *static_cast<KafkaWriter*>(self);
  auto* message = static_cast<Message*>(report->_private);
  --writer.in_flight_;
  ++writer.reports_;
  if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    writer.connection_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
    message->counters->count.fetch_add(1, std::memory_order_relaxed);
    message->counters->bytes.fetch_add(
        message->tombstone ? 0 : static_cast<int64_t>(message->value().size()),
        std::memory_order_relaxed);
    writer.release(message);
  } else if (is_fault_of_message(report->err) && message->alone) {
    writer.refuse(message, report->err);
  } else if (is_fault_of_message(report->err)) {
    message->alone = true;
    writer.put_back(message);
  } else {
    writer.put_back(message);
    bool purged = report->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                  report->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    if (!purged) writer.fail(report->err);
  }
}

// Brokers that come and go are librdkafka's business; the last error explains why nothing is
// acknowledged.
void KafkaWriter::on_error(rd_kafka_t*, int error, const char*, void* self) {
  static_cast<KafkaWriter*>(self)->connection_error_ = static_cast<rd_kafka_resp_err_t>(error);
}

void KafkaWriter::add_stats(BsonWriter& stats) const {
  std::lock_guard lock(mutex_);
  stats.begin_array("targetStats");
  size_t index = 0;
  for (const auto& [topic, counters] : topics_) {
    if (index == kMaxTopicsShown) break;
    stats.begin_object(std::to_string(index++));
    stats.append("topic", topic);
    stats.append("outputMessageCount", counters.count.load(std::memory_order_relaxed));
    stats.append("outputMessageSize", counters.bytes.load(std::memory_order_relaxed));
    stats.end();
  }
  stats.end();
}

}  // namespace

std::unique_ptr<SinkWriter> make_kafka_writer(KafkaEmitPlan plan) {
  return std::make_unique<KafkaWriter>(std::move(plan));
}

}  // namespace millrace::engine
