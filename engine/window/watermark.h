// The processor's watermark: the event time up to which input is complete, as far as the partitions
// of the source tell. Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/windows/
// and …/architecture/
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/document/bson.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

// Every partition has the greatest timestamp it delivered; the watermark is the least of those over
// the partitions that are not idle, and never goes back. There is none until each of them has
// delivered. Single-threaded.
class Watermarks {
 public:
  struct Partition {
    int64_t watermark_ms = kNoWatermark;
    int64_t last_seen_ms =
        0;  // wall clock of the last document, or of when the partition became known
    bool idle = false;
  };

  // A partition that is silent for this long (wall clock) is ignored until it delivers again. 0:
  // never.
  void set_partition_idle_timeout(int64_t ms) { idle_timeout_ms_ = ms; }

  // Before the documents of a batch that was read at `now_ms`. `source` tells its partitions().
  template <typename Source>
  requires requires(const Source& source) { source.partitions().size(); }
  void begin_batch(const Source& source, int64_t now_ms) {
    begin_batch(source.partitions().size(), now_ms);
  }
  void begin_batch(size_t partition_count, int64_t now_ms);
  // A document of the partition has been consumed, whatever becomes of it.
  void observe(int32_t partition, int64_t timestamp_ms) {
    Partition& p = partitions_[static_cast<size_t>(partition)];
    p.last_seen_ms = now_ms_;
    if (timestamp_ms <= p.watermark_ms && !p.idle) return;
    raise(p, timestamp_ms);
  }
  // kNoWatermark as long as there is none.
  int64_t current() const { return current_ms_; }

  // While input is replayed nothing may close: the watermark stands still until hold(false).
  void hold(bool held);
  bool held() const { return held_; }

  // Time has passed: partitions may have become idle.
  void tick(int64_t now_ms);
  // When the next partition becomes idle, if nothing comes; max() for never.
  int64_t next_tick_ms() const;

  std::span<const Partition> partitions() const { return partitions_; }

  // {watermark: date, partitions: [{watermark: date, idle: bool}]} into an open document.
  void save(BsonWriter& to) const;
  // Silence counts from `now_ms`; a partition that was idle stays so until it delivers.
  Status restore(const Value& saved, int64_t now_ms);

 private:
  void raise(Partition& partition, int64_t timestamp_ms);
  void recompute();
  int64_t least_delivered() const;

  bool held_ = false;
  int64_t idle_timeout_ms_ = 0;
  int64_t now_ms_ = 0;
  int64_t current_ms_ = kNoWatermark;
  std::vector<Partition> partitions_;
};

}  // namespace millrace::engine
