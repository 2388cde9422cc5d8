#include "engine/expression/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "engine/document/base64.h"
#include "engine/document/bson.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"
#include "engine/document/status.h"
#include "engine/expression/calendar.h"
#include "engine/expression/convert_containers.h"
#include "engine/expression/date_parse.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kNoOnError = " in $convert with no onError value";

[[noreturn]] void fail_conversion(const std::string& what, const std::string& why = "") {
  fail_evaluation(ErrorCode::kConversionFailure,
                  what + std::string(kNoOnError) + (why.empty() ? "" : ": " + why));
}
[[noreturn]] void fail_unsupported(const Value& value, Type target) {
  fail_conversion("Unsupported conversion from " + std::string(value.type_name()) + " to " +
                  std::string(type_name(target)));
}
[[noreturn]] void fail_number(std::string_view text, const char* why) {
  fail_conversion("Failed to parse number '" + std::string(text) + "'", why);
}
[[noreturn]] void fail_overflow(const Value& value) {
  fail_conversion("Conversion would overflow target type", value_to_text(value));
}
[[noreturn]] void fail_binary_text(std::string_view text, const char* why) {
  fail_conversion("Failed to parse BinData '" + std::string(text) + "'", why);
}

// ---- Numbers from text

void refuse_hexadecimal(std::string_view text) {
  if (text.starts_with("0x")) fail_conversion("Illegal hexadecimal input", std::string(text));
}

bool strip_sign(std::string_view& digits) {
  bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  return negative;
}

// `base` 0: 10, as where none is given.
int64_t integer_from_text(std::string_view text, int base, int64_t min, int64_t max) {
  if (base == 0) base = 10;
  if (base == 10) refuse_hexadecimal(text);
  std::string_view digits = text;
  bool negative = strip_sign(digits);
  if (digits.empty()) fail_number(text, "No digits");
  uint64_t magnitude = 0;
  auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
    fail_number(text, "Did not consume whole string.");
  uint64_t limit = negative ? uint64_t{0} - static_cast<uint64_t>(min) : static_cast<uint64_t>(max);
  if (error == std::errc::result_out_of_range || magnitude > limit) fail_number(text, "Overflow");
  return static_cast<int64_t>(negative ? uint64_t{0} - magnitude : magnitude);
}

double double_from_text(std::string_view text) {
  refuse_hexadecimal(text);
  if (text.empty()) fail_number(text, "Empty string");
  if (std::strchr(" \t\n\v\f\r", text[0]) != nullptr && text[0] != '\0')
    fail_number(text, "Leading whitespace");
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && std::isnormal(value))
    return value;
  // strtod decides about the rest: signs, names, hexadecimal fractions, numbers at the ends of the
  // range.
  std::string terminated(text);
  char* rest = nullptr;
  errno = 0;
  value = std::strtod(terminated.c_str(), &rest);
  if (rest == terminated.c_str()) fail_number(text, "Did not consume any digits");
  if (rest != terminated.c_str() + terminated.size())
    fail_number(text, "Did not consume whole string.");
  if (errno == ERANGE) fail_number(text, "Out of range");
  return value;
}

// The server cuts what 34 digits do not hold instead of rounding it: digits beyond become zeros,
// which are exact.
std::string cut_digits(std::string_view text) {
  constexpr int kDigits = 34;
  std::string cut(text);
  int significant = 0;
  for (char& c : cut) {
    if (c == 'e' || c == 'E') break;
    if (c < '0' || c > '9') continue;
    if (significant == 0 && c == '0') continue;
    if (++significant > kDigits) c = '0';
  }
  return cut;
}

Decimal128 decimal_from_text(std::string_view text) {
  refuse_hexadecimal(text);
  if (text.empty()) fail_number(text, "Empty string");
  constexpr size_t kShort = 34;
  auto value =
      text.size() <= kShort ? decimal::from_string(text) : decimal::from_string(cut_digits(text));
  if (!value) fail_number(text, "Failed to parse string to decimal");
  if (decimal::is_nan(*value) && text[0] == '-') value->high |= uint64_t{1} << 63;  // kept
  return *value;
}

// ---- Numbers from binary data (Atlas Stream Processing, $convert)

std::string bytes_in_order(std::string_view bytes, bool big_endian) {
  std::string little(bytes);
  if (big_endian) std::reverse(little.begin(), little.end());
  return little;
}

int64_t integer_from_binary(const Value& value, bool big_endian, bool eight_bytes) {
  std::string bytes = bytes_in_order(value.as_string(), big_endian);
  switch (bytes.size()) {
    case 1:
      return static_cast<int8_t>(bytes[0]);
    case 2: {
      int16_t v;
      std::memcpy(&v, bytes.data(), 2);
      return v;
    }
    case 4: {
      int32_t v;
      std::memcpy(&v, bytes.data(), 4);
      return v;
    }
    case 8:
      if (eight_bytes) {
        int64_t v;
        std::memcpy(&v, bytes.data(), 8);
        return v;
      }
      break;
    default:
      break;
  }
  fail_conversion("Failed to convert binData to a number",
                  eight_bytes ? "binData length can only be 1, 2, 4, or 8 bytes"
                              : "binData length can only be 1, 2, or 4 bytes");
}

double double_from_binary(const Value& value, bool big_endian) {
  std::string bytes = bytes_in_order(value.as_string(), big_endian);
  if (bytes.size() == 4) {
    float v;
    std::memcpy(&v, bytes.data(), 4);
    return v;
  }
  if (bytes.size() != 8)
    fail_conversion("Failed to convert binData to a number",
                    "binData length can only be 4 or 8 bytes");
  double v;
  std::memcpy(&v, bytes.data(), 8);
  return v;
}

// ---- Binary data as text

constexpr char kHexDigits[] = "0123456789ABCDEF";

std::string hex_text(std::string_view bytes) {
  std::string text;
  for (unsigned char c : bytes) {
    text += kHexDigits[c >> 4];
    text += kHexDigits[c & 15];
  }
  return text;
}

std::optional<std::string> bytes_from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string uuid_text(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    auto c = static_cast<unsigned char>(bytes[i]);
    text += static_cast<char>(kHexDigits[c >> 4] | 0x20);
    text += static_cast<char>(kHexDigits[c & 15] | 0x20);
  }
  return text;
}

std::optional<std::string> bytes_from_uuid(std::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
    return std::nullopt;
  std::string digits(text);
  std::erase(digits, '-');
  return digits.size() == 32 ? bytes_from_hex(digits) : std::nullopt;
}

// Of text made of binary data: too long is a failed conversion.
void check_text_size(size_t bytes) {
  if (bytes >= kMaxDocumentBytes) fail_conversion("the text would be longer than 16 MB");
}

std::string_view base64_text(std::string_view bytes, bool url, Arena& arena) {
  check_text_size(base64_size(bytes.size()));
  char* to = static_cast<char*>(arena.allocate(base64_size(bytes.size()), 1));
  std::string_view text(to, base64_encode(bytes, to) - to);
  if (!url) return text;
  std::replace(to, to + text.size(), '+', '-');
  std::replace(to, to + text.size(), '/', '_');
  while (text.ends_with('=')) text.remove_suffix(1);
  return text;
}

std::optional<std::string_view> bytes_from_base64(std::string_view text, bool url, Arena& arena) {
  if (!url) return base64_decode(text, arena);
  if (text.find_first_of("+/") != std::string_view::npos) return std::nullopt;
  std::string standard(text);
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  while (standard.size() % 4 != 0) standard += '=';
  return base64_decode(standard, arena);
}

constexpr int kUuidSubtype = 4;

void require_format(const ConvertOptions& options, const char* from, const char* to) {
  if (options.format == ConvertOptions::Format::kNone) {
    fail_evaluation(4341115, std::string("Format must be specified when converting from '") + from +
                                 "' to '" + to + "'");
  }
}

Value text_from_binary(const Value& value, const ConvertOptions& options, Arena& arena) {
  using Format = ConvertOptions::Format;
  require_format(options, "binData", "string");
  std::string_view bytes = value.as_string();
  bool is_uuid = value.binary_subtype() == kUuidSubtype && bytes.size() == 16;
  switch (options.format) {
    case Format::kAuto:
      return Value::string(is_uuid ? arena.copy(uuid_text(bytes))
                                   : base64_text(bytes, false, arena));
    case Format::kBase64:
      return Value::string(base64_text(bytes, false, arena));
    case Format::kBase64Url:
      return Value::string(base64_text(bytes, true, arena));
    case Format::kHex:
      check_text_size(2 * bytes.size());
      return Value::string(arena.copy(hex_text(bytes)));
    case Format::kUuid:
      if (!is_uuid)
        fail_binary_text(hex_text(bytes),
                         "Input is not a valid UUID: its subtype must be 4 and its length 16");
      return Value::string(arena.copy(uuid_text(bytes)));
    case Format::kUtf8:
      if (!is_valid_utf8(bytes))
        fail_binary_text(hex_text(bytes), "BinData is not a valid UTF-8 string.");
      if (bytes.size() >= kMaxDocumentBytes)
        fail_evaluation(16493, "Tried to create string longer than 16MB");
      return Value::string(bytes);
    case Format::kNone:
      break;
  }
  return {};
}

Value binary_from_text(std::string_view text, const ConvertOptions& options, Arena& arena) {
  using Format = ConvertOptions::Format;
  require_format(options, "string", "binData");
  bool uuid = options.format == Format::kUuid;
  if (uuid && options.subtype != kUuidSubtype)
    fail_binary_text(text, "Only the UUID subtype (4) is allowed with the 'uuid' format.");
  std::optional<std::string_view> bytes;
  const char* why = "";
  switch (options.format) {
    case Format::kAuto:
    case Format::kBase64:
    case Format::kBase64Url:
      bytes = bytes_from_base64(text, options.format == Format::kBase64Url, arena);
      why = "Input is not a valid base64 string.";
      break;
    case Format::kHex:
      if (auto decoded = bytes_from_hex(text)) bytes = arena.copy(*decoded);
      why = "Input is not a valid hex string.";
      break;
    case Format::kUuid:
      if (auto decoded = bytes_from_uuid(text)) bytes = arena.copy(*decoded);
      why = "Input is not a valid UUID string.";
      break;
    case Format::kUtf8:
      if (is_valid_utf8(text)) bytes = text;
      why = "Input is not a valid UTF-8 string.";
      break;
    case Format::kNone:
      break;
  }
  // A UUID comes from the uuid format only (the manual's example of base64 with subtype 4).
  if (!bytes || (!uuid && options.subtype == kUuidSubtype)) fail_binary_text(text, why);
  return Value::binary(static_cast<uint8_t>(options.subtype), *bytes);
}

template <typename T>
Value binary_from_number(T number, const ConvertOptions& options, Arena& arena) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  if (options.big_endian) std::reverse(bytes, bytes + sizeof number);
  return Value::binary(static_cast<uint8_t>(options.subtype), arena.copy({bytes, sizeof number}));
}

// ---- One target type each

// A number of any type cut to 64 bits.
int64_t long_from_number(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  bool nan =
      value.is(Type::kDouble) ? std::isnan(value.as_double()) : decimal::is_nan(value.as_decimal());
  bool infinite = value.is(Type::kDouble) ? std::isinf(value.as_double())
                                          : decimal::is_infinite(value.as_decimal());
  if (nan) fail_conversion("Attempt to convert NaN value to integer type");
  if (infinite) fail_conversion("Attempt to convert infinity value to integer type");
  if (value.is(Type::kDecimal)) {
    auto whole = decimal::to_int64_truncated(value.as_decimal());
    if (!whole) fail_overflow(value);
    return *whole;
  }
  double d = value.as_double();
  if (d < -0x1p63 || d >= 0x1p63) fail_overflow(value);
  return static_cast<int64_t>(d);
}

Value to_int(const Value& value, const ConvertOptions& options) {
  constexpr int64_t kMin = std::numeric_limits<int32_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  int64_t result = 0;
  switch (value.type()) {
    case Type::kBool:
      result = value.as_bool();
      break;
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDecimal:
      result = long_from_number(value);
      break;
    case Type::kDouble:
      // Compared before it is cut: 2147483647.9 is out of range, unlike the decimal of that value.
      if (double d = value.as_double();
          std::isfinite(d) && (d < static_cast<double>(kMin) || d > static_cast<double>(kMax)))
        fail_overflow(value);
      result = long_from_number(value);
      break;
    case Type::kString:
      result = integer_from_text(value.as_string(), options.base, kMin, kMax);
      break;
    case Type::kBinData:
      result = integer_from_binary(value, options.big_endian, false);
      break;
    default:
      fail_unsupported(value, Type::kInt32);
  }
  if (result < kMin || result > kMax) fail_overflow(value);
  return Value::int32(static_cast<int32_t>(result));
}

Value to_long(const Value& value, const ConvertOptions& options) {
  switch (value.type()) {
    case Type::kBool:
      return Value::int64(value.as_bool());
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDouble:
    case Type::kDecimal:
      return Value::int64(long_from_number(value));
    case Type::kDate:
      return Value::int64(value.as_date());
    case Type::kString:
      return Value::int64(integer_from_text(value.as_string(), options.base,
                                            std::numeric_limits<int64_t>::min(),
                                            std::numeric_limits<int64_t>::max()));
    case Type::kBinData:
      return Value::int64(integer_from_binary(value, options.big_endian, true));
    default:
      fail_unsupported(value, Type::kInt64);
  }
}

Value to_double(const Value& value, const ConvertOptions& options) {
  switch (value.type()) {
    case Type::kBool:
      return Value::number(value.as_bool());
    case Type::kDouble:
      return value;
    case Type::kInt32:
    case Type::kInt64:
      return Value::number(value.to_double());
    case Type::kDecimal: {
      double d = value.to_double();
      Decimal128 exact = value.as_decimal();
      bool too_large = std::isinf(d) && !decimal::is_infinite(exact);
      bool too_small =
          std::fabs(d) < std::numeric_limits<double>::min() && !decimal::is_zero(exact);
      if (too_large || too_small) fail_overflow(value);
      return Value::number(d);
    }
    case Type::kDate:
      return Value::number(static_cast<double>(value.as_date()));
    case Type::kString:
      if (options.base != 0) {
        return Value::number(static_cast<double>(
            integer_from_text(value.as_string(), options.base, std::numeric_limits<int64_t>::min(),
                              std::numeric_limits<int64_t>::max())));
      }
      return Value::number(double_from_text(value.as_string()));
    case Type::kBinData:
      return Value::number(double_from_binary(value, options.big_endian));
    default:
      fail_unsupported(value, Type::kDouble);
  }
}

Value to_decimal(const Value& value, const ConvertOptions& options, Arena& arena) {
  switch (value.type()) {
    case Type::kBool:
      return Value::decimal(decimal::from_int64(value.as_bool()), arena);
    case Type::kInt32:
    case Type::kInt64:
      return Value::decimal(decimal::from_int64(value.integer_value()), arena);
    case Type::kDouble:
      return Value::decimal(decimal::from_double(value.as_double()), arena);
    case Type::kDecimal:
      return value;
    case Type::kDate:
      return Value::decimal(decimal::from_int64(value.as_date()), arena);
    case Type::kString:
      if (options.base != 0) {
        return Value::decimal(
            decimal::from_int64(integer_from_text(value.as_string(), options.base,
                                                  std::numeric_limits<int64_t>::min(),
                                                  std::numeric_limits<int64_t>::max())),
            arena);
      }
      return Value::decimal(decimal_from_text(value.as_string()), arena);
    default:
      fail_unsupported(value, Type::kDecimal);
  }
}

Value to_date(const Value& value) {
  switch (value.type()) {
    case Type::kDate:
      return value;
    case Type::kInt64:
    case Type::kDouble:
    case Type::kDecimal:
      return Value::date(long_from_number(value));
    case Type::kTimestamp:
    case Type::kObjectId:
      return Value::date(*date_of(value));
    case Type::kString:
      if (auto ms = parse_iso_date(value.as_string())) [[likely]]
        return Value::date(*ms);
      return Value::date(parse_date_text(value.as_string(), TimeZone::utc(), false));
    default:
      fail_unsupported(value, Type::kDate);
  }
}

Value to_object_id(const Value& value, Arena& arena) {
  if (value.is(Type::kObjectId)) return value;
  if (!value.is_string()) fail_unsupported(value, Type::kObjectId);
  std::string_view text = value.as_string();
  std::string what = "Failed to parse objectId '" + std::string(text) + "'";
  if (text.size() != 24) {
    fail_conversion(what, "Invalid string length for parsing to OID, expected 24 but found " +
                              std::to_string(text.size()));
  }
  auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  auto wrong = std::find_if_not(text.begin(), text.end(), is_hex);
  if (wrong != text.end())
    fail_conversion(what, std::string("Invalid character found in hex string: ") + *wrong);
  auto* id = arena.make<ObjectId>();
  std::string bytes = *bytes_from_hex(text);
  std::memcpy(id->bytes, bytes.data(), sizeof id->bytes);
  return Value::object_id(id);
}

std::string integer_in_base(int64_t number, int base) {
  char text[72];
  std::string digits(text,
                     std::to_chars(text, text + sizeof text, number, base == 0 ? 10 : base).ptr);
  for (char& c : digits) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  return digits;
}

Value to_string(const Value& value, const ConvertOptions& options, Arena& arena) {
  switch (value.type()) {
    case Type::kString:
      return value;
    case Type::kBool:
      return Value::string(value.as_bool() ? "true" : "false");
    case Type::kInt32:
    case Type::kInt64:
      return Value::string(arena.copy(integer_in_base(value.integer_value(), options.base)));
    case Type::kDouble:
    case Type::kDecimal:
      if (options.base != 0) {
        int64_t whole = long_from_number(value);
        if (static_cast<double>(whole) != value.to_double())
          fail_conversion("Failed to convert a number with a fraction to base " +
                          std::to_string(options.base));
        return Value::string(arena.copy(integer_in_base(whole, options.base)));
      }
      return Value::string(arena.copy(value_to_text(value)));
    case Type::kObjectId:
      return Value::string(arena.copy(value.as_object_id().to_hex()));
    case Type::kDate:
      return Value::string(date_to_text(value.as_date(), arena));
    case Type::kBinData:
      return text_from_binary(value, options, arena);
    // The rest since MongoDB 8.3.
    case Type::kObject:
    case Type::kArray:
      return json_text_from_container(value, arena);
    default:
      return Value::string(arena.copy(rare_type_to_text(value)));
  }
}

// Since MongoDB 8.3: from JSON text, and the numbers of a binary vector.
Value to_container(const Value& value, Type target, const ConvertOptions& options, Arena& arena) {
  if (value.is(target)) return value;
  if (value.is_string()) return container_from_json_text(value.as_string(), target, arena);
  if (target == Type::kArray && value.is(Type::kBinData) &&
      value.binary_subtype() == kVectorSubtype)
    return array_from_vector(value, options.big_endian, arena);
  fail_unsupported(value, target);
}

Value to_bool(const Value& value) { return Value::boolean(value.truthy()); }

Value to_binary(const Value& value, const ConvertOptions& options, Arena& arena) {
  switch (value.type()) {
    case Type::kBool:
      return Value::binary(static_cast<uint8_t>(options.subtype),
                           value.as_bool() ? std::string_view("\1", 1) : std::string_view("\0", 1));
    case Type::kArray:
      if (options.subtype != kVectorSubtype) fail_unsupported(value, Type::kBinData);
      return vector_from_array(value, options.big_endian, arena);
    case Type::kInt32:
      return binary_from_number(value.as_int32(), options, arena);
    case Type::kInt64:
      return binary_from_number(value.as_int64(), options, arena);
    case Type::kDouble:
      return binary_from_number(value.as_double(), options, arena);
    case Type::kString:
      return binary_from_text(value.as_string(), options, arena);
    case Type::kBinData:
      if (value.binary_subtype() != options.subtype)
        fail_conversion("Conversions between different binData subtypes are not supported");
      return value;
    default:
      fail_unsupported(value, Type::kBinData);
  }
}

}  // namespace

Value convert(const Value& value, Type target, const ConvertOptions& options, Arena& arena) {
  switch (target) {
    case Type::kDouble:
      return to_double(value, options);
    case Type::kString:
      return to_string(value, options, arena);
    case Type::kObject:
    case Type::kArray:
      return to_container(value, target, options, arena);
    case Type::kBinData:
      return to_binary(value, options, arena);
    case Type::kObjectId:
      return to_object_id(value, arena);
    case Type::kBool:
      return to_bool(value);
    case Type::kDate:
      return to_date(value);
    case Type::kInt32:
      return to_int(value, options);
    case Type::kInt64:
      return to_long(value, options);
    case Type::kDecimal:
      return to_decimal(value, options, arena);
    default:
      fail_unsupported(value, target);
  }
}

Type type_from_value(const Value& to) {
  constexpr Type kTypes[] = {
      Type::kMissing,    Type::kDouble,    Type::kString,    Type::kObject, Type::kArray,
      Type::kBinData,    Type::kUndefined, Type::kObjectId,  Type::kBool,   Type::kDate,
      Type::kNull,       Type::kRegex,     Type::kDBPointer, Type::kCode,   Type::kSymbol,
      Type::kCodeWScope, Type::kInt32,     Type::kTimestamp, Type::kInt64,  Type::kDecimal,
      Type::kMaxKey,     Type::kMinKey};
  if (to.is_string()) {
    for (Type type : kTypes) {
      if (type_name(type) == to.as_string()) return type;
    }
    fail_evaluation(ErrorCode::kBadValue, "Unknown type name: " + std::string(to.as_string()));
  }
  if (!to.is_number()) {
    fail_evaluation(ErrorCode::kFailedToParse,
                    "$convert's 'to' argument must be a string or number, but is " +
                        std::string(to.type_name()));
  }
  double number = to.to_double();
  if (number != std::trunc(number) || std::fabs(number) > 1e6) {
    fail_evaluation(ErrorCode::kFailedToParse,
                    "In $convert, numeric 'to' argument is not an integer");
  }
  for (Type type : kTypes) {
    int code = type == Type::kMinKey ? -1 : static_cast<int>(type);
    if (code == static_cast<int>(number)) return type;
  }
  fail_evaluation(ErrorCode::kFailedToParse,
                  "In $convert, numeric value for 'to' does not correspond to a BSON type: " +
                      value_to_text(to));
}

std::optional<int64_t> date_of(const Value& value) {
  switch (value.type()) {
    case Type::kDate:
      return value.as_date();
    case Type::kTimestamp:
      return int64_t{value.timestamp_seconds()} * 1000;
    case Type::kObjectId: {
      const uint8_t* b = value.as_object_id().bytes;
      return int64_t{static_cast<int32_t>(uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 |
                                          uint32_t{b[2]} << 8 | b[3])} *
             1000;
    }
    default:
      return std::nullopt;
  }
}

int64_t coerce_to_date(const Value& value) {
  auto ms = date_of(value);
  if (!ms)
    fail_evaluation(16006,
                    "can't convert from BSON type " + std::string(value.type_name()) + " to Date");
  return *ms;
}

std::string_view coerce_to_string(const Value& value, Arena& arena) {
  switch (value.type()) {
    case Type::kMissing:
    case Type::kNull:
    case Type::kUndefined:
      return "";
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
      return value.as_string();
    case Type::kDouble:  // other than $toString has it
      if (double d = value.as_double(); !std::isfinite(d)) {
        bool negative = std::signbit(d);  // that of a NaN too: inf * 0 has one on x86
        if (std::isnan(d)) return negative ? "-nan" : "nan";
        return negative ? "-inf" : "inf";
      }
      [[fallthrough]];
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDecimal:
      return arena.copy(value_to_text(value));
    case Type::kDate:
      return date_to_text(value.as_date(), arena);
    case Type::kTimestamp: {
      // "Jan  2 00:00:00:2": the time and the increment, without year, as the server prints it.
      calendar::Parts parts = calendar::parts_from_ms(int64_t{value.timestamp_seconds()} * 1000);
      char text[64];
      int size = std::snprintf(text, sizeof text, "%.3s %2d %02d:%02d:%02d:%u",
                               month_abbreviation(parts.date.month).data(), parts.date.day,
                               parts.hour, parts.minute, parts.second, value.timestamp_increment());
      return arena.copy({text, static_cast<size_t>(size)});
    }
    default:
      fail_evaluation(
          16007, "can't convert from BSON type " + std::string(value.type_name()) + " to String");
  }
}

std::string double_to_text(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  char text[32];
  return std::string(text, std::snprintf(text, sizeof text, "%g", d));
}

std::string_view date_to_text(int64_t ms, Arena& arena) {
  int64_t year = calendar::parts_from_ms(ms).date.year;
  if (year < 0 || year > 9999) {
    fail_evaluation(18537,
                    "Could not convert date to string: date component was outside the supported "
                    "range of 0-9999: " +
                        std::to_string(year));
  }
  char* to = static_cast<char*>(arena.allocate(kIsoDateBytes, 1));
  return {to, static_cast<size_t>(write_iso_date(ms, to) - to)};
}

std::string value_to_text(const Value& value) {
  switch (value.type()) {
    case Type::kMissing:
      return "missing";
    case Type::kInt32:
    case Type::kInt64:
      return std::to_string(value.integer_value());
    case Type::kDouble:
      return double_to_text(value.as_double());
    case Type::kDecimal:
      return decimal::to_string(value.as_decimal());
    case Type::kDate: {
      std::string text;
      append_iso_date(value.as_date(), text);
      return text;
    }
    default: {
      // For error messages, which are not to outgrow a reply.
      constexpr size_t kMaxShown = 100'000;
      std::string text = to_json(value);
      if (text.size() <= kMaxShown) return text;
      size_t end = kMaxShown;
      while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
      return text.substr(0, end) + "...";
    }
  }
}

}  // namespace millrace::engine
