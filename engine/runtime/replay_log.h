// From where a source must be read again to recompute the windows that are open: what makes
// `modify` with a kept checkpoint possible (stage rules of
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/ "Modify a
// Stream Processor").
#pragma once

#include <cstdint>
#include <deque>

#include "engine/document/bson.h"

namespace millrace::engine {

// Remembers, for each batch of input that may still matter to an open window, the position before
// it. Not thread-safe.
class ReplayLog {
 public:
  // A batch whose newest document has the time `newest_ms` (event time, or the clock for windows by
  // processing time) was read behind `before`, the source's position ({} at the very beginning).
  void note(const Document& before, int64_t newest_ms);
  // Documents older than `oldest_open_ms` belong to no open window any more; max(): none is open.
  void forget_before(int64_t oldest_open_ms);

  // {position, floor} as a checkpoint keeps it; {} when no window is open.
  Document encode(int64_t oldest_open_ms) const;
  // What encode() gave, after a restart.
  void restore(const Document& saved);

 private:
  struct Stretch {
    Document before;
    int64_t newest_ms;
  };
  static constexpr size_t kMaxStretches = 512;  // then neighbours are put together

  std::deque<Stretch> stretches_;
};

}  // namespace millrace::engine
