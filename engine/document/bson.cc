#include "engine/document/bson.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cstdlib>

namespace millrace::engine {

namespace {

// Names of array elements, ready made for the usual lengths.
struct IndexNames {
  static constexpr size_t kCount = 1000;
  char text[kCount][4];
  uint8_t size[kCount];
  IndexNames() {
    for (size_t i = 0; i < kCount; ++i) {
      size[i] = static_cast<uint8_t>(std::to_chars(text[i], text[i] + 4, i).ptr - text[i]);
    }
  }
};
const IndexNames kIndexNames;

std::string_view index_name(size_t index, char (&buffer)[20]) {
  if (index < IndexNames::kCount) return {kIndexNames.text[index], kIndexNames.size[index]};
  return {buffer,
          static_cast<size_t>(std::to_chars(buffer, buffer + sizeof buffer, index).ptr - buffer)};
}

}  // namespace

void BsonWriter::reserve_more(size_t more) {
  size_t used = at_ - base_;
  size_t capacity = std::max<size_t>({256, used + more, 2 * static_cast<size_t>(limit_ - base_)});
  base_ = static_cast<char*>(std::realloc(base_, capacity));
  at_ = base_ + used;
  limit_ = base_ + capacity;
}

void BsonWriter::open() {
  if (depth_ >= static_cast<int>(std::size(starts_))) {
    fail_evaluation(ErrorCode::kOverflow, "BSONObj exceeds maximum nested object depth: 200");
  }
  ensure(4);
  starts_[depth_++] = at_ - base_;
  at_ += 4;
}

void BsonWriter::begin_tree() {
  if (tree_levels_++ == 0) tree_start_ = size();
  if (size() - tree_start_ > kMaxTreeBytes)
    fail_evaluation(ErrorCode::kBsonObjectTooLarge, "a value is larger than 64 MB");
  open();
}

void BsonWriter::end_tree() {
  end();
  --tree_levels_;
}

void BsonWriter::write_string(std::string_view text) {
  ensure(text.size() + 5);
  auto n = static_cast<int32_t>(text.size() + 1);
  std::memcpy(at_, &n, 4);
  std::memcpy(at_ + 4, text.data(), text.size());
  at_ += 4 + text.size();
  *at_++ = 0;
}

void BsonWriter::append(std::string_view name, Value value) {
  if (value.is_missing()) return;
  key(value.type(), name);
  write_payload(value);
}

namespace {

// Bytes of the payload that is the low end of a value's 64 bits; kNoScalar for all other types.
constexpr uint8_t kNoScalar = 0xFF;
constexpr std::array<uint8_t, 256> scalar_sizes() {
  std::array<uint8_t, 256> sizes;
  sizes.fill(kNoScalar);
  auto set = [&](Type type, uint8_t size) { sizes[static_cast<uint8_t>(type)] = size; };
  for (Type type : {Type::kInt64, Type::kDouble, Type::kDate, Type::kTimestamp}) set(type, 8);
  set(Type::kInt32, 4);
  set(Type::kBool, 1);
  for (Type type : {Type::kNull, Type::kUndefined, Type::kMinKey, Type::kMaxKey}) set(type, 0);
  return sizes;
}
constexpr std::array<uint8_t, 256> kScalarSizes = scalar_sizes();

}  // namespace

// The fields of a tree. Scalars and strings, which most are, are written without a call, and the
// place is kept in a local, for any store of a char could change at_.
void BsonWriter::write_fields(std::span<const Field> fields) {
  char* at = at_;
  for (const Field& field : fields) {
    const Value& value = field.value;
    auto type = static_cast<uint8_t>(value.type());
    size_t size = kScalarSizes[type];
    if (value.is(Type::kString)) {
      size = value.as_string().size() + 5;
    } else if (size == kNoScalar) {
      at_ = at;
      append(field.name(), value);
      at = at_;
      continue;
    }
    // 8: a shorter number is stored whole, and what follows overwrites the rest
    if (field.name_size + size + 2 + 8 > static_cast<size_t>(limit_ - at)) [[unlikely]] {
      at_ = at;
      reserve_more(field.name_size + size + 2 + 8);
      at = at_;
    }
    *at = static_cast<char>(type);
    copy_short(at + 1, field.name());
    at += field.name_size + 1;
    *at++ = 0;
    if (value.is(Type::kString)) {
      auto n = static_cast<int32_t>(size - 4);
      std::memcpy(at, &n, 4);
      copy_short(at + 4, value.as_string());
      at[size - 1] = 0;
    } else {
      int64_t bits = value.as_int64();
      std::memcpy(at, &bits, 8);
    }
    at += size;
  }
  at_ = at;
}

void BsonWriter::append_element(size_t index, Value value) {
  char buffer[20];
  append(index_name(index, buffer), value.is_missing() ? Value::null() : value);
}

void BsonWriter::append_document(Value object) { write_payload(object); }

void BsonWriter::write_payload(const Value& value) {
  switch (value.type()) {
    case Type::kInt32: {
      ensure(4);
      int32_t v = value.as_int32();
      std::memcpy(at_, &v, 4);
      at_ += 4;
      return;
    }
    case Type::kDouble:
    case Type::kDate:
    case Type::kTimestamp:
    case Type::kInt64: {
      ensure(8);
      int64_t v = value.as_int64();
      std::memcpy(at_, &v, 8);
      at_ += 8;
      return;
    }
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
      write_string(value.as_string());
      return;
    case Type::kObject:
      if (!value.is_tree()) return append_raw(value.bson_bytes());
      begin_tree();
      write_fields(value.tree_fields());
      end_tree();
      return;
    case Type::kArray: {
      if (!value.is_tree()) return append_raw(value.bson_bytes());
      begin_tree();
      size_t index = 0;
      for (const Value& element : value.tree_elements()) append_element(index++, element);
      end_tree();
      return;
    }
    case Type::kBinData: {
      auto n = static_cast<int32_t>(value.as_string().size());
      ensure(5);
      std::memcpy(at_, &n, 4);
      at_[4] = static_cast<char>(value.binary_subtype());
      at_ += 5;
      append_raw(value.as_string());
      return;
    }
    case Type::kObjectId:
      append_raw({reinterpret_cast<const char*>(value.as_object_id().bytes), 12});
      return;
    case Type::kBool:
      ensure(1);
      *at_++ = value.as_bool() ? 1 : 0;
      return;
    case Type::kDecimal:
      append_raw({static_cast<const char*>(value.address()), 16});
      return;
    case Type::kRegex:
    case Type::kDBPointer:
    case Type::kCodeWScope:
      append_raw(value.encoded_bytes());
      return;
    case Type::kMissing:
    case Type::kNull:
    case Type::kUndefined:
    case Type::kMinKey:
    case Type::kMaxKey:
      return;
  }
}

namespace {

// Adds up sizes until they pass kMaxTreeBytes: values can hold one part in many places, and would
// be larger than any memory.
class SizeCounter {
 public:
  size_t total() const { return total_; }
  void add(const Value& value) {
    switch (value.type()) {
      case Type::kInt32:
        total_ += 4;
        return;
      case Type::kDouble:
      case Type::kDate:
      case Type::kTimestamp:
      case Type::kInt64:
        total_ += 8;
        return;
      case Type::kString:
      case Type::kSymbol:
      case Type::kCode:
      case Type::kBinData:
        total_ += 5 + value.as_string().size();
        return;
      case Type::kObject:
        if (!value.is_tree()) break;
        total_ += 5;
        for (const Field& field : value.tree_fields()) {
          if (total_ > kMaxTreeBytes) return;
          if (field.value.is_missing()) continue;
          total_ += 2 + field.name_size;
          add(field.value);
        }
        return;
      case Type::kArray: {
        if (!value.is_tree()) break;
        total_ += 5;
        size_t index = 0;
        char buffer[20];
        for (const Value& element : value.tree_elements()) {
          if (total_ > kMaxTreeBytes) return;
          total_ += 2 + index_name(index++, buffer).size();
          add(element);
        }
        return;
      }
      case Type::kObjectId:
        total_ += 12;
        return;
      case Type::kBool:
        total_ += 1;
        return;
      case Type::kDecimal:
        total_ += 16;
        return;
      case Type::kRegex:
      case Type::kDBPointer:
      case Type::kCodeWScope:
        total_ += value.encoded_bytes().size();
        return;
      default:
        return;
    }
    total_ += value.bson_bytes().size();
  }

 private:
  size_t total_ = 0;
};

}  // namespace

size_t bson_size(Value object) {
  SizeCounter counter;
  counter.add(object);
  return counter.total();
}

Document::Document() : bytes_(std::make_shared<const std::string>("\5\0\0\0\0", 5)) {}

Document::Document(Value object) {
  BsonWriter writer;
  writer.append_document(object);
  bytes_ = std::make_shared<const std::string>(writer.bytes());
}

bool is_valid_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string with_valid_utf8(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  constexpr size_t kLongestCharacter = 4;
  std::string valid;
  size_t at = 0;
  while (at < text.size()) {
    size_t length = 1;
    while (length <= kLongestCharacter && !is_valid_utf8(text.substr(at, length))) ++length;
    if (length > kLongestCharacter) {
      valid += "\xEF\xBF\xBD";
      ++at;
    } else {
      valid += text.substr(at, length);
      at += length;
    }
  }
  return valid;
}

namespace {

// Walks bytes from outside. `at_` never passes `end_`; recursion is bounded by kMaxNestingDepth.
class Validator {
 public:
  Validator(std::string_view bytes, bool check_utf8)
      : base_(bytes.data()), end_(bytes.data() + bytes.size()), check_utf8_(check_utf8) {}

  Status document(const char* at, size_t available, int depth, size_t* length) {
    if (depth > kMaxNestingDepth) {
      return Status(ErrorCode::kOverflow, "BSONObj exceeds maximum nested object depth: 200");
    }
    int32_t size;
    if (available < 5) return invalid("not enough bytes for a document", at);
    std::memcpy(&size, at, 4);
    if (size < 5 || static_cast<size_t>(size) > available)
      return invalid("incorrect BSON length", at);
    const char* end = at + size - 1;  // where the terminator stands
    if (*end != 0) return invalid("BSON document without terminator", at);
    const char* p = at + 4;
    while (p < end) {
      auto type = static_cast<Type>(static_cast<uint8_t>(*p++));
      const char* zero = static_cast<const char*>(std::memchr(p, 0, end - p));
      if (type == Type::kMissing || zero == nullptr) return invalid("malformed element", p);
      if (check_utf8_ && !is_valid_utf8({p, static_cast<size_t>(zero - p)}))
        return invalid("key is not valid UTF-8", p);
      p = zero + 1;
      MR_RETURN_IF_ERROR(element(type, p, end, depth, &p));
    }
    if (p != end) return invalid("BSON document with incorrect length", at);
    *length = static_cast<size_t>(size);
    return {};
  }

 private:
  Status invalid(const char* what, const char* at) const {
    return Status(ErrorCode::kInvalidBson, std::string("Invalid BSON: ") + what + " at offset " +
                                               std::to_string(at - base_));
  }

  Status string(const char* at, const char* end, const char** next) const {
    int32_t n;
    if (end - at < 5) return invalid("not enough bytes for a string", at);
    std::memcpy(&n, at, 4);
    if (n < 1 || n > end - at - 4) return invalid("incorrect string length", at);
    if (at[4 + n - 1] != 0) return invalid("string without terminator", at);
    if (check_utf8_ && !is_valid_utf8({at + 4, static_cast<size_t>(n - 1)}))
      return invalid("string is not valid UTF-8", at);
    *next = at + 4 + n;
    return {};
  }

  Status fixed(const char* at, const char* end, ptrdiff_t size, const char** next) const {
    if (end - at < size) return invalid("value runs past its document", at);
    *next = at + size;
    return {};
  }

  Status element(Type type, const char* at, const char* end, int depth, const char** next) {
    switch (type) {
      case Type::kDouble:
      case Type::kDate:
      case Type::kTimestamp:
      case Type::kInt64:
        return fixed(at, end, 8, next);
      case Type::kInt32:
        return fixed(at, end, 4, next);
      case Type::kDecimal:
        return fixed(at, end, 16, next);
      case Type::kObjectId:
        return fixed(at, end, 12, next);
      case Type::kBool:
        if (at<end&& static_cast<uint8_t>(*at)> 1)
          return invalid("boolean that is neither 0 nor 1", at);
        return fixed(at, end, 1, next);
      case Type::kNull:
      case Type::kUndefined:
      case Type::kMinKey:
      case Type::kMaxKey:
        *next = at;
        return {};
      case Type::kString:
      case Type::kSymbol:
      case Type::kCode:
        return string(at, end, next);
      case Type::kObject:
      case Type::kArray: {
        size_t length = 0;
        MR_RETURN_IF_ERROR(document(at, static_cast<size_t>(end - at), depth + 1, &length));
        *next = at + length;
        return {};
      }
      case Type::kBinData: {
        int32_t n;
        if (end - at < 5) return invalid("not enough bytes for binary data", at);
        std::memcpy(&n, at, 4);
        if (n < 0 || n > end - at - 5) return invalid("incorrect length of binary data", at);
        if (at[4] == 2) {  // the old form repeats its length
          int32_t inner;
          if (n < 4) return invalid("binary data of subtype 2 without its length", at);
          std::memcpy(&inner, at + 5, 4);
          if (inner != n - 4)
            return invalid("binary data of subtype 2 with an incorrect length", at);
        }
        *next = at + 5 + n;
        return {};
      }
      case Type::kRegex:
        for (int part = 0; part < 2; ++part) {
          const char* zero = static_cast<const char*>(std::memchr(at, 0, end - at));
          if (zero == nullptr) return invalid("regular expression without terminator", at);
          if (check_utf8_ && !is_valid_utf8({at, static_cast<size_t>(zero - at)}))
            return invalid("regular expression is not valid UTF-8", at);
          at = zero + 1;
        }
        *next = at;
        return {};
      case Type::kDBPointer:
        MR_RETURN_IF_ERROR(string(at, end, &at));
        return fixed(at, end, 12, next);
      case Type::kCodeWScope: {
        int32_t n;
        if (end - at < 14) return invalid("not enough bytes for code with scope", at);
        std::memcpy(&n, at, 4);
        if (n < 14 || n > end - at) return invalid("incorrect length of code with scope", at);
        const char* own_end = at + n;
        const char* scope = at;
        size_t length = 0;
        MR_RETURN_IF_ERROR(string(at + 4, own_end, &scope));
        MR_RETURN_IF_ERROR(
            document(scope, static_cast<size_t>(own_end - scope), depth + 1, &length));
        if (scope + length != own_end) return invalid("incorrect length of code with scope", at);
        *next = own_end;
        return {};
      }
      case Type::kMissing:
        break;
    }
    return invalid("unknown element type", at);
  }

  const char* base_;
  const char* end_;
  bool check_utf8_;
};

}  // namespace

Status validate_bson(std::string_view bytes, bool check_utf8) {
  size_t length = 0;
  MR_RETURN_IF_ERROR(Validator(bytes, check_utf8).document(bytes.data(), bytes.size(), 1, &length));
  if (length != bytes.size())
    return Status(ErrorCode::kInvalidBson, "Invalid BSON: bytes behind the document");
  return {};
}

}  // namespace millrace::engine
