// Time is handed in. Everything in the engine that waits, expires or stamps reads a Clock; only
// main and the tests choose which.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace millrace::engine {

// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01T00:00:00Z; what a document sees as "now". May jump.
  virtual int64_t now_ms() const = 0;
  // Nanoseconds on a scale that never goes back: for durations, retries, idle timers.
  virtual int64_t monotonic_ns() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t now_ms() const override {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }
  int64_t monotonic_ns() const override {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
  }
};

// Stands still until it is moved. For tests and `millrace test`.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t now_ms) : now_ms_(now_ms) {}
  int64_t now_ms() const override { return now_ms_.load(); }
  int64_t monotonic_ns() const override { return now_ms_.load() * 1'000'000; }
  void set_ms(int64_t now_ms) { now_ms_.store(now_ms); }
  void advance_ms(int64_t ms) { now_ms_.fetch_add(ms); }

 private:
  std::atomic<int64_t> now_ms_;
};

}  // namespace millrace::engine
