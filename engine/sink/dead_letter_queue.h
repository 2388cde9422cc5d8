// The dead letter queue: what could not be processed, on its way into a collection.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/monitoring/ "Dead Letter
// Queue"
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "engine/connection/connection.h"
#include "engine/document/bson.h"
#include "engine/document/clock.h"
#include "engine/document/status.h"

namespace millrace::engine {

// Promise G4: nothing is dropped silently: counted = written + queued. When the collection cannot
// be written, failure() says so and the processor stops. add() waits when the queue is full. add(),
// counts and failure() from any thread.
class DeadLetterQueue {
 public:
  struct Options {
    std::string processor_name;
    std::string workspace_name;
    std::string meta_field = "_stream_meta";
    ConnectionPtr connection;  // null: none is configured; letters are counted and shown in samples
    ClusterConnector* clusters = nullptr;
    std::string database;
    std::string collection;
    const Clock* clock = nullptr;
    // False: no thread; letters are written by step() and flush().
    bool own_thread = true;
    // A collection out of reach is tried again this often, with growing pauses.
    int retry_attempts = 8;
    std::chrono::milliseconds retry_first{200};
    std::chrono::milliseconds retry_longest{5000};
  };

  explicit DeadLetterQueue(Options options);
  ~DeadLetterQueue();  // close()

  // Connects and starts the writing thread. Errors: the connection's.
  Status open();
  // Writes what is queued, as far as that goes at once, and ends the thread.
  void close();

  // Takes one letter and returns its size in bytes. `document`: as it entered the operator; `meta`:
  // its stream metadata.
  int64_t add(const Value& document, const Value& meta, std::string_view operator_name,
              std::string_view reason);
  // The form that sample() and process() show: {_dlqMessage: {…}}.
  Document sample_form(const Value& document, const Value& meta, std::string_view operator_name,
                       std::string_view reason) const;
  // Returns when everything added so far is written. Errors: failure(); without a thread those of
  // one attempt.
  Status flush();
  // Errors: failure(). Without a thread: writes what is queued, once; what fails stays queued.
  Status step();

  int64_t count() const { return count_.load(); }
  int64_t bytes() const { return bytes_.load(); }
  Status failure() const;

 private:
  static constexpr size_t kCapacity = 10'000;              // letters
  static constexpr size_t kBatch = 500;                    // letters of one command, and
  static constexpr size_t kBatchBytes = size_t{16} << 20;  // as many bytes, or a single letter

  void write_loop();
  Status write_queued();
  void take_batch(std::deque<Document>& letters);
  Status insert(const std::deque<Document>& letters);
  bool pause(int attempt);

  const Options options_;
  std::atomic<int64_t> count_{0};
  std::atomic<int64_t> bytes_{0};

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Document> queue_;
  int64_t added_ = 0;
  int64_t written_ = 0;
  bool closing_ = false;
  Status failure_;

  std::unique_ptr<ClusterClient> client_;  // of the writing thread, once open
  std::thread thread_;
};

}  // namespace millrace::engine
