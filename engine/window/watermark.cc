#include "engine/window/watermark.h"

#include <algorithm>

namespace millrace::engine {

void Watermarks::begin_batch(size_t partition_count, int64_t now_ms) {
  now_ms_ = std::max(now_ms_, now_ms);
  while (partitions_.size() < partition_count)
    partitions_.push_back({kNoWatermark, now_ms_, false});
  if (idle_timeout_ms_ > 0) tick(now_ms_);
}

void Watermarks::raise(Partition& partition, int64_t timestamp_ms) {
  int64_t before = partition.watermark_ms;
  bool was_idle = partition.idle;
  partition.watermark_ms = std::max(before, timestamp_ms);
  partition.idle = false;
  if (held_) return;
  if (partitions_.size() == 1) {
    current_ms_ = std::max(current_ms_, partition.watermark_ms);
  } else if (before <= current_ms_ ||
             was_idle) {  // it may have been the one that held the others back
    recompute();
  }
}

void Watermarks::hold(bool held) {
  held_ = held;
  if (!held) recompute();
}

// All partitions became idle in one moment, before there was a watermark (all of the input came in
// one batch, or before a restart): those that never delivered were the first to be ignored.
int64_t Watermarks::least_delivered() const {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const Partition& partition : partitions_) {
    if (partition.watermark_ms != kNoWatermark) least = std::min(least, partition.watermark_ms);
  }
  return least;
}

void Watermarks::recompute() {
  if (held_) return;
  int64_t least = std::numeric_limits<int64_t>::max();
  bool any = false;
  for (const Partition& partition : partitions_) {
    if (partition.idle) continue;
    any = true;
    least = std::min(least, partition.watermark_ms);
  }
  if (!any && current_ms_ == kNoWatermark) least = least_delivered();
  if (least != std::numeric_limits<int64_t>::max()) current_ms_ = std::max(current_ms_, least);
}

void Watermarks::tick(int64_t now_ms) {
  now_ms_ = std::max(now_ms_, now_ms);
  if (idle_timeout_ms_ <= 0) return;
  bool changed = false;
  for (Partition& partition : partitions_) {
    if (partition.idle || now_ms_ - partition.last_seen_ms < idle_timeout_ms_) continue;
    partition.idle = true;
    changed = true;
  }
  if (changed) recompute();
}

int64_t Watermarks::next_tick_ms() const {
  int64_t next = std::numeric_limits<int64_t>::max();
  if (idle_timeout_ms_ <= 0) return next;
  for (const Partition& partition : partitions_) {
    if (!partition.idle) next = std::min(next, partition.last_seen_ms + idle_timeout_ms_);
  }
  return next;
}

void Watermarks::save(BsonWriter& to) const {
  if (current_ms_ != kNoWatermark) to.append("watermark", Value::date(current_ms_));
  to.begin_array("partitions");
  for (size_t i = 0; i < partitions_.size(); ++i) {
    to.begin_object(std::to_string(i));
    if (partitions_[i].watermark_ms != kNoWatermark)
      to.append("watermark", Value::date(partitions_[i].watermark_ms));
    to.append("idle", partitions_[i].idle);
    to.end();
  }
  to.end();
}

Status Watermarks::restore(const Value& saved, int64_t now_ms) {
  Status bad(ErrorCode::kInternalError, "the saved watermarks are not readable");
  if (!saved.is_object()) return bad;
  Value current = saved.as_object().get("watermark");
  Value partitions = saved.as_object().get("partitions");
  if (!partitions.is_array() || (!current.is_missing() && !current.is(Type::kDate))) return bad;
  std::vector<Partition> restored;
  for (const Value& element : partitions.as_array()) {
    if (!element.is_object()) return bad;
    Value watermark = element.as_object().get("watermark");
    Value idle = element.as_object().get("idle");
    if (!idle.is(Type::kBool) || (!watermark.is_missing() && !watermark.is(Type::kDate)))
      return bad;
    restored.push_back(
        {watermark.is_missing() ? kNoWatermark : watermark.as_date(), now_ms, idle.as_bool()});
  }
  partitions_ = std::move(restored);
  current_ms_ = current.is_missing() ? kNoWatermark : current.as_date();
  now_ms_ = now_ms;
  return {};
}

}  // namespace millrace::engine
