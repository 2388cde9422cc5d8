// When something that failed is tried again.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "engine/document/clock.h"

namespace millrace::engine {

// Pauses that double from `first` up to `longest`, a limited number of times. Not thread-safe.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest, int attempts)
      : first_(first), longest_(longest), attempts_(attempts) {}

  // An attempt has failed. False: it was the last one.
  bool failed(const Clock& clock) {
    if (failures_ >= attempts_) return false;
    auto pause = std::min(longest_, first_ * (int64_t{1} << std::min(failures_, 20)));
    not_before_ns_ = clock.monotonic_ns() + std::chrono::nanoseconds(pause).count();
    ++failures_;
    return true;
  }
  bool due(const Clock& clock) const {
    return failures_ == 0 || clock.monotonic_ns() >= not_before_ns_;
  }
  void reset() { failures_ = 0; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  int attempts_;
  int failures_ = 0;
  int64_t not_before_ns_ = 0;
};

}  // namespace millrace::engine
