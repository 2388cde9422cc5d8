// The grouping behind $group: one table per stage, and beside it any number of sets of groups (one
// of a plain $group, one per window or pane), which share the table's keys.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/expression/accumulator.h"
#include "engine/stage/group_keys.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

class GroupTable;

// The groups of one window or pane, in the order in which they were first seen. A group is a block:
// its key's id and the accumulators' states. Made by GroupTable::make_groups(), which must outlive
// it.
class Groups {
 public:
  ~Groups();
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  uint32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  // Of the blocks and the index, not of what the states hold on the heap.
  int64_t bytes() const;

 private:
  friend class GroupTable;
  friend class GroupsCursor;
  explicit Groups(GroupTable& table);

  static constexpr uint32_t kChunkGroups = 256;
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kScanned = 8;  // up to so many groups are found by looking at each

  char* block(uint32_t index) const {
    return chunks_[index / kChunkGroups] + size_t{index % kChunkGroups} * stride_;
  }
  uint32_t key_id(uint32_t index) const { return *reinterpret_cast<const uint32_t*>(block(index)); }
  // The index of the key's group, or kNone.
  uint32_t find(uint32_t id) const {
    if (dense_) [[likely]]
      return id < by_id_.size() ? by_id_[id] - 1 : kNone;
    return find_sparse(id);
  }
  void prefetch_index(uint32_t id) const {
    if (dense_ && id < by_id_.size()) __builtin_prefetch(&by_id_[id]);
  }
  uint32_t find_sparse(uint32_t id) const;
  uint32_t append(uint32_t id);
  void note(uint32_t id, uint32_t index);
  void reindex();

  GroupTable& table_;
  size_t stride_;
  uint32_t count_ = 0;
  uint32_t first_capacity_ = 0;  // the first chunk grows up to kChunkGroups
  std::vector<char*> chunks_;
  // Key id -> index + 1. Dense: one entry per id of the table. Otherwise open addressing over (id,
  // index) pairs, or nothing while small.
  bool dense_ = false;
  std::vector<uint32_t> by_id_;
  size_t slot_bits_ = 0;
  // Neighbours in the table's list, through which it finds the keys in use.
  Groups* previous_ = nullptr;
  Groups* next_ = nullptr;
};
using GroupsPtr = std::unique_ptr<Groups>;

// A walk over the groups that go out: those of one part, or of two parts that are merged group by
// group on the way, first the first part's. The parts must stay as they are meanwhile.
class GroupsCursor {
 public:
  explicit GroupsCursor(const Groups& only, const Groups* later = nullptr)
      : first_(only), later_(later), end_(only.count() + (later != nullptr ? later->count() : 0)) {
    skip_known();
  }
  bool done() const { return at_ == end_; }

 private:
  friend class GroupTable;
  // Groups of the later part that went out with the first part's.
  void skip_known() {
    while (at_ >= first_.count() && at_ < end_ &&
           first_.find(later_->key_id(at_ - first_.count())) != Groups::kNone)
      ++at_;
  }

  const Groups& first_;
  const Groups* later_;
  uint32_t at_ = 0;
  uint32_t end_;
};

// Single-threaded with its pipeline.
class GroupTable {
 public:
  // `spec` is what stands beside $group. Errors: 15947, 15955, 40234 to 40238, 15952 as the server
  // has them.
  static Result<std::unique_ptr<GroupTable>> parse(const Value& spec, ParseContext& context);
  GroupTable(const GroupTable&) = delete;
  GroupTable& operator=(const GroupTable&) = delete;
  ~GroupTable();

  bool mergeable() const { return mergeable_; }
  bool order_sensitive() const { return order_sensitive_; }
  // True if groups are about as large as all that went into them.
  bool grows() const { return grows_; }
  void add_dependencies(Dependencies& dependencies) const;

  GroupsPtr make_groups() { return GroupsPtr(new Groups(*this)); }
  // Adds each document to its group. One whose key or argument cannot be evaluated goes to the dead
  // letters under `operator_name` and changes nothing. Returns how many these were. Requires: the
  // context's arena is set.
  size_t add(Groups& groups, std::span<const StreamDocument> documents, OperatorContext& context,
             std::string_view operator_name);
  // Requires: mergeable(). `from` holds what came later.
  void merge(Groups& to, const Groups& from);
  // Appends a document for each of the next groups, at most so many, in order; bodies live in
  // `arena`, all else is copied from `like`. Two parts require mergeable(), the later part's
  // documents having come later. Returns how many groups these were.
  size_t emit(GroupsCursor& groups, size_t at_most, Arena& arena, const StreamDocument& like,
              std::vector<StreamDocument>& to);

  // An array field of [key, state, …] per group.
  void save(const Groups& groups, std::string_view field, BsonWriter& to) const;
  // Requires: `groups` is empty. Errors: not what save() gave for the same stage.
  Status load(Groups& groups, const Value& saved);

  // Of the keys and of what states hold on the heap; groups count themselves.
  int64_t shared_bytes() const { return keys_.bytes() + heap_.used; }

 private:
  friend class Groups;

  // One accumulator: where its state stands in a block and which of the evaluated arguments it
  // takes.
  struct Output {
    std::string_view name;
    AccumulatorPtr accumulator;
    AccumulatorKind kind;
    uint32_t offset;
    uint32_t argument;
  };

  GroupTable();
  void lay_out(std::vector<Value> specs);
  Value evaluate_key(EvalContext& eval) const;
  void mark_live(std::vector<bool>& live) const;
  void init_block(char* block) const;
  void destroy_blocks(Groups& groups);
  uint32_t new_group(Groups& groups, uint32_t id, const Value& key, EvalContext& eval);
  void add_values(char* block, const Value* arguments);
  void merge_blocks(char* to, const char* from);
  Value result(const Output& output, const char* block, Arena& arena) const;
  Value row(uint32_t key_id, const char* block, Arena& arena) const;
  Value merged_row(uint32_t key_id, const char* first, const char* later, Arena& arena);
  bool holds_nothing() const { return heap_.used == 0 && zero_is_fresh_; }

  ExpressionPtr key_;
  std::string_view single_part_;  // the name in a key of the form {name: …}
  std::vector<Output> outputs_;
  std::vector<const Accumulator*>
      arguments_;  // the distinct ones: accumulators over the same expression share its value
  size_t stride_ = 8;
  bool zero_is_fresh_ = true;
  bool starts_with_key_ = false;
  bool mergeable_ = true;
  bool order_sensitive_ = false;
  bool grows_ = false;

  GroupKeys keys_;
  HeapBytes heap_;
  Groups* first_ = nullptr;
  std::vector<char> scratch_;      // the block of a group that two parts make up
  std::vector<uint32_t> pending_;  // keys looked up for documents that are not in their groups yet
};

}  // namespace millrace::engine
