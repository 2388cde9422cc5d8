#include "engine/document/value.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <random>
#include <unordered_map>

#include "engine/document/bson.h"
#include "engine/document/decimal.h"

namespace millrace::engine {

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kMissing:
      return "missing";
    case Type::kDouble:
      return "double";
    case Type::kString:
      return "string";
    case Type::kObject:
      return "object";
    case Type::kArray:
      return "array";
    case Type::kBinData:
      return "binData";
    case Type::kUndefined:
      return "undefined";
    case Type::kObjectId:
      return "objectId";
    case Type::kBool:
      return "bool";
    case Type::kDate:
      return "date";
    case Type::kNull:
      return "null";
    case Type::kRegex:
      return "regex";
    case Type::kDBPointer:
      return "dbPointer";
    case Type::kCode:
      return "javascript";
    case Type::kSymbol:
      return "symbol";
    case Type::kCodeWScope:
      return "javascriptWithScope";
    case Type::kInt32:
      return "int";
    case Type::kTimestamp:
      return "timestamp";
    case Type::kInt64:
      return "long";
    case Type::kDecimal:
      return "decimal";
    case Type::kMaxKey:
      return "maxKey";
    case Type::kMinKey:
      return "minKey";
  }
  return "unknown";
}

std::string ObjectId::to_hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex(24, '0');
  for (int i = 0; i < 12; ++i) {
    hex[2 * i] = kDigits[bytes[i] >> 4];
    hex[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  return hex;
}

ObjectId ObjectId::generate() {
  static const uint64_t kProcess = std::random_device{}() | uint64_t{std::random_device{}()} << 32;
  static std::atomic<uint32_t> counter{std::random_device{}()};
  auto seconds = static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                           std::chrono::system_clock::now().time_since_epoch())
                                           .count());
  uint32_t count = counter.fetch_add(1, std::memory_order_relaxed);
  ObjectId id{};
  for (int i = 0; i < 4; ++i) id.bytes[i] = static_cast<uint8_t>(seconds >> (24 - 8 * i));
  for (int i = 0; i < 5; ++i) id.bytes[4 + i] = static_cast<uint8_t>(kProcess >> (8 * i));
  for (int i = 0; i < 3; ++i) id.bytes[9 + i] = static_cast<uint8_t>(count >> (16 - 8 * i));
  return id;
}

double Value::decimal_to_double() const { return decimal::to_double(as_decimal()); }
bool Value::decimal_is_zero() const { return decimal::is_zero(as_decimal()); }

namespace {

int32_t load_int32(const char* at) {
  int32_t v;
  std::memcpy(&v, at, 4);
  return v;
}
uint64_t load_uint64(const char* at) {
  uint64_t v;
  std::memcpy(&v, at, 8);
  return v;
}

char* store_string(char* at, std::string_view text) {
  auto n = static_cast<int32_t>(text.size() + 1);
  std::memcpy(at, &n, 4);
  std::memcpy(at + 4, text.data(), text.size());
  at[4 + text.size()] = 0;
  return at + 5 + text.size();
}

}  // namespace

namespace {

[[gnu::always_inline]] inline Value read_value(Type type, const char* at, const char** end) {
  switch (type) {
    case Type::kDouble:
      *end = at + 8;
      return Value::number(std::bit_cast<double>(load_uint64(at)));
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode: {
      int32_t n = load_int32(at);
      *end = at + 4 + n;
      std::string_view text(at + 4, n - 1);
      if (type == Type::kString) return Value::string(text);
      return type == Type::kSymbol ? Value::symbol(text) : Value::code(text);
    }
    case Type::kObject:
      *end = at + load_int32(at);
      return Value::bson_object(at);
    case Type::kArray:
      *end = at + load_int32(at);
      return Value::bson_array(at);
    case Type::kBinData: {
      int32_t n = load_int32(at);
      *end = at + 5 + n;
      return Value::binary(static_cast<uint8_t>(at[4]), {at + 5, static_cast<size_t>(n)});
    }
    case Type::kUndefined:
      *end = at;
      return Value::undefined();
    case Type::kObjectId:
      *end = at + 12;
      return Value::object_id(reinterpret_cast<const ObjectId*>(at));
    case Type::kBool:
      *end = at + 1;
      return Value::boolean(*at != 0);
    case Type::kDate:
      *end = at + 8;
      return Value::date(static_cast<int64_t>(load_uint64(at)));
    case Type::kNull:
      *end = at;
      return Value::null();
    case Type::kRegex: {
      const char* options = at + std::strlen(at) + 1;
      *end = options + std::strlen(options) + 1;
      return Value::encoded(type, at, *end - at);
    }
    case Type::kDBPointer: {
      int32_t n = load_int32(at);
      *end = at + 4 + n + 12;
      return Value::encoded(type, at, *end - at);
    }
    case Type::kCodeWScope: {
      *end = at + load_int32(at);
      return Value::encoded(type, at, *end - at);
    }
    case Type::kInt32:
      *end = at + 4;
      return Value::int32(load_int32(at));
    case Type::kTimestamp:
      *end = at + 8;
      return Value::timestamp_bits(load_uint64(at));
    case Type::kInt64:
      *end = at + 8;
      return Value::int64(static_cast<int64_t>(load_uint64(at)));
    case Type::kDecimal:
      *end = at + 16;
      return Value::decimal(at);
    case Type::kMaxKey:
      *end = at;
      return Value::max_key();
    case Type::kMinKey:
      *end = at;
      return Value::min_key();
    case Type::kMissing:
      break;
  }
  *end = at;
  return {};
}

}  // namespace

Value read_bson_value(Type type, const char* at, const char** end) {
  return read_value(type, at, end);
}

void BsonIterator::read() {
  auto type = static_cast<Type>(static_cast<uint8_t>(*at_));
  if (type == Type::kMissing) {
    value_at_ = nullptr;
    return;
  }
  std::string_view name(at_ + 1);
  value_at_ = name.data() + name.size() + 1;
  field_ = Field(name, read_value(type, value_at_, &next_));
}

Value ObjectView::get(std::string_view name) const {
  if (value_.is_tree()) {
    for (const Field& field : value_.tree_fields()) {
      if (field.has_name(name)) return field.value;
    }
    return {};
  }
  for (const Field& field : *this) {
    if (field.has_name(name)) return field.value;
  }
  return {};
}

size_t ObjectView::size() const {
  if (value_.is_tree()) return value_.tree_fields().size();
  size_t n = 0;
  for (auto it = begin(); it != end(); ++it) ++n;
  return n;
}

size_t ArrayView::size() const {
  if (value_.is_tree()) return value_.tree_elements().size();
  size_t n = 0;
  for (auto it = begin(); it != end(); ++it) ++n;
  return n;
}

Value ArrayView::at(size_t index) const {
  if (value_.is_tree()) {
    auto elements = value_.tree_elements();
    return index < elements.size() ? elements[index] : Value();
  }
  for (const Value& element : *this) {
    if (index-- == 0) return element;
  }
  return {};
}

std::span<const Value> ArrayView::elements(Arena& arena) const {
  if (value_.is_tree()) return value_.tree_elements();
  ArrayBuilder builder(arena, 16);
  for (const Value& element : *this) builder.add(element);
  return builder.finish().tree_elements();
}

std::span<const Field> object_fields(Value object, Arena& arena) {
  if (object.is_tree()) return object.tree_fields();
  ObjectBuilder builder(arena, 16);
  for (const Field& field : object.as_object()) builder.add(field.name(), field.value);
  return builder.finish().tree_fields();
}

namespace {

// Copied by copying the Value, as most are.
bool is_plain(const Value& value) {
  return value.is(Type::kInt32) || value.is(Type::kInt64) || value.is(Type::kDouble) ||
         value.is(Type::kDate);
}

// One deep copy. Values that expressions build may hold one subtree in many places, at each level
// again: after kUnnotedBytes, what was copied is noted and its next place gets the same copy, so
// that the cost is by what is in memory and not by what it unfolds to.
class Copy {
 public:
  explicit Copy(Arena& arena) : arena_(arena) {}

  Value copy(const Value& value) {
    if (is_plain(value)) return value;
    bytes_ += sizeof(Value) + value.payload_size();
    if (bytes_ <= kUnnotedBytes || !worth_noting(value)) return copy_parts(value);
    Key key{value.address(), value.payload_size(), value.type()};
    if (auto known = copies_.find(key); known != copies_.end()) return known->second;
    Value made = copy_parts(value);
    copies_.emplace(key, made);
    return made;
  }

 private:
  static constexpr size_t kUnnotedBytes = 1 << 20;
  static constexpr size_t kLongText = 64;

  struct Key {
    const void* address;
    uint32_t size;
    Type type;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      auto at = reinterpret_cast<uintptr_t>(key.address);
      return (at ^ (uint64_t{key.size} << 40)) * 0x9E3779B97F4A7C15ull >> 8;
    }
  };

  static bool worth_noting(const Value& value) {
    if (value.is_object() || value.is_array()) return value.is_tree();
    return value.is(Type::kString) && value.payload_size() >= kLongText;
  }

  // Of a value that points to something.
  Value copy_parts(const Value& value) {
    switch (value.type()) {
      case Type::kString:
        return Value::string(arena_.copy(value.as_string()));
      case Type::kSymbol:
        return Value::symbol(arena_.copy(value.as_string()));
      case Type::kCode:
        return Value::code(arena_.copy(value.as_string()));
      case Type::kBinData:
        return Value::binary(value.binary_subtype(), arena_.copy(value.as_string()));
      case Type::kObjectId:
        return Value::object_id(arena_.make<ObjectId>(value.as_object_id()));
      case Type::kDecimal:
        return Value::decimal(value.as_decimal(), arena_);
      case Type::kRegex:
      case Type::kCodeWScope:
      case Type::kDBPointer: {
        std::string_view bytes = arena_.copy(value.encoded_bytes());
        return Value::encoded(value.type(), bytes.data(), bytes.size());
      }
      case Type::kObject: {
        ObjectBuilder builder(arena_);
        for (const Field& field : value.as_object())
          builder.add(arena_.copy(field.name()), copy(field.value));
        return builder.finish();
      }
      case Type::kArray: {
        ArrayBuilder builder(arena_);
        for (const Value& element : value.as_array()) builder.add(copy(element));
        return builder.finish();
      }
      default:
        return value;
    }
  }

  Arena& arena_;
  size_t bytes_ = 0;
  std::unordered_map<Key, Value, KeyHash> copies_;
};

}  // namespace

Value deep_copy(Value value, Arena& arena) {
  return is_plain(value) ? value : Copy(arena).copy(value);
}

Value Value::regex(std::string_view pattern, std::string_view options, Arena& arena) {
  size_t size = pattern.size() + options.size() + 2;
  char* at = arena.allocate_array<char>(size);
  std::memcpy(at, pattern.data(), pattern.size());
  at[pattern.size()] = 0;
  std::memcpy(at + pattern.size() + 1, options.data(), options.size());
  at[size - 1] = 0;
  return encoded(Type::kRegex, at, size);
}

Value Value::code_w_scope(std::string_view code, Value scope, Arena& arena) {
  BsonWriter writer;
  writer.append_document(scope);
  std::string_view bson = writer.bytes();
  auto size = static_cast<int32_t>(4 + 5 + code.size() + bson.size());
  char* at = arena.allocate_array<char>(size);
  std::memcpy(at, &size, 4);
  std::memcpy(store_string(at + 4, code), bson.data(), bson.size());
  return encoded(Type::kCodeWScope, at, size);
}

Value Value::db_pointer(std::string_view ns, const ObjectId& id, Arena& arena) {
  size_t size = 5 + ns.size() + 12;
  char* at = arena.allocate_array<char>(size);
  std::memcpy(store_string(at, ns), id.bytes, 12);
  return encoded(Type::kDBPointer, at, size);
}

RegexParts Value::as_regex() const {
  std::string_view pattern(reinterpret_cast<const char*>(bits_));
  return {pattern, std::string_view(pattern.data() + pattern.size() + 1)};
}

CodeWScopeParts Value::as_code_w_scope() const {
  const char* at = reinterpret_cast<const char*>(bits_) + 4;
  int32_t n = load_int32(at);
  return {{at + 4, static_cast<size_t>(n - 1)}, bson_object(at + 4 + n)};
}

DBPointerParts Value::as_db_pointer() const {
  const char* at = reinterpret_cast<const char*>(bits_);
  int32_t n = load_int32(at);
  return {{at + 4, static_cast<size_t>(n - 1)}, reinterpret_cast<const ObjectId*>(at + 4 + n)};
}

size_t FieldIndex::look_up(std::span<const Field> fields, std::string_view name, Arena& arena) {
  std::hash<std::string_view> hash;
  if (slot_count_ < fields.size() * 2) {
    slot_count_ = std::bit_ceil(fields.size() * 4);
    slots_ = arena.allocate_array<uint32_t>(slot_count_);
    std::fill_n(slots_, slot_count_, 0);
    indexed_ = 0;
  }
  // The slot of `sought`, or the free one where it belongs.
  auto slot_of = [&](std::string_view sought) -> uint32_t& {
    size_t at = hash(sought) & (slot_count_ - 1);
    while (slots_[at] != 0 && !fields[slots_[at] - 1].has_name(sought))
      at = (at + 1) & (slot_count_ - 1);
    return slots_[at];
  };
  for (; indexed_ < fields.size(); ++indexed_) {
    uint32_t& slot = slot_of(fields[indexed_].name());
    if (slot == 0) slot = static_cast<uint32_t>(indexed_ + 1);
  }
  uint32_t slot = slot_of(name);
  return slot == 0 ? fields.size() : slot - 1;
}

void ObjectBuilder::set(std::string_view name, Value value) {
  size_t at = index_.find({fields_, size_}, name, arena_);
  if (at == size_) return add(name, value);
  fields_[at].value = value;
}

void ObjectBuilder::grow() {
  Field* larger = arena_.allocate_array<Field>(capacity_ * 2);
  std::memcpy(static_cast<void*>(larger), fields_, size_ * sizeof(Field));
  fields_ = larger;
  capacity_ *= 2;
}

void ArrayBuilder::grow() {
  Value* larger = arena_.allocate_array<Value>(capacity_ * 2);
  std::memcpy(static_cast<void*>(larger), elements_, size_ * sizeof(Value));
  elements_ = larger;
  capacity_ *= 2;
}

}  // namespace millrace::engine
