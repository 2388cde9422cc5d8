#include "commands/local/key_bytes.h"

#include <bit>
#include <cmath>
#include <limits>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/number.h"

namespace millrace::commands {
namespace {

using engine::Type;
using engine::Value;

// Never 0, which ends objects and arrays.
uint8_t rank_of(Type type) {
  switch (type) {
    case Type::kMinKey:
      return 0x08;
    case Type::kUndefined:
      return 0x10;
    case Type::kMissing:
    case Type::kNull:
      return 0x18;
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDouble:
    case Type::kDecimal:
      return 0x20;
    case Type::kString:
    case Type::kSymbol:
      return 0x28;
    case Type::kObject:
      return 0x30;
    case Type::kArray:
      return 0x38;
    case Type::kBinData:
      return 0x40;
    case Type::kObjectId:
      return 0x48;
    case Type::kBool:
      return 0x50;
    case Type::kDate:
      return 0x58;
    case Type::kTimestamp:
      return 0x60;
    case Type::kRegex:
      return 0x68;
    case Type::kDBPointer:
      return 0x70;
    case Type::kCode:
      return 0x78;
    case Type::kCodeWScope:
      return 0x80;
    case Type::kMaxKey:
      return 0xf0;
  }
  return 0x18;
}

template <typename Integer>
void append_big_endian(std::string& key, Integer value) {
  for (int shift = static_cast<int>(sizeof(Integer)) * 8 - 8; shift >= 0; shift -= 8)
    key.push_back(static_cast<char>(value >> shift));
}

void append_text(std::string& key, std::string_view text) {
  for (size_t zero; (zero = text.find('\0')) != text.npos; text.remove_prefix(zero + 1)) {
    key.append(text.substr(0, zero));
    key.append("\x00\xff", 2);
  }
  key.append(text);
  key.append("\x00\x01", 2);
}

// The number's decimal digits without zeros at either end, and the exponent of the first. Requires:
// finite, not zero.
void significant_digits(const Value& number, std::string* digits, int* exponent) {
  std::string text = number.is(Type::kDecimal) ? engine::decimal::to_string(number.as_decimal())
                                               : std::to_string(number.integer_value());
  int scale = 0;
  if (size_t e = text.find('E'); e != text.npos) {
    scale = std::stoi(text.substr(e + 1));
    text.resize(e);
  }
  bool fraction = false;
  for (char c : text) {
    if (c == '.') fraction = true;
    if (c < '0' || c > '9') continue;
    digits->push_back(c);
    if (fraction) --scale;
  }
  while (!digits->empty() && digits->back() == '0') digits->pop_back(), ++scale;
  digits->erase(0, std::min(digits->find_first_not_of('0'), digits->size()));
  *exponent = scale + static_cast<int>(digits->size());
}

void append_tail(std::string& key, const Value& number, bool negative) {
  std::string digits;
  int exponent = 0;
  significant_digits(number, &digits, &exponent);
  key.push_back(1);
  size_t start = key.size();
  // A greater exponent means a greater magnitude; the inversion below makes that a smaller number
  // for negative ones.
  append_big_endian(key, static_cast<uint16_t>(exponent + 32768));
  key.append(digits).push_back(0);
  if (!negative) return;
  for (size_t i = start; i < key.size(); ++i) key[i] = static_cast<char>(~key[i]);
}

void append_number(std::string& key, const Value& number) {
  if (engine::is_nan(number)) {
    key.append(9, '\0');
    return;
  }
  double below = number.to_double();
  bool exact = true;
  if (number.is(Type::kInt64) || number.is(Type::kDecimal)) {
    int order = engine::compare(Value::number(below), number);
    if (order > 0) below = std::nextafter(below, -std::numeric_limits<double>::infinity());
    exact = order == 0;
  }
  if (below == 0) below = 0;  // -0 is 0
  auto bits = std::bit_cast<uint64_t>(below);
  append_big_endian(key, bits >> 63 ? ~bits : bits | uint64_t{1} << 63);
  if (exact) {
    key.push_back(0);
  } else {
    append_tail(key, number, std::signbit(below));
  }
}

void append_payload(std::string& key, const Value& value);

void append_object(std::string& key, const Value& object) {
  for (const auto& field : object.as_object()) {
    key.push_back(static_cast<char>(rank_of(field.value.type())));
    append_text(key, field.name());
    append_payload(key, field.value);
  }
  key.push_back(0);
}

void append_payload(std::string& key, const Value& value) {
  switch (value.type()) {
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDouble:
    case Type::kDecimal:
      append_number(key, value);
      return;
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
      append_text(key, value.as_string());
      return;
    case Type::kObject:
      append_object(key, value);
      return;
    case Type::kArray:
      for (const Value& element : value.as_array()) {
        key.push_back(static_cast<char>(rank_of(element.type())));
        append_payload(key, element);
      }
      key.push_back(0);
      return;
    case Type::kBinData:
      append_big_endian(key, static_cast<uint32_t>(value.as_string().size()));
      key.push_back(static_cast<char>(value.binary_subtype()));
      key.append(value.as_string());
      return;
    case Type::kObjectId:
      key.append(reinterpret_cast<const char*>(value.as_object_id().bytes), 12);
      return;
    case Type::kBool:
      key.push_back(value.as_bool() ? 1 : 0);
      return;
    case Type::kDate:
      append_big_endian(key, static_cast<uint64_t>(value.as_date()) ^ uint64_t{1} << 63);
      return;
    case Type::kTimestamp:
      append_big_endian(key, value.as_timestamp_bits());
      return;
    case Type::kRegex:
      append_text(key, value.as_regex().pattern);
      append_text(key, value.as_regex().options);
      return;
    case Type::kDBPointer: {
      auto parts = value.as_db_pointer();
      append_big_endian(key, static_cast<uint32_t>(parts.ns.size()));
      key.append(parts.ns);
      key.append(reinterpret_cast<const char*>(parts.id->bytes), 12);
      return;
    }
    case Type::kCodeWScope: {
      auto parts = value.as_code_w_scope();
      append_text(key, parts.code);
      append_object(key, parts.scope);
      return;
    }
    default:
      return;
  }
}

}  // namespace

void append_key_bytes(std::string& key, const Value& value, bool descending) {
  size_t start = key.size();
  key.push_back(static_cast<char>(rank_of(value.type())));
  append_payload(key, value);
  if (!descending) return;
  for (size_t i = start; i < key.size(); ++i) key[i] = static_cast<char>(~key[i]);
}

}  // namespace millrace::commands
