// Where tumbling and hopping windows begin and end (stages-windows-time.md section 7.2), in integer
// milliseconds since 1970.
#pragma once

#include <algorithm>
#include <cstdint>

namespace millrace::engine {

// Event times beyond this are refused: every start and end then fits an int64 with room to spare.
inline constexpr int64_t kMaxEventTimeMs = int64_t{1} << 61;

// Windows are numbered: window k is [k·hop + offset, k·hop + offset + interval). Their bounds cut
// time into slices; the windows over a slice are the same for all of its instants, so that what a
// slice has collected can be shared by them. There are at most two slices a hop: with interval =
// overlap·hop + rest, the first `rest` milliseconds and what is left of the hop.
class WindowGeometry {
 public:
  WindowGeometry(int64_t interval_ms, int64_t hop_ms, int64_t offset_ms)
      : interval_(interval_ms),
        hop_(hop_ms),
        offset_(offset_ms),
        overlap_(interval_ms / hop_ms),
        rest_(interval_ms % hop_ms) {}

  struct Slice {
    int64_t number;
    int64_t begin_ms;
    int64_t end_ms;
    int64_t first_window;  // oldest and newest window over the slice; first > last in a gap between
                           // windows
    int64_t last_window;
  };
  Slice slice_at(int64_t time_ms) const {
    int64_t k = floor_divide(time_ms - offset_, hop_);
    int64_t hop_start = start(k);
    if (rest_ == 0) return {k, hop_start, hop_start + hop_, k - overlap_ + 1, k};
    bool first = time_ms - hop_start < rest_;
    return first ? Slice{2 * k, hop_start, hop_start + rest_, k - overlap_, k}
                 : Slice{2 * k + 1, hop_start + rest_, hop_start + hop_, k - overlap_ + 1, k};
  }
  int64_t start(int64_t window) const { return window * hop_ + offset_; }
  int64_t end(int64_t window) const { return start(window) + interval_; }
  int64_t first_slice(int64_t window) const { return rest_ == 0 ? window : 2 * window; }
  int64_t last_slice(int64_t window) const {
    return rest_ == 0 ? window + overlap_ - 1 : 2 * (window + overlap_);
  }
  // The oldest window over a slice.
  int64_t first_window(int64_t slice) const {
    return rest_ == 0 ? slice - overlap_ + 1 : floor_divide(slice + 1, 2) - overlap_;
  }
  // The newest one.
  int64_t last_window(int64_t slice) const { return rest_ == 0 ? slice : floor_divide(slice, 2); }
  // The first window whose end is after `time_ms`.
  int64_t first_open(int64_t time_ms) const {
    return floor_divide(time_ms - interval_ - offset_, hop_) + 1;
  }
  // More than one window over an instant.
  bool overlaps() const { return overlap_ > 1 || (overlap_ == 1 && rest_ > 0); }

 private:
  static int64_t floor_divide(int64_t a, int64_t b) {
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
  }

  int64_t interval_;
  int64_t hop_;
  int64_t offset_;
  int64_t overlap_;
  int64_t rest_;
};

}  // namespace millrace::engine
