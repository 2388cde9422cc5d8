#include "engine/expression/convert_containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/document/bson.h"
#include "engine/document/extended_json.h"
#include "engine/document/status.h"
#include "engine/expression/convert.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

[[noreturn]] void fail_conversion(const std::string& why) {
  fail_evaluation(ErrorCode::kConversionFailure,
                  "Conversion failed in $convert with no onError value: " + why);
}

// ---- Text of documents and arrays

class TextWriter {
 public:
  void write(const Value& value, int depth) {
    if (depth > kMaxNestingDepth) fail_conversion("the value is nested too deeply");
    if (text_.size() > kMaxDocumentBytes) fail_conversion("the text is larger than 16 MB");
    switch (value.type()) {
      case Type::kObject:
        return write_object(value, depth);
      case Type::kArray:
        return write_array(value, depth);
      case Type::kMissing:
      case Type::kNull:
      case Type::kUndefined:
        text_ += "null";
        return;
      case Type::kDouble:
        if (!std::isfinite(value.as_double())) return quote(double_to_text(value.as_double()));
        text_ += fmt::format("{}", value.as_double());
        if (text_.ends_with(".0")) text_.resize(text_.size() - 2);
        return;
      case Type::kDecimal:
        if (decimal::is_nan(value.as_decimal()) || decimal::is_infinite(value.as_decimal()))
          return quote(decimal::to_string(value.as_decimal()));
        text_ += decimal::to_string(value.as_decimal());
        return;
      case Type::kBool:
      case Type::kInt32:
      case Type::kInt64:
        text_ += plain_text(value);
        return;
      default:
        quote(plain_text(value));
    }
  }
  std::string_view text() const { return text_; }

 private:
  void write_object(const Value& object, int depth) {
    char before = '{';
    for (const Field& field : object.as_object()) {
      if (field.value.is_missing()) continue;
      text_ += before;
      before = ',';
      quote(field.name());
      text_ += ':';
      write(field.value, depth + 1);
    }
    text_ += before == '{' ? "{}" : "}";
  }
  void write_array(const Value& array, int depth) {
    char before = '[';
    for (const Value& element : array.as_array()) {
      text_ += before;
      before = ',';
      write(element, depth + 1);
    }
    text_ += before == '[' ? "[]" : "]";
  }
  // Through a short text: append_json() makes room for as much again as there is already.
  void quote(std::string_view text) {
    quoted_.clear();
    append_json(Value::string(text), quoted_);
    text_ += quoted_;
  }
  // As $toString shows the value when it stands alone.
  std::string_view plain_text(const Value& value) {
    static const ConvertOptions kOptions{.format = ConvertOptions::Format::kAuto};
    scratch_.reset();
    return convert(value, Type::kString, kOptions, scratch_).as_string();
  }

  std::string text_;
  std::string quoted_;
  Arena scratch_;
};

}  // namespace

Value json_text_from_container(const Value& container, Arena& arena) {
  TextWriter writer;
  writer.write(container, 1);
  if (writer.text().size() > kMaxDocumentBytes) fail_conversion("the text is larger than 16 MB");
  return Value::string(arena.copy(writer.text()));
}

std::string rare_type_to_text(const Value& value) {
  switch (value.type()) {
    case Type::kRegex: {
      RegexParts parts = value.as_regex();
      return "/" + std::string(parts.pattern) + "/" + std::string(parts.options);
    }
    case Type::kTimestamp:
      return fmt::format("Timestamp({}, {})", value.timestamp_seconds(),
                         value.timestamp_increment());
    case Type::kDBPointer: {
      DBPointerParts parts = value.as_db_pointer();
      return "DBRef(\"" + std::string(parts.ns) + "\", " + parts.id->to_hex() + ")";
    }
    case Type::kCode:
    case Type::kSymbol:
      return std::string(value.as_string());
    case Type::kCodeWScope:
      return std::string(value.as_code_w_scope().code);
    case Type::kMinKey:
      return "MinKey";
    case Type::kMaxKey:
      return "MaxKey";
    default:
      return value_to_text(value);
  }
}

Value container_from_json_text(std::string_view text, Type target, Arena& arena) {
  // So many bytes of text can become more than a document may have: "1," is 11 bytes of BSON.
  constexpr size_t kSuspiciousBytes = 1 << 20;
  if (text.size() > kMaxInternalDocumentBytes) fail_conversion("the text is larger than 16 MB");
  auto parsed = parse_plain_json_value(text, arena);
  if (!parsed.ok())
    fail_conversion("Input doesn't represent valid JSON: " + parsed.status().message());
  if (!parsed->is_object() && !parsed->is_array())
    fail_conversion("Input doesn't represent valid JSON: Unexpected standalone value");
  if (!parsed->is(target))
    fail_conversion("Input doesn't match expected type '" + std::string(type_name(target)) + "'");
  if (text.size() > kSuspiciousBytes) {
    const Field holder("", *parsed);
    if (bson_size(Value::object({&holder, 1})) > kMaxInternalDocumentBytes)
      fail_conversion("the value is larger than 16 MB");
  }
  return *parsed;
}

// ---- Binary vectors: the kind of the elements, the unused bits of the last byte, the elements

namespace {

constexpr uint8_t kInt8 = 0x03;
constexpr uint8_t kFloat32 = 0x27;
constexpr uint8_t kPackedBits = 0x10;

struct VectorView {
  uint8_t kind;
  size_t size;  // elements
  const char* data;
  bool big_endian;

  bool bit(size_t i) const { return (static_cast<uint8_t>(data[i / 8]) >> (7 - i % 8)) & 1; }
  int8_t byte(size_t i) const { return static_cast<int8_t>(data[i]); }
  float number(size_t i) const {
    uint32_t bits;
    std::memcpy(&bits, data + 4 * i, 4);
    return std::bit_cast<float>(big_endian ? __builtin_bswap32(bits) : bits);
  }
};

VectorView read_vector(const Value& binary, bool big_endian) {
  std::string_view bytes = binary.as_string();
  if (bytes.size() < 2) fail_evaluation(10506601, "a binary vector has at least two bytes");
  auto kind = static_cast<uint8_t>(bytes[0]);
  auto padding = static_cast<uint8_t>(bytes[1]);
  VectorView view{kind, bytes.size() - 2, bytes.data() + 2, big_endian};
  if (kind != kInt8 && kind != kFloat32 && kind != kPackedBits)
    fail_evaluation(10506600,
                    fmt::format("0x{:02x} is no type of a binary vector's elements", kind));
  if (kind != kPackedBits && padding != 0)
    fail_evaluation(10506606, "only a binary vector of bits may have padding");
  if (kind == kPackedBits) {
    if (padding > 7 || (padding > 0 && view.size == 0))
      fail_evaluation(10506603, "a binary vector's padding is at most 7 bits of its last byte");
    view.size = view.size * 8 - padding;
  }
  if (kind == kFloat32) {
    if (view.size % 4 != 0)
      fail_evaluation(10506602, "a binary vector of floats has 4 bytes for each");
    view.size /= 4;
  }
  return view;
}

bool is_bit(const Value& v) {
  if (v.is(Type::kBool)) return true;
  return v.is_integer() && (v.integer_value() == 0 || v.integer_value() == 1);
}

bool is_small_whole(const Value& v) {
  auto whole = v.is_number() ? whole_int64(v) : std::nullopt;
  return whole && *whole >= -128 && *whole <= 127;
}

std::string pack_bits(std::span<const Value> elements) {
  std::string bytes(2 + (elements.size() + 7) / 8, '\0');
  bytes[0] = kPackedBits;
  bytes[1] = static_cast<char>((8 - elements.size() % 8) % 8);
  for (size_t i = 0; i < elements.size(); ++i) {
    if (elements[i].truthy())
      bytes[2 + i / 8] = static_cast<char>(static_cast<uint8_t>(bytes[2 + i / 8]) | 0x80 >> i % 8);
  }
  return bytes;
}

// A double as the nearest float; what is too large becomes infinite.
float to_float(double d) {
  if (std::fabs(d) > 3.4028235677973366e38)  // the middle between the largest and the next
    return d < 0 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
  return static_cast<float>(d);
}

}  // namespace

Value array_from_vector(const Value& binary, bool big_endian, Arena& arena) {
  VectorView vector = read_vector(binary, big_endian);
  ArrayBuilder array(arena, vector.size);
  for (size_t i = 0; i < vector.size; ++i) {
    if (vector.kind == kPackedBits) {
      array.add(Value::boolean(vector.bit(i)));
    } else if (vector.kind == kInt8) {
      array.add(Value::int32(vector.byte(i)));
    } else {
      array.add(Value::number(vector.number(i)));
    }
  }
  return array.finish();
}

std::vector<double> numbers_from_vector(const Value& binary, bool big_endian) {
  VectorView vector = read_vector(binary, big_endian);
  std::vector<double> numbers(vector.size);
  for (size_t i = 0; i < vector.size; ++i) {
    numbers[i] = vector.kind == kPackedBits ? vector.bit(i)
                 : vector.kind == kInt8     ? vector.byte(i)
                                            : vector.number(i);
  }
  return numbers;
}

Value vector_from_array(const Value& array, bool big_endian, Arena& arena) {
  std::span<const Value> elements = array.as_array().elements(arena);
  std::string bytes;
  if (std::all_of(elements.begin(), elements.end(), is_bit)) {
    bytes = pack_bits(elements);
  } else if (std::all_of(elements.begin(), elements.end(), is_small_whole)) {
    bytes = {static_cast<char>(kInt8), '\0'};
    for (const Value& v : elements) bytes += static_cast<char>(*whole_int64(v));
  } else {
    bytes = {static_cast<char>(kFloat32), '\0'};
    for (const Value& v : elements) {
      if (!v.is_number())
        fail_conversion("a binary vector cannot hold a value of type " +
                        std::string(v.type_name()));
      if (v.is_integer() && !is_small_whole(v))
        fail_conversion("a binary vector cannot hold integers outside -128 to 127");
      auto bits = std::bit_cast<uint32_t>(to_float(v.to_double()));
      if (big_endian) bits = __builtin_bswap32(bits);
      bytes.append(reinterpret_cast<const char*>(&bits), 4);
    }
  }
  return Value::binary(kVectorSubtype, arena.copy(bytes));
}

}  // namespace millrace::engine
