// A BSON value as the engine passes it around: 16 bytes, trivially copyable, a view. Scalars are
// inside; strings, documents and arrays point into memory that belongs to someone else (the batch's
// arena, a received message, an owned Document) and must outlive the Value.
//
// Documents and arrays have two forms behind one interface: "tree" (an array of Field or Value,
// what stages build) and "BSON" (encoded bytes, what came from the wire, a change stream or storage
// and is copied through unread). ObjectView and ArrayView hide the difference.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/document/arena.h"

namespace millrace::engine {

// BSON's type numbers (bsonspec.org). kMissing is no BSON type: the value of a path that leads
// nowhere.
enum class Type : uint8_t {
  kMissing = 0,
  kDouble = 1,
  kString = 2,
  kObject = 3,
  kArray = 4,
  kBinData = 5,
  kUndefined = 6,
  kObjectId = 7,
  kBool = 8,
  kDate = 9,
  kNull = 10,
  kRegex = 11,
  kDBPointer = 12,
  kCode = 13,
  kSymbol = 14,
  kCodeWScope = 15,
  kInt32 = 16,
  kTimestamp = 17,
  kInt64 = 18,
  kDecimal = 19,
  kMaxKey = 127,
  kMinKey = 255,
};

// "double", "string", "object", …, "missing": the aliases of $type and of the $type expression.
std::string_view type_name(Type type);

// IEEE 754-2008 decimal128 in BID encoding, the low word first as BSON has it. Arithmetic:
// decimal.h.
struct Decimal128 {
  uint64_t low = 0;
  uint64_t high = 0;
};

struct ObjectId {
  uint8_t bytes[12];
  std::string to_hex() const;
  static ObjectId
  generate();  // thread-safe; time, process and counter parts as the ObjectId specification says
};

struct RegexParts {
  std::string_view pattern;
  std::string_view options;
};

struct Field;
class ObjectView;
class ArrayView;
struct CodeWScopeParts;
struct DBPointerParts;

class Value {
 public:
  constexpr Value()
      : type_(Type::kMissing), form_(Form::kNone), subtype_(0), depth_(0), size_(0), bits_(0) {}

  static Value missing() { return {}; }
  static Value null() { return Value(Type::kNull, 0, 0); }
  static Value undefined() { return Value(Type::kUndefined, 0, 0); }
  static Value min_key() { return Value(Type::kMinKey, 0, 0); }
  static Value max_key() { return Value(Type::kMaxKey, 0, 0); }
  static Value boolean(bool v) { return Value(Type::kBool, 0, v ? 1 : 0); }
  static Value int32(int32_t v) { return Value(Type::kInt32, 0, static_cast<uint32_t>(v)); }
  static Value int64(int64_t v) { return Value(Type::kInt64, 0, static_cast<uint64_t>(v)); }
  // int32 when it fits, else int64: how counts are shown to users.
  static Value integer(int64_t v) {
    return v == static_cast<int32_t>(v) ? int32(static_cast<int32_t>(v)) : int64(v);
  }
  static Value number(double v) { return Value(Type::kDouble, 0, std::bit_cast<uint64_t>(v)); }
  static Value date(int64_t ms) { return Value(Type::kDate, 0, static_cast<uint64_t>(ms)); }
  // `seconds` in the high half, as BSON's timestamp has it.
  static Value timestamp(uint32_t seconds, uint32_t increment) {
    return Value(Type::kTimestamp, 0, uint64_t{seconds} << 32 | increment);
  }
  static Value timestamp_bits(uint64_t bits) { return Value(Type::kTimestamp, 0, bits); }
  static Value string(std::string_view text) {
    return Value(Type::kString, text.size(), pointer(text.data()));
  }
  static Value symbol(std::string_view text) {
    return Value(Type::kSymbol, text.size(), pointer(text.data()));
  }
  static Value code(std::string_view text) {
    return Value(Type::kCode, text.size(), pointer(text.data()));
  }
  static Value binary(uint8_t subtype, std::string_view bytes) {
    Value v(Type::kBinData, bytes.size(), pointer(bytes.data()));
    v.subtype_ = subtype;
    return v;
  }
  static Value object_id(const ObjectId* id) { return Value(Type::kObjectId, 12, pointer(id)); }
  // Requires: `bytes` is the 16 bytes of a decimal128 (any alignment).
  static Value decimal(const void* bytes) { return Value(Type::kDecimal, 16, pointer(bytes)); }
  static Value decimal(Decimal128 d, Arena& arena) { return decimal(arena.make<Decimal128>(d)); }
  // The three rare types with several parts point at their BSON encoding ("pattern\0options\0" and
  // so on), in bytes or in `arena`.
  static Value regex(std::string_view pattern, std::string_view options, Arena& arena);
  static Value code_w_scope(std::string_view code, Value scope, Arena& arena);
  static Value db_pointer(std::string_view ns, const ObjectId& id, Arena& arena);
  static Value encoded(Type type, const void* bson, size_t size) {
    return Value(type, size, pointer(bson));
  }
  // Tree forms: fields and elements in order.
  static Value object(std::span<const Field> fields);
  // The same without a walk over the fields. Requires: 1 <= `depth` <= kMaxTreeDepth, and `depth`
  // is more than the tree_depth() of each field's value, or kMaxTreeDepth.
  static Value object(std::span<const Field> fields, int depth);
  static Value array(std::span<const Value> elements) {
    Value v(Type::kArray, elements.size(), pointer(elements.data()));
    v.form_ = Form::kTree;
    v.depth_ = 1;
    for (const Value& element : elements) v.nest(element);
    return v;
  }
  // BSON forms. Requires: `bson` starts a whole, valid document (bson.h validates bytes from
  // outside).
  static Value bson_object(const void* bson) { return bson_container(Type::kObject, bson); }
  static Value bson_array(const void* bson) { return bson_container(Type::kArray, bson); }

  Type type() const { return type_; }
  std::string_view type_name() const { return engine::type_name(type_); }
  bool is(Type type) const { return type_ == type; }
  bool is_missing() const { return type_ == Type::kMissing; }
  // null, undefined or missing: what most expressions answer null to.
  bool is_nullish() const {
    return type_ == Type::kMissing || type_ == Type::kNull || type_ == Type::kUndefined;
  }
  bool is_string() const { return type_ == Type::kString; }
  bool is_object() const { return type_ == Type::kObject; }
  bool is_array() const { return type_ == Type::kArray; }
  bool is_integer() const { return type_ == Type::kInt32 || type_ == Type::kInt64; }
  // int32, int64, double or decimal.
  bool is_number() const {
    return type_ == Type::kInt32 || type_ == Type::kInt64 || type_ == Type::kDouble ||
           type_ == Type::kDecimal;
  }

  // The raw payload; Requires: the matching type.
  bool as_bool() const { return bits_ != 0; }
  int32_t as_int32() const { return static_cast<int32_t>(bits_); }
  int64_t as_int64() const { return static_cast<int64_t>(bits_); }
  double as_double() const { return std::bit_cast<double>(bits_); }
  int64_t as_date() const { return static_cast<int64_t>(bits_); }
  uint64_t as_timestamp_bits() const { return bits_; }
  uint32_t timestamp_seconds() const { return static_cast<uint32_t>(bits_ >> 32); }
  uint32_t timestamp_increment() const { return static_cast<uint32_t>(bits_); }
  // Of a string, symbol, code or binData.
  std::string_view as_string() const { return {reinterpret_cast<const char*>(bits_), size_}; }
  uint8_t binary_subtype() const { return subtype_; }
  const ObjectId& as_object_id() const { return *reinterpret_cast<const ObjectId*>(bits_); }
  Decimal128 as_decimal() const {
    Decimal128 d;
    std::memcpy(&d, reinterpret_cast<const void*>(bits_), sizeof d);
    return d;
  }
  RegexParts as_regex() const;
  CodeWScopeParts as_code_w_scope() const;
  DBPointerParts as_db_pointer() const;
  // The BSON encoding of a regex, code with scope or DBPointer value.
  std::string_view encoded_bytes() const { return {reinterpret_cast<const char*>(bits_), size_}; }
  inline ObjectView as_object() const;
  inline ArrayView as_array() const;

  // int32 or int64 as int64. Requires: is_integer().
  int64_t integer_value() const { return type_ == Type::kInt32 ? as_int32() : as_int64(); }
  // Any number as a double (decimals rounded). Requires: is_number().
  double to_double() const {
    switch (type_) {
      case Type::kInt32:
        return as_int32();
      case Type::kInt64:
        return static_cast<double>(as_int64());
      case Type::kDouble:
        return as_double();
      default:
        return decimal_to_double();
    }
  }
  // MongoDB's truth: false, null, undefined, missing and every zero are false, all else is true.
  bool truthy() const {
    switch (type_) {
      case Type::kMissing:
      case Type::kNull:
      case Type::kUndefined:
        return false;
      case Type::kBool:
      case Type::kInt32:
      case Type::kInt64:
        return bits_ != 0;
      case Type::kDouble:
        return as_double() != 0;
      case Type::kDecimal:
        return !decimal_is_zero();
      default:
        return true;
    }
  }

  // True for the tree form of an object or array.
  bool is_tree() const { return form_ == Form::kTree; }
  // How many levels of tree form stand one in another, up to kMaxTreeDepth for anything deeper; 0
  // for scalars and BSON (whose depth validation has bounded). Expressions can nest a tree as often
  // as they like: what builds them refuses those that are too deep, so that what walks them may
  // recurse.
  int tree_depth() const { return depth_; }
  static constexpr int kMaxTreeDepth = 255;
  // Tree form only.
  inline std::span<const Field> tree_fields() const;
  std::span<const Value> tree_elements() const {
    return {reinterpret_cast<const Value*>(bits_), size_};
  }
  // BSON form only: the encoded bytes, length prefix and terminator included.
  std::string_view bson_bytes() const { return {reinterpret_cast<const char*>(bits_), size_}; }
  // Address of the payload in memory: equal addresses and sizes mean equal values.
  const void* address() const { return reinterpret_cast<const void*>(bits_); }
  uint32_t payload_size() const { return size_; }

 private:
  enum class Form : uint8_t { kNone, kTree, kBson };

  Value(Type type, size_t size, uint64_t bits)
      : type_(type),
        form_(Form::kNone),
        subtype_(0),
        depth_(0),
        size_(static_cast<uint32_t>(size)),
        bits_(bits) {}
  static uint64_t pointer(const void* p) { return reinterpret_cast<uint64_t>(p); }
  static Value bson_container(Type type, const void* bson) {
    int32_t length;
    std::memcpy(&length, bson, 4);
    Value v(type, static_cast<uint32_t>(length), pointer(bson));
    v.form_ = Form::kBson;
    return v;
  }
  double decimal_to_double() const;
  bool decimal_is_zero() const;
  // Counts the levels of a part that was put in.
  void nest(const Value& part) {
    if (part.depth_ >= depth_)
      depth_ = static_cast<uint8_t>(part.depth_ + (part.depth_ < kMaxTreeDepth ? 1 : 0));
  }

  Type type_;
  Form form_;
  uint8_t subtype_;
  uint8_t depth_;  // see tree_depth()
  uint32_t size_;  // bytes of a string or of BSON, fields or elements of a tree
  uint64_t bits_;  // the scalar, or a pointer
};
static_assert(sizeof(Value) == 16 && std::is_trivially_copyable_v<Value>);

// Short texts, as most names are, are compared as one or two words, without a call.
inline bool same_bytes(const char* a, const char* b, size_t size) {
  auto same = [&]<typename Word>(Word) {
    Word first[2];
    Word last[2];
    std::memcpy(&first[0], a, sizeof(Word));
    std::memcpy(&first[1], b, sizeof(Word));
    std::memcpy(&last[0], a + size - sizeof(Word), sizeof(Word));
    std::memcpy(&last[1], b + size - sizeof(Word), sizeof(Word));
    return first[0] == first[1] && last[0] == last[1];
  };
  if (size >= 8 && size <= 16) return same(uint64_t{});
  if (size >= 4 && size < 8) return same(uint32_t{});
  if (size >= 2 && size < 4) return same(uint16_t{});
  if (size == 1) return *a == *b;
  return std::memcmp(a, b, size) == 0;
}

// A named value. The name is a view like the value.
struct Field {
  Field() = default;
  Field(std::string_view name, Value value)
      : name_data(name.data()), name_size(static_cast<uint32_t>(name.size())), value(value) {}
  std::string_view name() const { return {name_data, name_size}; }
  // Names that come from one NameTable are the same pointer; others are compared by bytes.
  bool has_name(std::string_view other) const {
    return name_size == other.size() &&
           (name_data == other.data() || same_bytes(name_data, other.data(), name_size));
  }

  const char* name_data = "";
  uint32_t name_size = 0;
  uint32_t reserved = 0;
  Value value;
};
static_assert(sizeof(Field) == 32);

struct CodeWScopeParts {
  std::string_view code;
  Value scope;
};
struct DBPointerParts {
  std::string_view ns;
  const ObjectId* id;
};

inline Value Value::object(std::span<const Field> fields) {
  Value v(Type::kObject, fields.size(), pointer(fields.data()));
  v.form_ = Form::kTree;
  v.depth_ = 1;
  for (const Field& field : fields) v.nest(field.value);
  return v;
}
inline Value Value::object(std::span<const Field> fields, int depth) {
  Value v(Type::kObject, fields.size(), pointer(fields.data()));
  v.form_ = Form::kTree;
  v.depth_ = static_cast<uint8_t>(depth);
  return v;
}
inline std::span<const Field> Value::tree_fields() const {
  return {reinterpret_cast<const Field*>(bits_), size_};
}

// Walks encoded BSON elements.
class BsonIterator {
 public:
  BsonIterator() = default;
  // `bson`: the start of a valid document or array.
  explicit BsonIterator(const void* bson) : at_(static_cast<const char*>(bson) + 4) { read(); }
  bool done() const { return value_at_ == nullptr; }
  const Field& field() const { return field_; }
  void next() {
    at_ = next_;
    read();
  }

 private:
  void read();
  const char* at_ = nullptr;
  const char* value_at_ = nullptr;
  const char* next_ = nullptr;
  Field field_;
};

// Reads the value of `type` whose bytes start at `at`; sets `end` to what follows. Requires: valid
// BSON.
Value read_bson_value(Type type, const char* at, const char** end);

// A document's fields in order, whatever its form.
class ObjectView {
 public:
  explicit ObjectView(Value v) : value_(v) {}

  class Iterator {
   public:
    Iterator(const Field* at) : tree_(at) {}  // NOLINT(google-explicit-constructor)
    explicit Iterator(const void* bson) : bson_(bson), is_bson_(true) {}
    const Field& operator*() const { return is_bson_ ? bson_.field() : *tree_; }
    const Field* operator->() const { return &**this; }
    Iterator& operator++() {
      if (is_bson_) {
        bson_.next();
      } else {
        ++tree_;
      }
      return *this;
    }
    bool operator==(const Iterator& other) const {
      return is_bson_ ? bson_.done() : tree_ == other.tree_;
    }

   private:
    const Field* tree_ = nullptr;
    BsonIterator bson_;
    bool is_bson_ = false;
  };

  Iterator begin() const {
    if (value_.is_tree()) return Iterator(value_.tree_fields().data());
    return Iterator(static_cast<const void*>(value_.bson_bytes().data()));
  }
  Iterator end() const {
    if (value_.is_tree())
      return Iterator(value_.tree_fields().data() + value_.tree_fields().size());
    return Iterator(static_cast<const Field*>(nullptr));
  }
  // The first field of that name; missing if there is none.
  Value get(std::string_view name) const;
  bool has(std::string_view name) const { return !get(name).is_missing(); }
  bool empty() const { return begin() == end(); }
  // Linear in the BSON form.
  size_t size() const;
  Value value() const { return value_; }

 private:
  Value value_;
};

// An array's elements in order, whatever its form.
class ArrayView {
 public:
  explicit ArrayView(Value v) : value_(v) {}

  class Iterator {
   public:
    Iterator(const Value* at) : tree_(at) {}  // NOLINT(google-explicit-constructor)
    explicit Iterator(const void* bson) : bson_(bson), is_bson_(true) {}
    const Value& operator*() const { return is_bson_ ? bson_.field().value : *tree_; }
    const Value* operator->() const { return &**this; }
    Iterator& operator++() {
      if (is_bson_) {
        bson_.next();
      } else {
        ++tree_;
      }
      return *this;
    }
    bool operator==(const Iterator& other) const {
      return is_bson_ ? bson_.done() : tree_ == other.tree_;
    }

   private:
    const Value* tree_ = nullptr;
    BsonIterator bson_;
    bool is_bson_ = false;
  };

  Iterator begin() const {
    if (value_.is_tree()) return Iterator(value_.tree_elements().data());
    return Iterator(static_cast<const void*>(value_.bson_bytes().data()));
  }
  Iterator end() const {
    if (value_.is_tree())
      return Iterator(value_.tree_elements().data() + value_.tree_elements().size());
    return Iterator(static_cast<const Value*>(nullptr));
  }
  bool empty() const { return begin() == end(); }
  // Linear in the BSON form; elements() gives random access.
  size_t size() const;
  Value at(size_t index) const;  // missing beyond the end
  // The elements as an array in memory: the tree itself, or the BSON form decoded into `arena`.
  std::span<const Value> elements(Arena& arena) const;
  Value value() const { return value_; }

 private:
  Value value_;
};

inline ObjectView Value::as_object() const { return ObjectView(*this); }
inline ArrayView Value::as_array() const { return ArrayView(*this); }

// A document's fields as an array in memory: the tree itself, or the BSON form decoded one level
// deep into `arena`.
std::span<const Field> object_fields(Value object, Arena& arena);

// A copy that owns nothing outside `arena`; containers become the tree form.
Value deep_copy(Value value, Arena& arena);

// Finds names in a list of fields that may be too long to walk.
class FieldIndex {
 public:
  // Where the first field of that name stands in `fields`, or their number. Between calls `fields`
  // may grow at its end, and values may change, but no names; the index itself lives in `arena`.
  size_t find(std::span<const Field> fields, std::string_view name, Arena& arena) {
    if (fields.size() > kWalked) return look_up(fields, name, arena);
    size_t i = 0;
    while (i < fields.size() && !fields[i].has_name(name)) ++i;
    return i;
  }

 private:
  static constexpr size_t kWalked = 32;
  size_t look_up(std::span<const Field> fields, std::string_view name, Arena& arena);

  uint32_t* slots_ = nullptr;  // open addressing: position + 1, or 0
  size_t slot_count_ = 0;
  size_t indexed_ = 0;  // fields that have their slots
};

// Collects fields or elements whose number is not known beforehand; finish() gives the tree form,
// valid as long as the arena.
class ObjectBuilder {
 public:
  explicit ObjectBuilder(Arena& arena, size_t expected = 8)
      : arena_(arena), capacity_(expected ? expected : 1) {
    fields_ = arena.allocate_array<Field>(capacity_);
  }
  // Appends; does not look for a field of the same name. The name must live as long as the
  // document. A missing value is not added.
  void add(std::string_view name, Value value) {
    if (value.is_missing()) return;
    if (size_ == capacity_) grow();
    new (&fields_[size_++]) Field(name, value);
  }
  // Replaces the value of the first field of that name in place, or appends.
  void set(std::string_view name, Value value);
  size_t size() const { return size_; }
  Field& at(size_t i) { return fields_[i]; }
  Value finish() const { return Value::object({fields_, size_}); }

 private:
  void grow();
  Arena& arena_;
  Field* fields_;
  size_t size_ = 0;
  size_t capacity_;
  FieldIndex index_;
};

class ArrayBuilder {
 public:
  explicit ArrayBuilder(Arena& arena, size_t expected = 8)
      : arena_(arena), capacity_(expected ? expected : 1) {
    elements_ = arena.allocate_array<Value>(capacity_);
  }
  void add(Value value) {
    if (size_ == capacity_) grow();
    elements_[size_++] = value;
  }
  size_t size() const { return size_; }
  Value& at(size_t i) { return elements_[i]; }
  Value finish() const { return Value::array({elements_, size_}); }

 private:
  void grow();
  Arena& arena_;
  Value* elements_;
  size_t size_ = 0;
  size_t capacity_;
};

}  // namespace millrace::engine
