#include "engine/sink/dead_letter_queue.h"

#include <algorithm>

namespace millrace::engine {
namespace {

// The document could be larger than a collection takes once it is wrapped: then its beginning is
// kept as text.
constexpr size_t kMaxLetterBytes = kMaxDocumentBytes - 4096;

}  // namespace

DeadLetterQueue::DeadLetterQueue(Options options) : options_(std::move(options)) {}

DeadLetterQueue::~DeadLetterQueue() { close(); }

Status DeadLetterQueue::open() {
  if (options_.connection == nullptr) return {};
  MR_ASSIGN_OR_RETURN(client_, options_.clusters->connect(*options_.connection));
  if (options_.own_thread) thread_ = std::thread([this] { write_loop(); });
  return {};
}

void DeadLetterQueue::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// The stored form; field order as the service has it.
int64_t DeadLetterQueue::add(const Value& document, const Value& meta,
                             std::string_view operator_name, std::string_view reason) {
  BsonWriter w;
  w.begin_document();
  ObjectId id = ObjectId::generate();
  w.append("_id", Value::object_id(&id));
  w.append("processorName", options_.processor_name);
  w.append("instanceName", options_.workspace_name);
  w.append("dlqTime", Value::date(options_.clock->now_ms()));
  w.append("operatorName", operator_name);
  w.begin_object("errInfo");
  w.append("reason", with_valid_utf8(reason));
  w.end();
  if (bson_size(document) > kMaxLetterBytes) {
    w.append("doc", "(a document of " + std::to_string(bson_size(document)) +
                        " bytes, too large for a dead letter)");
  } else {
    w.append("doc", document);
  }
  w.append(options_.meta_field, meta);
  w.end();
  count_.fetch_add(1);
  auto size = static_cast<int64_t>(w.size());
  bytes_.fetch_add(size);
  if (options_.connection == nullptr) return size;
  std::unique_lock lock(mutex_);
  if (options_.own_thread) {
    changed_.wait(lock, [this] { return queue_.size() < kCapacity || closing_ || !failure_.ok(); });
  }
  queue_.emplace_back(w.bytes());
  ++added_;
  changed_.notify_all();
  return size;
}

Document DeadLetterQueue::sample_form(const Value& document, const Value& meta,
                                      std::string_view operator_name,
                                      std::string_view reason) const {
  BsonWriter w;
  w.begin_document();
  w.begin_object("_dlqMessage");
  w.append(options_.meta_field, meta);
  w.begin_object("errInfo");
  w.append("reason", with_valid_utf8(reason));
  w.end();
  w.append("operatorName", operator_name);
  w.append("doc", document);
  w.append("processorName", options_.processor_name);
  w.append("workspaceName", options_.workspace_name);
  w.append("dlqTime", Value::date(options_.clock->now_ms()));
  w.end();
  w.end();
  return Document(w.bytes());
}

Status DeadLetterQueue::flush() {
  if (options_.connection == nullptr) return {};
  if (!options_.own_thread) return write_queued();
  std::unique_lock lock(mutex_);
  int64_t wanted = added_;
  changed_.wait(lock, [&] { return written_ >= wanted || !failure_.ok(); });
  return written_ >= wanted ? Status() : failure_;
}

Status DeadLetterQueue::step() {
  if (options_.own_thread || options_.connection == nullptr) return failure();
  (void)write_queued();  // tried again at the next step; flush() has the last word
  return {};
}

// Requires: no thread.
Status DeadLetterQueue::write_queued() {
  while (!queue_.empty()) {
    std::deque<Document> letters;
    take_batch(letters);
    if (Status status = insert(letters); !status.ok()) {
      queue_.insert(queue_.begin(), letters.begin(), letters.end());
      return status;
    }
    written_ += static_cast<int64_t>(letters.size());
  }
  return {};
}

// Moves what one command may hold to `letters`, behind those that a failed attempt left there.
void DeadLetterQueue::take_batch(std::deque<Document>& letters) {
  size_t bytes = 0;
  for (const Document& letter : letters) bytes += letter.bytes().size();
  while (!queue_.empty() && letters.size() < kBatch &&
         (letters.empty() || bytes + queue_.front().bytes().size() <= kBatchBytes)) {
    bytes += queue_.front().bytes().size();
    letters.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

Status DeadLetterQueue::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void DeadLetterQueue::write_loop() {
  int attempt = 0;
  std::deque<Document> letters;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closing_ || !queue_.empty() || !letters.empty(); });
      take_batch(letters);
      if (letters.empty()) return;  // closing
    }
    Status status = insert(letters);
    if (status.ok()) {
      attempt = 0;
      std::lock_guard lock(mutex_);
      written_ += static_cast<int64_t>(letters.size());
      letters.clear();
      changed_.notify_all();
      continue;
    }
    if (!pause(attempt++)) {
      std::lock_guard lock(mutex_);
      failure_ = Status(status.code(), "the dead letter queue " + options_.database + "." +
                                           options_.collection +
                                           " cannot be written: " + status.message());
      // What could not be written stays counted as queued; the processor stops and reads its input
      // again after the next start.
      for (auto letter = letters.rbegin(); letter != letters.rend(); ++letter)
        queue_.push_front(std::move(*letter));
      changed_.notify_all();
      return;
    }
  }
}

// Before the next attempt; false when there is none.
bool DeadLetterQueue::pause(int attempt) {
  std::unique_lock lock(mutex_);
  if (closing_ || attempt >= options_.retry_attempts) return false;
  auto delay =
      std::min(options_.retry_longest, options_.retry_first * (1 << std::min(attempt, 20)));
  changed_.wait_for(lock, delay, [this] { return closing_; });
  return true;
}

// A repeated insert after a lost answer meets its own _ids: those are written, and so no error.
Status DeadLetterQueue::insert(const std::deque<Document>& letters) {
  BsonWriter command;
  command.begin_document();
  command.append("insert", options_.collection);
  command.begin_array("documents");
  size_t index = 0;
  for (const Document& letter : letters) command.append_element(index++, letter.value());
  command.end();
  command.append("ordered", false);
  command.end();
  MR_ASSIGN_OR_RETURN(Document reply,
                      client_->run(options_.database, Value::bson_object(command.bytes().data())));
  Value errors = reply.get("writeErrors");
  if (!errors.is_array()) return {};
  for (const Value& error : errors.as_array()) {
    Value code = error.as_object().get("code");
    if (code.is_integer() && code.integer_value() == static_cast<int64_t>(ErrorCode::kDuplicateKey))
      continue;
    Value message = error.as_object().get("errmsg");
    return Status(static_cast<int32_t>(code.is_integer() ? code.integer_value() : 8),
                  message.is_string() ? std::string(message.as_string()) : "a write error");
  }
  return {};
}

}  // namespace millrace::engine
