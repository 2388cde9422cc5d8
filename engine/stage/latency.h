// How long documents take, estimated over the last 30 seconds: stats({verbose: true}).latency.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/monitoring/
#pragma once

#include <array>
#include <cstdint>

namespace millrace::engine {

struct LatencySummary {
  int64_t p50_us = 0;
  int64_t p99_us = 0;
  int64_t start_ms = 0;  // wall clock: the limits of the measuring window
  int64_t end_ms = 0;
  int64_t count = 0;  // documents in it
  int64_t sum_us = 0;
};

// Counts latencies in classes of 12 % width, by measuring windows of 30 s. Not thread-safe.
class LatencyMeter {
 public:
  // `count` documents took `ns` each, up to now.
  void add(int64_t ns, int64_t count, int64_t now_ms);
  // Of the window that is being measured, or of the one before while that one has nothing yet.
  LatencySummary summary(int64_t now_ms) const;

 private:
  static constexpr int64_t kWindowMs = 30'000;
  static constexpr int kClassesPerOctave = 8;
  static constexpr int kClasses = 40 * kClassesPerOctave;  // up to 2^40 µs

  struct Window {
    int64_t start_ms = 0;
    int64_t count = 0;
    int64_t sum_us = 0;
    std::array<int64_t, kClasses> classes{};
  };
  static int class_of(int64_t us);
  static int64_t middle_of(int index);
  static int64_t percentile(const Window& window, double share);

  Window current_;
  Window previous_;
};

}  // namespace millrace::engine
