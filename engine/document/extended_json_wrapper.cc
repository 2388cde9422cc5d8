// The wrappers of Extended JSON: one row for each key, one function for each type.
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "engine/document/base64.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

using Fields = std::span<const Field>;

Status malformed(std::string_view name, std::string_view expected) {
  return Status(ErrorCode::kFailedToParse,
                "Invalid Extended JSON: " + std::string(name) + " " + std::string(expected));
}

Value field_named(Fields fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.has_name(name)) return field.value;
  }
  return {};
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Requires: `text` has two characters for each byte.
bool read_hex(std::string_view text, uint8_t* to) {
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = hex_digit(text[i]);
    int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    *to++ = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

// The two values of an object with exactly these two fields, in either order; missing ones
// otherwise.
struct Pair {
  Value first;
  Value second;
};
Pair exactly_two(Fields fields, std::string_view first, std::string_view second) {
  if (fields.size() != 2) return {};
  return {field_named(fields, first), field_named(fields, second)};
}
Pair exactly_two(Value object, std::string_view first, std::string_view second, Arena& arena) {
  if (!object.is_object()) return {};
  return exactly_two(object_fields(object, arena), first, second);
}

bool is_sole_string(Fields fields) { return fields.size() == 1 && fields[0].value.is_string(); }

Result<Value> read_oid(Fields fields, Arena& arena) {
  auto* id = arena.make<ObjectId>();
  if (!is_sole_string(fields) || fields[0].value.as_string().size() != 24 ||
      !read_hex(fields[0].value.as_string(), id->bytes)) {
    return malformed("$oid", "must be a string of 24 hexadecimal digits, and the only field");
  }
  return Value::object_id(id);
}

template <typename Integer>
std::optional<Integer> read_integer(std::string_view text) {
  Integer value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Value> read_number_int(Fields fields, Arena&) {
  if (is_sole_string(fields)) {
    if (auto value = read_integer<int32_t>(fields[0].value.as_string()))
      return Value::int32(*value);
  }
  return malformed("$numberInt",
                   "must be the digits of a 32-bit integer in a string, and the only field");
}

Result<Value> read_number_long(Fields fields, Arena&) {
  if (is_sole_string(fields)) {
    if (auto value = read_integer<int64_t>(fields[0].value.as_string()))
      return Value::int64(*value);
  }
  return malformed("$numberLong",
                   "must be the digits of a 64-bit integer in a string, and the only field");
}

std::optional<double> read_double(std::string_view text) {
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || (digits[0] != '.' && (digits[0] < '0' || digits[0] > '9')))
    return std::nullopt;  // "inf", "nan"
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Value> read_number_double(Fields fields, Arena&) {
  if (is_sole_string(fields)) {
    if (auto value = read_double(fields[0].value.as_string())) return Value::number(*value);
  }
  return malformed("$numberDouble", "must be a number in a string, and the only field");
}

Result<Value> read_number_decimal(Fields fields, Arena& arena) {
  if (is_sole_string(fields)) {
    if (auto value = decimal::from_string_exact(fields[0].value.as_string()))
      return Value::decimal(*value, arena);
  }
  return malformed("$numberDecimal",
                   "must be a decimal number of at most 34 digits in a string, and the only field");
}

// {$date: "ISO 8601"}, {$date: {$numberLong: "…"}}; the legacy form had the milliseconds as a plain
// number.
Result<Value> read_date(Fields fields, Arena&) {
  if (fields.size() == 1) {
    Value value = fields[0].value;
    if (value.is_integer()) return Value::date(value.integer_value());
    if (value.is_string()) {
      if (auto ms = parse_iso_date(value.as_string())) return Value::date(*ms);
    }
  }
  return malformed(
      "$date",
      "must be an ISO 8601 date in a string or milliseconds in a $numberLong, and the only field");
}

Result<Value> binary(std::string_view base64, std::string_view subtype_hex, Arena& arena) {
  uint8_t subtype = 0;
  // The legacy form wrote subtypes from 0x80 with their sign: "ffffff80".
  if (subtype_hex.size() == 8 && subtype_hex.starts_with("ffffff")) subtype_hex.remove_prefix(6);
  int digit = subtype_hex.size() == 1 ? hex_digit(subtype_hex[0]) : -1;
  if (digit >= 0) {
    subtype = static_cast<uint8_t>(digit);
  } else if (subtype_hex.size() != 2 || !read_hex(subtype_hex, &subtype)) {
    return malformed("$binary", "must have a subtype of one or two hexadecimal digits");
  }
  auto bytes = base64_decode(base64, arena);
  if (!bytes) return malformed("$binary", "must have its bytes in base64");
  if (subtype != 2) return Value::binary(subtype, *bytes);
  // BSON repeats the length in front of the bytes of subtype 2; JSON does not show it.
  auto length = static_cast<int32_t>(bytes->size());
  char* with_length = arena.allocate_array<char>(bytes->size() + 4);
  std::memcpy(with_length, &length, 4);
  std::memcpy(with_length + 4, bytes->data(), bytes->size());
  return Value::binary(subtype, {with_length, bytes->size() + 4});
}

// {$binary: {base64: "…", subType: "00"}}, legacy {$binary: "…", $type: "00"}.
Result<Value> read_binary(Fields fields, Arena& arena) {
  Pair parts = exactly_two(fields, "$binary", "$type");
  if (fields.size() == 1) parts = exactly_two(fields[0].value, "base64", "subType", arena);
  if (!parts.first.is_string() || !parts.second.is_string()) {
    return malformed("$binary", "must have exactly the strings base64 and subType");
  }
  return binary(parts.first.as_string(), parts.second.as_string(), arena);
}

Result<Value> read_uuid(Fields fields, Arena& arena) {
  static constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  auto* bytes = arena.allocate_array<uint8_t>(16);
  std::string digits;
  bool ok = is_sole_string(fields) && fields[0].value.as_string().size() == kShape.size();
  for (size_t i = 0; ok && i < kShape.size(); ++i) {
    char c = fields[0].value.as_string()[i];
    if (kShape[i] == 'x') {
      digits += c;
    } else {
      ok = c == '-';
    }
  }
  if (!ok || !read_hex(digits, bytes))
    return malformed("$uuid", "must be a UUID in a string, and the only field");
  return Value::binary(4, {reinterpret_cast<const char*>(bytes), 16});
}

Result<Value> regex(std::string_view pattern, std::string_view options, Arena& arena) {
  if (has_nul(pattern) || has_nul(options))
    return malformed("regular expressions", "must not contain a null character");
  std::string sorted(options);
  std::ranges::sort(sorted);  // as BSON wants them
  return Value::regex(pattern, sorted, arena);
}

Result<Value> read_regular_expression(Fields fields, Arena& arena) {
  Pair parts;
  if (fields.size() == 1) parts = exactly_two(fields[0].value, "pattern", "options", arena);
  if (!parts.first.is_string() || !parts.second.is_string()) {
    return malformed("$regularExpression",
                     "must have exactly the strings pattern and options, and be the only field");
  }
  return regex(parts.first.as_string(), parts.second.as_string(), arena);
}

// Legacy {$regex: "…", $options: "…"}. Everything else is the query operator of that name.
Result<Value> read_regex(Fields fields, Arena& arena) {
  Pair parts = exactly_two(fields, "$regex", "$options");
  if (!parts.first.is_string() || !parts.second.is_string()) return Value();
  return regex(parts.first.as_string(), parts.second.as_string(), arena);
}

bool is_uint32(const Value& value) {
  return value.is_integer() && value.integer_value() >= 0 &&
         value.integer_value() <= std::numeric_limits<uint32_t>::max();
}

Result<Value> read_timestamp(Fields fields, Arena& arena) {
  Pair parts;
  if (fields.size() == 1) parts = exactly_two(fields[0].value, "t", "i", arena);
  if (!is_uint32(parts.first) || !is_uint32(parts.second)) {
    return malformed(
        "$timestamp",
        "must have exactly the unsigned 32-bit integers t and i, and be the only field");
  }
  return Value::timestamp(static_cast<uint32_t>(parts.first.integer_value()),
                          static_cast<uint32_t>(parts.second.integer_value()));
}

Result<Value> read_code(Fields fields, Arena& arena) {
  if (is_sole_string(fields)) return Value::code(fields[0].value.as_string());
  Pair parts = exactly_two(fields, "$code", "$scope");
  if (!parts.first.is_string() || !parts.second.is_object()) {
    return malformed("$code", "must be a string, alone or with an object $scope");
  }
  return Value::code_w_scope(parts.first.as_string(), parts.second, arena);
}

// The second key of a two-key wrapper came first; alone it is an ordinary field ($type is a query
// operator).
Result<Value> read_scope(Fields fields, Arena& arena) {
  if (exactly_two(fields, "$code", "$scope").first.is_missing()) return Value();
  return read_code(fields, arena);
}
Result<Value> read_type(Fields fields, Arena& arena) {
  if (exactly_two(fields, "$binary", "$type").first.is_missing()) return Value();
  return read_binary(fields, arena);
}

Result<Value> read_symbol(Fields fields, Arena&) {
  if (!is_sole_string(fields)) return malformed("$symbol", "must be a string, and the only field");
  return Value::symbol(fields[0].value.as_string());
}

Result<Value> read_db_pointer(Fields fields, Arena& arena) {
  Pair parts;
  if (fields.size() == 1) parts = exactly_two(fields[0].value, "$ref", "$id", arena);
  if (!parts.first.is_string() || !parts.second.is(Type::kObjectId)) {
    return malformed("$dbPointer",
                     "must have exactly a string $ref and an ObjectId $id, and be the only field");
  }
  return Value::db_pointer(parts.first.as_string(), parts.second.as_object_id(), arena);
}

Result<Value> read_undefined(Fields fields, Arena&) {
  if (fields.size() != 1 || !fields[0].value.is(Type::kBool) || !fields[0].value.as_bool()) {
    return malformed("$undefined", "must be true, and the only field");
  }
  return Value::undefined();
}

bool is_sole_one(Fields fields) {
  return fields.size() == 1 && fields[0].value.is_integer() && fields[0].value.integer_value() == 1;
}
Result<Value> read_min_key(Fields fields, Arena&) {
  if (!is_sole_one(fields)) return malformed("$minKey", "must be 1, and the only field");
  return Value::min_key();
}
Result<Value> read_max_key(Fields fields, Arena&) {
  if (!is_sole_one(fields)) return malformed("$maxKey", "must be 1, and the only field");
  return Value::max_key();
}

struct WrapperRow {
  std::string_view first_key;
  Result<Value> (*read)(Fields fields, Arena& arena);  // missing: an ordinary object after all
};

// clang-format off
constexpr std::array kWrappers = {
    WrapperRow{"$binary",            read_binary},
    WrapperRow{"$code",              read_code},
    WrapperRow{"$date",              read_date},
    WrapperRow{"$dbPointer",         read_db_pointer},
    WrapperRow{"$maxKey",            read_max_key},
    WrapperRow{"$minKey",            read_min_key},
    WrapperRow{"$numberDecimal",     read_number_decimal},
    WrapperRow{"$numberDouble",      read_number_double},
    WrapperRow{"$numberInt",         read_number_int},
    WrapperRow{"$numberLong",        read_number_long},
    WrapperRow{"$oid",               read_oid},
    WrapperRow{"$options",           read_regex},
    WrapperRow{"$regex",             read_regex},
    WrapperRow{"$regularExpression", read_regular_expression},
    WrapperRow{"$scope",             read_scope},
    WrapperRow{"$symbol",            read_symbol},
    WrapperRow{"$timestamp",         read_timestamp},
    WrapperRow{"$type",              read_type},
    WrapperRow{"$undefined",         read_undefined},
    WrapperRow{"$uuid",              read_uuid},
};
// clang-format on
static_assert(std::ranges::is_sorted(kWrappers, {}, &WrapperRow::first_key));

}  // namespace

Result<Value> special_from_fields(std::span<const Field> fields, Arena& arena) {
  auto row = std::ranges::lower_bound(kWrappers, fields[0].name(), {}, &WrapperRow::first_key);
  if (row == kWrappers.end() || row->first_key != fields[0].name()) return Value();
  return row->read(fields, arena);
}

}  // namespace millrace::engine
