// The distinct keys of one $group stage (or of a session window's partitions), each stored once and
// known by a small number, so that windows and panes refer to keys by index and merge without
// hashing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/document/value.h"
#include "engine/expression/accumulator.h"

namespace millrace::engine {

// A key in 16 bytes. Byte 0 of `low` says what it is, byte 1 as which type it is shown (not
// compared: 1 and 1.0 are one key), bytes 2 to 7 and `high` hold the value itself if it is a
// scalar, an ObjectId or a string of up to 12 bytes, else a length or hash and a pointer.
struct PackedKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

// Not thread-safe.
class GroupKeys {
 public:
  // Marks the ids that are still in use, by live[id] = true.
  using MarkLive = std::function<void(std::vector<bool>& live)>;

  // `mark_live` is asked before the table would grow: keys of closed windows make room for new
  // ones.
  explicit GroupKeys(MarkLive mark_live);
  GroupKeys(const GroupKeys&) = delete;
  GroupKeys& operator=(const GroupKeys&) = delete;
  ~GroupKeys();

  // A key on its way into the table.
  struct Probe {
    PackedKey key;
    uint32_t hash;
    Value value;  // as evaluated; must live until intern()
  };
  // Missing is a key of its own.
  static Probe prepare(const Value& value);
  void prefetch(const Probe& probe) const { __builtin_prefetch(&slots_[probe.hash & mask_]); }
  // A guess at the key's id, for fetching what belongs to it ahead of time: that of the first slot
  // looked at. Fetches the key's record. kNoGuess when the slot is free.
  static constexpr uint32_t kNoGuess = UINT32_MAX;
  uint32_t guess(const Probe& probe) const {
    uint32_t id = slots_[probe.hash & mask_].id;
    if (id != kFree) __builtin_prefetch(&record(id));
    return id;
  }
  // The id of the key, new or old. Ids are dense: those of forgotten keys are given out again.
  uint32_t intern(const Probe& probe) {
    for (size_t at = probe.hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.id == kFree) return insert(probe);
      if (slot.hash == probe.hash && same(record(slot.id), probe)) return slot.id;
    }
  }
  // The key as it was first seen, copied into `arena`.
  Value value(uint32_t id, Arena& arena) const;
  // The same without a copy, valid until the next intern().
  Value view(uint32_t id) const;

  // All ids are below this.
  uint32_t id_limit() const { return limit_; }
  // Bytes held, forgotten keys that were not swept yet included.
  int64_t bytes() const;

 private:
  struct Slot {
    uint32_t hash;
    uint32_t id;
  };
  static constexpr uint32_t kFree = UINT32_MAX;
  static constexpr uint32_t kChunkKeys = 1024;
  static constexpr uint64_t kShownMask = 0xFF00;  // byte 1 of `low`

  const PackedKey& record(uint32_t id) const { return chunks_[id / kChunkKeys][id % kChunkKeys]; }
  PackedKey& record(uint32_t id) { return chunks_[id / kChunkKeys][id % kChunkKeys]; }
  static bool same(const PackedKey& stored, const Probe& probe) {
    if (((stored.low ^ probe.key.low) & ~kShownMask) != 0) return false;
    return stored.high == probe.key.high || same_outside(stored, probe);
  }
  static bool same_outside(const PackedKey& stored, const Probe& probe);
  uint32_t insert(const Probe& probe);
  void make_room();
  void rebuild(size_t slot_count);
  void forget(uint32_t id);

  MarkLive mark_live_;
  std::vector<std::unique_ptr<PackedKey[]>> chunks_;
  std::vector<Slot> slots_;
  size_t mask_;
  uint32_t limit_ = 0;  // ids ever given out
  std::vector<uint32_t> free_ids_;
  std::unordered_map<uint32_t, Value>
      exact_;       // owned: keys whose first form the record cannot show (-0.0, decimals)
  HeapBytes heap_;  // of keys that do not fit their records
};

}  // namespace millrace::engine
