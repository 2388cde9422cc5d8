#include "engine/runtime/sample.h"

namespace millrace::engine {

void SampleCursor::offer(std::string_view document) {
  std::unique_lock lock(mutex_);
  if (loss_ == Loss::kWaitWhenFull) {
    not_full_.wait(lock, [this] { return ended_ || documents_.size() < kCapacity; });
  }
  if (ended_ || documents_.size() >= kCapacity || (limit_ > 0 && offered_ >= limit_)) return;
  documents_.emplace_back(document);
  if (++offered_ == limit_) ended_ = true;
}

void SampleCursor::end(Status status) {
  std::lock_guard lock(mutex_);
  if (!ended_) status_ = std::move(status);
  ended_ = true;
  not_full_.notify_all();
}

bool SampleCursor::finished() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

std::optional<SampleCursor::Taken> SampleCursor::take(size_t batch_size, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  last_used_ns_ = now_ns;
  Taken taken;
  while (taken.documents.size() < batch_size && !documents_.empty()) {
    taken_bytes_ += static_cast<int64_t>(documents_.front().bytes().size());
    taken.documents.push_back(std::move(documents_.front()));
    documents_.pop_front();
  }
  not_full_.notify_all();
  if (taken_bytes_ >= kMaxBytes && loss_ == Loss::kDropWhenFull) ended_ = true, documents_.clear();
  if (ended_ && documents_.empty()) {
    taken.exhausted = true;
    if (taken.documents.empty()) taken.status = status_;
    // With an error and documents in one go, the documents are answered first.
    if (!status_.ok() && !taken.documents.empty()) taken.exhausted = false;
    delivered_ = taken.exhausted;
    return taken;
  }
  if (taken.documents.empty()) return std::nullopt;
  return taken;
}

bool SampleCursor::delivered() const {
  std::lock_guard lock(mutex_);
  return delivered_;
}

int64_t SampleCursor::last_used_ns() const {
  std::lock_guard lock(mutex_);
  return last_used_ns_;
}

}  // namespace millrace::engine
