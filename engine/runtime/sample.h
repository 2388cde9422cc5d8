// Cursors over what a running processor puts out: sample() of a named processor, process() of a
// temporary one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/status.h"

namespace millrace::engine {

// A bounded buffer of output documents between the pipeline thread and
// getMoreSampleStreamProcessor. Any thread.
class SampleCursor {
 public:
  enum class Loss {
    kDropWhenFull,  // sample(): never slows the pipeline
    kWaitWhenFull,  // process(): every result reaches the shell
  };

  static constexpr size_t kCapacity = 1000;  // documents
  static constexpr int64_t kMaxBytes = int64_t{40}
                                       << 20;  // of one sample() call (Atlas documentation)

  // `limit`: the cursor ends after that many documents; 0: none.
  SampleCursor(int64_t id, std::string processor, int64_t limit, Loss loss, int64_t now_ns)
      : id_(id),
        processor_(std::move(processor)),
        limit_(limit),
        loss_(loss),
        last_used_ns_(now_ns) {}

  int64_t id() const { return id_; }
  const std::string& processor() const { return processor_; }

  // From the pipeline thread.
  void offer(std::string_view document);
  // No more documents will come; with an error, getMore answers with it once the buffer is empty.
  void end(Status status = {});
  // True when nobody needs more documents (ended, or the limit has been offered).
  bool finished() const;

  struct Taken {
    std::vector<Document> documents;
    bool exhausted = false;  // the cursor id becomes 0
    Status status;           // why the processor failed, after the last document
  };
  // Takes what is there, at most `batch_size` documents; nothing when it must be waited for.
  std::optional<Taken> take(size_t batch_size, int64_t now_ns);

  // True once a taker has been told that the cursor is exhausted.
  bool delivered() const;
  int64_t last_used_ns() const;

 private:
  const int64_t id_;
  const std::string processor_;
  const int64_t limit_;
  const Loss loss_;
  mutable std::mutex mutex_;
  std::condition_variable not_full_;
  std::deque<Document> documents_;
  int64_t offered_ = 0;
  int64_t taken_bytes_ = 0;
  bool ended_ = false;
  bool delivered_ = false;
  Status status_;
  int64_t last_used_ns_;
};
using SampleCursorPtr = std::shared_ptr<SampleCursor>;

}  // namespace millrace::engine
