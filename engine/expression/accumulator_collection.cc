// $push, $addToSet, $mergeObjects, $concatArrays, $setUnion: accumulators that keep everything they
// see, or every distinct value.
#include <algorithm>
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

// Values with the arrivals of their documents, ascending: like a ValueList, but each zero byte is
// the difference to the arrival before, seven bits a byte, the lowest first (LEB128). That of the
// first value is zero.
struct ArrivalList {
  ValueList list;
  int64_t first = 0;
  int64_t last = 0;

  // Requires: `arrival` is not before `last`.
  void append(const Value& value, int64_t arrival, HeapBytes& heap) {
    static thread_local BsonWriter writer;
    writer.clear();
    writer.append("", value);
    if (list.count == 0) first = last = arrival;
    append_encoded(writer.bytes(), static_cast<uint64_t>(arrival - last), heap);
    last = arrival;
  }

  void merge(const ArrivalList& other, HeapBytes& heap) {
    if (other.list.count == 0) return;
    if (list.count > 0 && other.first < last) return interleave(other, heap);
    std::string_view elements = other.list.encoded();
    if (list.count == 0) {
      first = other.first;
      list.append_encoded(elements, other.list.count, heap);
    } else {  // what comes first there has a place relative to ours now
      uint32_t end = 0;
      uint64_t none;
      read(elements.data(), &end, &none);
      append_encoded(elements.substr(0, end), static_cast<uint64_t>(other.first - last), heap);
      list.append_encoded(elements.substr(end), other.list.count - 1, heap);
    }
    last = other.last;
  }

  // The value at `*offset`, a view into `base`; moves `*offset` behind it.
  static Value read(const char* base, uint32_t* offset, uint64_t* difference) {
    const char* at = base + *offset;
    auto type = static_cast<Type>(static_cast<uint8_t>(*at++));
    *difference = 0;
    for (int shift = 0;; shift += 7) {
      auto byte = static_cast<uint8_t>(*at++);
      *difference |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) break;
    }
    const char* end;
    Value value = read_bson_value(type, at, &end);
    *offset = static_cast<uint32_t>(end - base);
    return value;
  }

  Value to_array(Arena& arena) const {
    std::string_view copy = arena.copy(list.encoded());
    ArrayBuilder array(arena, list.count);
    uint64_t difference;
    for (uint32_t offset = 0; offset < list.size;)
      array.add(read(copy.data(), &offset, &difference));
    return array.finish();
  }

 private:
  // `element`: its type, a zero byte, its payload.
  void append_encoded(std::string_view element, uint64_t difference, HeapBytes& heap) {
    char head[11] = {element[0]};
    size_t size = 1;
    for (; difference >= 0x80; difference >>= 7)
      head[size++] = static_cast<char>(difference | 0x80);
    head[size++] = static_cast<char>(difference);
    list.append_encoded({head, size}, 0, heap);
    list.append_encoded(element.substr(2), 1, heap);
  }
  void interleave(const ArrivalList& other, HeapBytes& heap) {
    ArrivalList both;
    Cursor ours(*this);
    Cursor theirs(other);
    while (!ours.done() || !theirs.done()) {
      bool take_ours = theirs.done() || (!ours.done() && ours.arrival <= theirs.arrival);
      Cursor& next = take_ours ? ours : theirs;
      both.append(next.value, next.arrival, heap);
      next.advance();
    }
    list.release(heap);
    *this = both;
  }
  struct Cursor {
    explicit Cursor(const ArrivalList& list) : from(list), arrival(list.first) { advance(); }
    bool done() const { return over; }
    void advance() {
      over = offset >= from.list.size;
      if (over) return;
      uint64_t difference;
      value = read(from.list.bytes, &offset, &difference);
      arrival += static_cast<int64_t>(difference);
    }
    const ArrivalList& from;
    uint32_t offset = 0;
    int64_t arrival;
    Value value;
    bool over = false;
  };
};

// $push, and $concatArrays, which takes the elements of each value.
class ListAccumulator : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(ArrivalList); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<ArrivalList*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    static_cast<ArrivalList*>(state)->list.release(heap);
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (!argument.is_missing())
      static_cast<ArrivalList*>(state)->append(argument, heap.arrival, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    static_cast<ArrivalList*>(state)->merge(*static_cast<const ArrivalList*>(other), heap);
  }
  bool grows() const override { return true; }
  Value result(const void* state, Arena& arena) const override {
    return static_cast<const ArrivalList*>(state)->to_array(arena);
  }
  // {values: [...], first: the first's arrival, then: [each further one's distance to the one
  // before]}
  Value save(const void* state, Arena& arena) const override {
    const auto& values = *static_cast<const ArrivalList*>(state);
    ArrayBuilder distances(arena, values.list.count);
    uint64_t difference;
    for (uint32_t offset = 0; offset < values.list.size;) {
      bool is_first = offset == 0;
      ArrivalList::read(values.list.bytes, &offset, &difference);
      if (!is_first) distances.add(Value::integer(static_cast<int64_t>(difference)));
    }
    ObjectBuilder saved(arena, 3);
    saved.add("values", values.to_array(arena));
    saved.add("first", Value::int64(values.first));
    saved.add("then", distances.finish());
    return saved.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (!saved.is_object()) return bad_state("$push");
    Value values = saved.as_object().get("values");
    Value first = saved.as_object().get("first");
    Value distances = saved.as_object().get("then");
    if (!values.is_array() || !first.is(Type::kInt64) || !distances.is_array())
      return bad_state("$push");
    int64_t arrival = first.as_int64();
    ArrayView then = distances.as_array();
    auto distance = then.begin();
    bool is_first = true;
    for (const Value& element : values.as_array()) {
      if (!is_first) {
        if (distance == then.end() || !(*distance).is_integer() || (*distance).integer_value() < 0)
          return bad_state("$push");
        arrival += (*distance).integer_value();
        ++distance;
      }
      is_first = false;
      static_cast<ArrivalList*>(state)->append(element, arrival, heap);
    }
    heap.arrival = std::max(heap.arrival, arrival);
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
      static_cast<ArrivalList*>(state)->append(element, heap.arrival, heap);
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
