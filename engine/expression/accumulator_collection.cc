// $push, $addToSet, $mergeObjects, $concatArrays, $setUnion: accumulators that keep everything they
// see, or every distinct value.
#include <array>
#include <cstdlib>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/compare.h"
#include "engine/expression/accumulator.h"
#include "engine/expression/owned_value.h"

namespace millrace::engine {
namespace {

Status bad_state(std::string_view name) {
  return Status(ErrorCode::kInternalError,
                "the saved state of " + std::string(name) + " is not one");
}

// Values one behind the other as BSON elements without names: a type byte, a zero byte, the
// payload.
struct ValueList {
  char* bytes = nullptr;
  uint32_t size = 0;
  uint32_t capacity = 0;
  uint32_t count = 0;

  void append(const Value& value, HeapBytes& heap) {
    static thread_local BsonWriter writer;
    writer.clear();
    writer.append("", value);
    append_encoded(writer.bytes(), 1, heap);
  }
  void append_encoded(std::string_view elements, uint32_t number, HeapBytes& heap) {
    size_t needed = size + elements.size();
    if (needed > std::numeric_limits<uint32_t>::max()) throw std::bad_alloc();
    if (needed > capacity) grow(needed, heap);
    if (!elements.empty()) std::memcpy(bytes + size, elements.data(), elements.size());
    size = static_cast<uint32_t>(needed);
    count += number;
  }
  void release(HeapBytes& heap) {
    heap.used -= capacity;
    std::free(bytes);
    *this = {};
  }
  std::string_view encoded() const { return {bytes, size}; }
  // The value at `offset`, a view into `base`; moves `offset` behind it.
  static Value read(const char* base, uint32_t& offset) {
    const char* end;
    Value value = read_bson_value(static_cast<Type>(static_cast<uint8_t>(base[offset])),
                                  base + offset + 2, &end);
    offset = static_cast<uint32_t>(end - base);
    return value;
  }
  // All values as an array over a copy of the bytes in `arena`.
  Value to_array(Arena& arena) const {
    std::string_view copy = arena.copy(encoded());
    ArrayBuilder array(arena, count);
    for (uint32_t offset = 0; offset < size;) array.add(read(copy.data(), offset));
    return array.finish();
  }

 private:
  void grow(size_t needed, HeapBytes& heap) {
    auto larger = static_cast<uint32_t>(
        std::min<size_t>(std::max<size_t>(needed, size_t{capacity} + capacity / 2 + 16),
                         std::numeric_limits<uint32_t>::max()));
    auto* moved = static_cast<char*>(std::realloc(bytes, larger));
    if (moved == nullptr) throw std::bad_alloc();
    heap.used += static_cast<int64_t>(larger) - capacity;
    bytes = moved;
    capacity = larger;
  }
};
static_assert(sizeof(ValueList) == 24);

// $push, and $concatArrays, which takes the elements of each value.
class ListAccumulator : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(ValueList); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<ValueList*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    static_cast<ValueList*>(state)->release(heap);
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (!argument.is_missing()) static_cast<ValueList*>(state)->append(argument, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    auto* from = static_cast<const ValueList*>(other);
    static_cast<ValueList*>(state)->append_encoded(from->encoded(), from->count, heap);
  }
  bool order_sensitive() const override { return true; }
  Value result(const void* state, Arena& arena) const override {
    return static_cast<const ValueList*>(state)->to_array(arena);
  }
  Value save(const void* state, Arena& arena) const override { return result(state, arena); }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (!saved.is_array()) return bad_state("$push");
    for (const Value& element : saved.as_array())
      static_cast<ValueList*>(state)->append(element, heap);
    return {};
  }
};

// An array, for $concatArrays and $setUnion.
Value evaluate_array(const Expression& argument, EvalContext& context, std::string_view name) {
  Value value = argument.evaluate(context);
  if (!value.is_missing() && !value.is_array()) {
    fail_evaluation(ErrorCode::kTypeMismatch, std::string(name) +
                                                  " requires array inputs, but input is of type " +
                                                  std::string(value.type_name()));
  }
  return value;
}

class ConcatArraysAccumulator final : public ListAccumulator {
 public:
  using ListAccumulator::ListAccumulator;
  Value evaluate(EvalContext& context) const override {
    return evaluate_array(*argument_, context, "$concatArrays");
  }
  const Expression* argument() const override { return nullptr; }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (argument.is_missing()) return;
    for (const Value& element : argument.as_array())
      static_cast<ValueList*>(state)->append(element, heap);
  }
};

// A ValueList with an index of its values by hash: open addressing over offsets.
struct ValueSet {
  ValueList list;
  std::vector<uint32_t> slots;  // offset + 1; 0 = free

  void insert(const Value& value, HeapBytes& heap) {
    if (slots.size() < 2 * (size_t{list.count} + 1)) rehash(heap);
    size_t mask = slots.size() - 1;
    size_t at = hash(value) & mask;
    for (; slots[at] != 0; at = (at + 1) & mask) {
      uint32_t offset = slots[at] - 1;
      if (equal(ValueList::read(list.bytes, offset), value)) return;
    }
    slots[at] = list.size + 1;
    list.append(value, heap);
  }

 private:
  void rehash(HeapBytes& heap) {
    size_t larger = slots.empty() ? 8 : slots.size() * 2;
    heap.used += static_cast<int64_t>((larger - slots.size()) * sizeof(uint32_t));
    slots.assign(larger, 0);
    for (uint32_t offset = 0; offset < list.size;) {
      uint32_t start = offset;
      size_t at = hash(ValueList::read(list.bytes, offset)) & (larger - 1);
      while (slots[at] != 0) at = (at + 1) & (larger - 1);
      slots[at] = start + 1;
    }
  }
};

// $addToSet, and $setUnion, which takes the elements of each value. In the order in which the
// values were first seen.
class SetAccumulator : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(ValueSet*); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<ValueSet**>(state) = nullptr; }
  void destroy(void* state, HeapBytes& heap) const override {
    auto*& set = *static_cast<ValueSet**>(state);
    if (set == nullptr) return;
    heap.used -= static_cast<int64_t>(set->slots.size() * sizeof(uint32_t) + sizeof(ValueSet)) + 16;
    set->list.release(heap);
    delete set;
    set = nullptr;
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (!argument.is_missing()) ensure(state, heap).insert(argument, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    const ValueSet* from = *static_cast<ValueSet* const*>(other);
    if (from == nullptr) return;
    ValueSet& to = ensure(state, heap);
    for (uint32_t offset = 0; offset < from->list.size;)
      to.insert(ValueList::read(from->list.bytes, offset), heap);
  }
  Value result(const void* state, Arena& arena) const override {
    const ValueSet* set = *static_cast<ValueSet* const*>(state);
    return set == nullptr ? Value::array({}) : set->list.to_array(arena);
  }
  Value save(const void* state, Arena& arena) const override { return result(state, arena); }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (!saved.is_array()) return bad_state("$addToSet");
    for (const Value& element : saved.as_array()) ensure(state, heap).insert(element, heap);
    return {};
  }

 protected:
  static ValueSet& ensure(void* state, HeapBytes& heap) {
    auto*& set = *static_cast<ValueSet**>(state);
    if (set == nullptr) {
      set = new ValueSet;
      heap.used += static_cast<int64_t>(sizeof(ValueSet)) + 16;
    }
    return *set;
  }
};

class SetUnionAccumulator final : public SetAccumulator {
 public:
  using SetAccumulator::SetAccumulator;
  Value evaluate(EvalContext& context) const override {
    return evaluate_array(*argument_, context, "$setUnion");
  }
  const Expression* argument() const override { return nullptr; }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (argument.is_missing()) return;
    for (const Value& element : argument.as_array()) ensure(state, heap).insert(element, heap);
  }
};

// $mergeObjects: later fields win, each stays where its name first stood. Null and missing do not
// count.
class MergeObjectsAccumulator final : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(Value); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<Value*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    disown(*static_cast<Value*>(state), heap);
  }
  Value evaluate(EvalContext& context) const override {
    Value value = argument_->evaluate(context);
    if (!value.is_nullish() && !value.is_object()) {
      fail_evaluation(40400, "$mergeObjects requires object inputs, but input is of type " +
                                 std::string(value.type_name()));
    }
    return value;
  }
  const Expression* argument() const override { return nullptr; }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (argument.is_nullish()) return;
    auto& merged = *static_cast<Value*>(state);
    Value old = merged;
    if (old.is_missing()) {
      merged = own(argument, heap);
      return;
    }
    scratch_.reset();
    ObjectBuilder object(scratch_, 16);
    for (const Field& field : old.as_object()) object.add(field.name(), field.value);
    for (const Field& field : argument.as_object()) object.set(field.name(), field.value);
    merged = own(object.finish(), heap);
    disown(old, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    add(state, *static_cast<const Value*>(other), heap);
  }
  bool order_sensitive() const override { return true; }
  Value result(const void* state, Arena& arena) const override {
    const auto& merged = *static_cast<const Value*>(state);
    return merged.is_missing() ? Value::object({}) : deep_copy(merged, arena);
  }
  Value save(const void* state, Arena&) const override {
    const auto& merged = *static_cast<const Value*>(state);
    return merged.is_missing() ? Value::null() : merged;
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (!saved.is_nullish() && !saved.is_object()) return bad_state("$mergeObjects");
    add(state, saved, heap);
    return {};
  }

 private:
  mutable Arena scratch_;
};

template <typename T>
Result<AccumulatorPtr> parse(std::string_view name, const Value& operand, ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(std::make_unique<T>(std::move(argument)));
}

constexpr std::array kRows = {
    AccumulatorRow{"$addToSet", parse<SetAccumulator>, "aggregation/addToSet"},
    AccumulatorRow{"$concatArrays", parse<ConcatArraysAccumulator>, "aggregation/concatArrays"},
    AccumulatorRow{"$mergeObjects", parse<MergeObjectsAccumulator>, "aggregation/mergeObjects"},
    AccumulatorRow{"$push", parse<ListAccumulator>, "aggregation/push"},
    AccumulatorRow{"$setUnion", parse<SetUnionAccumulator>, "aggregation/setUnion"},
};

}  // namespace

std::span<const AccumulatorRow> collection_accumulators() { return kRows; }

}  // namespace millrace::engine
