// $push, $addToSet, $mergeObjects, $concatArrays, $setUnion: accumulators that keep everything they
// see, or every distinct value.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <unordered_map>
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

// The fields of several documents: of each the newest value, and where its name first stood.
// Carries the arrivals of both, so that parts can be merged in any order.
class MergedFields {
 public:
  struct Entry {
    Value name;
    Value value;
    int64_t first;      // arrival of the first document that had the field
    int64_t last;       // of the one that `value` is from
    uint32_t position;  // in the first one
    bool before(const Entry& other) const {
      return first != other.first ? first < other.first : position < other.position;
    }
  };

  // Takes a copy of `field`.
  void set(const Entry& field, HeapBytes& heap) {
    size_t at = find(field.name.as_string());
    if (at == entries_.size()) {
      heap.used += kEntryBytes;
      entries_.push_back(field);
      entries_.back().name = own(field.name, heap);
      entries_.back().value = own(field.value, heap);
      in_order_ = in_order_ && (at == 0 || entries_[at - 1].before(field));
      return;
    }
    Entry& mine = entries_[at];
    if (field.last >= mine.last) {
      Value old = mine.value;
      mine.value = own(field.value, heap);
      mine.last = field.last;
      disown(old, heap);
    }
    if (field.before(mine)) {
      mine.first = field.first;
      mine.position = field.position;
      in_order_ = false;
    }
  }
  // By where the names first stood.
  std::vector<const Entry*> ordered() const {
    std::vector<const Entry*> all;
    all.reserve(entries_.size());
    for (const Entry& entry : entries_) all.push_back(&entry);
    if (!in_order_)
      std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->before(*b); });
    return all;
  }
  const std::vector<Entry>& entries() const { return entries_; }
  void release(HeapBytes& heap) {
    for (const Entry& entry : entries_) {
      disown(entry.name, heap);
      disown(entry.value, heap);
      heap.used -= kEntryBytes;
    }
  }

 private:
  static constexpr size_t kWalked = 16;
  // With the vector's reserve and the map's node.
  static constexpr int64_t kEntryBytes = 2 * sizeof(Entry) + 48;

  size_t find(std::string_view name) {
    if (entries_.size() <= kWalked) {
      size_t i = 0;
      while (i < entries_.size() && entries_[i].name.as_string() != name) ++i;
      return i;
    }
    for (size_t i = by_name_.size(); i < entries_.size(); ++i)
      by_name_.emplace(entries_[i].name.as_string(), i);
    auto found = by_name_.find(name);
    return found == by_name_.end() ? entries_.size() : found->second;
  }

  std::vector<Entry> entries_;  // each name once
  std::unordered_map<std::string_view, size_t> by_name_;
  bool in_order_ = true;
};

// $mergeObjects: later fields win, each stays where its name first stood. Null and missing do not
// count.
class MergeObjectsAccumulator final : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(MergedFields*); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { fields(state) = nullptr; }
  void destroy(void* state, HeapBytes& heap) const override {
    if (fields(state) == nullptr) return;
    fields(state)->release(heap);
    heap.used -= kFieldsBytes;
    delete fields(state);
    fields(state) = nullptr;
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
    uint32_t position = 0;
    for (const Field& field : argument.as_object()) {
      ensure(state, heap)
          .set({Value::string(field.name()), field.value, heap.arrival, heap.arrival, position++},
               heap);
    }
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    const MergedFields* from = fields(other);
    if (from == nullptr) return;
    for (const MergedFields::Entry& entry : from->entries()) ensure(state, heap).set(entry, heap);
  }
  Value result(const void* state, Arena& arena) const override {
    if (fields(state) == nullptr) return Value::object({});
    auto all = fields(state)->ordered();
    ObjectBuilder object(arena, all.size());
    for (const MergedFields::Entry* entry : all)
      object.add(arena.copy(entry->name.as_string()), deep_copy(entry->value, arena));
    return object.finish();
  }
  // [[name, value, first arrival, last arrival, position], …]
  Value save(const void* state, Arena& arena) const override {
    if (fields(state) == nullptr) return Value::array({});
    ArrayBuilder saved(arena, fields(state)->entries().size());
    for (const MergedFields::Entry& entry : fields(state)->entries()) {
      ArrayBuilder field(arena, 5);
      field.add(entry.name);
      field.add(entry.value);
      field.add(Value::int64(entry.first));
      field.add(Value::int64(entry.last));
      field.add(Value::int64(entry.position));
      saved.add(field.finish());
    }
    return saved.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (!saved.is_array()) return bad_state("$mergeObjects");
    for (const Value& field : saved.as_array()) {
      Value parts[5];
      size_t count = 0;
      if (field.is_array()) {
        for (const Value& part : field.as_array()) {
          if (count < std::size(parts)) parts[count] = part;
          ++count;
        }
      }
      if (count != std::size(parts) || !parts[0].is_string() || !parts[2].is(Type::kInt64) ||
          !parts[3].is(Type::kInt64) || !parts[4].is(Type::kInt64))
        return bad_state("$mergeObjects");
      ensure(state, heap)
          .set({parts[0], parts[1], parts[2].as_int64(), parts[3].as_int64(),
                static_cast<uint32_t>(parts[4].as_int64())},
               heap);
      heap.arrival = std::max(heap.arrival, parts[3].as_int64());
    }
    return {};
  }

 private:
  static constexpr int64_t kFieldsBytes = sizeof(MergedFields) + 16;
  static MergedFields*& fields(void* state) { return *static_cast<MergedFields**>(state); }
  static const MergedFields* fields(const void* state) {
    return *static_cast<MergedFields* const*>(state);
  }
  static MergedFields& ensure(void* state, HeapBytes& heap) {
    if (fields(state) == nullptr) {
      fields(state) = new MergedFields;
      heap.used += kFieldsBytes;
    }
    return *fields(state);
  }
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
