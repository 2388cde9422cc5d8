#include "engine/stage/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace millrace::engine {

// Below 8 µs each microsecond is a class; above, the three bits behind the leading one tell.
int LatencyMeter::class_of(int64_t us) {
  if (us < kClassesPerOctave) return static_cast<int>(std::max<int64_t>(us, 0));
  int octave = std::bit_width(static_cast<uint64_t>(us)) - 4;
  int index = (octave + 1) * kClassesPerOctave + static_cast<int>((us >> octave) & 7);
  return std::min(index, kClasses - 1);
}

int64_t LatencyMeter::middle_of(int index) {
  if (index < kClassesPerOctave) return index;
  int octave = index / kClassesPerOctave - 1;
  int64_t low = int64_t{kClassesPerOctave + index % kClassesPerOctave} << octave;
  return low + (int64_t{1} << octave) / 2;
}

void LatencyMeter::add(int64_t ns, int64_t count, int64_t now_ms) {
  if (count <= 0) return;
  if (now_ms - current_.start_ms >= kWindowMs) {
    previous_ = current_;
    current_ = Window();
    current_.start_ms = now_ms;
  }
  int64_t us = ns / 1000;
  current_.count += count;
  current_.sum_us += us * count;
  current_.classes[static_cast<size_t>(class_of(us))] += count;
}

int64_t LatencyMeter::percentile(const Window& window, double share) {
  auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(window.count)));
  int64_t seen = 0;
  for (int i = 0; i < kClasses; ++i) {
    seen += window.classes[static_cast<size_t>(i)];
    if (seen >= rank && seen > 0) return middle_of(i);
  }
  return 0;
}

LatencySummary LatencyMeter::summary(int64_t now_ms) const {
  bool fresh = current_.count > 0 && now_ms - current_.start_ms < 2 * kWindowMs;
  bool old = !fresh && previous_.count > 0 && now_ms - previous_.start_ms < 2 * kWindowMs;
  LatencySummary summary;
  summary.end_ms = now_ms;
  summary.start_ms = now_ms - kWindowMs;
  if (!fresh && !old) return summary;
  const Window& window = fresh ? current_ : previous_;
  summary.start_ms = window.start_ms;
  summary.end_ms = std::min(now_ms, window.start_ms + kWindowMs);
  summary.count = window.count;
  summary.sum_us = window.sum_us;
  summary.p50_us = percentile(window, 0.5);
  summary.p99_us = percentile(window, 0.99);
  return summary;
}

}  // namespace millrace::engine
