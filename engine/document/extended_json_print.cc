// Writes JSON. The sinks' hot path: text goes through a raw cursor into the string, numbers through
// fmt and to_chars.
#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/document/base64.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

// What follows the backslash for each byte of a JSON string: 0 for a byte that stands for itself,
// "u" for \u00XX.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> escapes{};
  for (int c = 0; c < 0x20; ++c) escapes[c] = 'u';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  escapes['\b'] = 'b';
  escapes['\t'] = 't';
  escapes['\n'] = 'n';
  escapes['\f'] = 'f';
  escapes['\r'] = 'r';
  return escapes;
}();

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr int kMaxDepth = kMaxNestingDepth + 64;  // what BsonWriter allows
constexpr int64_t kFirstMsOfYear10000 = 253'402'300'800'000;

// True if any of the 8 bytes needs an escape (some others may be taken for one that does: those are
// looked at singly).
bool may_need_escape(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighs = 0x8080808080808080;
  auto has_zero = [](uint64_t v) { return (v - kOnes) & ~v; };
  uint64_t control = (bytes - kOnes * 0x20) & ~bytes;
  return ((control | has_zero(bytes ^ (kOnes * '"')) | has_zero(bytes ^ (kOnes * '\\'))) &
          kHighs) != 0;
}

class Printer {
 public:
  Printer(std::string& out, JsonFormat format, DateFormat dates)
      : out_(out), format_(format), dates_(dates) {
    size_t size = out.size();
    out_.resize(std::max(size + 256, std::min(out_.capacity(), 2 * size + 1024)));
    at_ = out_.data() + size;
    limit_ = out_.data() + out_.size();
    start_ = size;
  }
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;
  ~Printer() { out_.resize(at_ - out_.data()); }

  void value(const Value& v);

 private:
  // Room for `bytes` more.
  void ensure(size_t bytes) {
    if (static_cast<size_t>(limit_ - at_) < bytes) [[unlikely]]
      grow(bytes);
  }
  void grow(size_t bytes) {
    size_t used = at_ - out_.data();
    out_.resize(2 * used + bytes + 256);
    at_ = out_.data() + used;
    limit_ = out_.data() + out_.size();
  }
  void put(char c) {
    ensure(1);
    *at_++ = c;
  }
  void put(std::string_view text) {
    ensure(text.size());
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <typename Integer>
  void integer(Integer v) {
    ensure(24);
    at_ = std::to_chars(at_, at_ + 24, v).ptr;
  }

  void string(std::string_view text);
  void object(const Value& v);
  void array(const Value& v);
  void number(double v);
  void finite(double v);
  void decimal(Decimal128 d);
  void date(int64_t ms);
  void timestamp(const Value& v);
  void object_id(const ObjectId& id);
  void binary(const Value& v);
  void regex(RegexParts parts);
  void code_w_scope(const Value& v);
  void db_pointer(const Value& v);
  void hex(uint8_t byte) {
    *at_++ = kHexDigits[byte >> 4];
    *at_++ = kHexDigits[byte & 15];
  }
  // {"name":"…"} around what `text` writes.
  template <typename Text>
  void quoted_wrapper(std::string_view open, Text text) {
    put(open);
    text();
    put("\"}");
  }
  void enter() {
    if (++depth_ > kMaxDepth)
      fail_evaluation(ErrorCode::kOverflow, "the document has more than 200 levels of nesting");
    if (static_cast<size_t>(at_ - out_.data()) - start_ > 4 * kMaxTreeBytes)
      fail_evaluation(ErrorCode::kBsonObjectTooLarge, "the value is too large to be shown as JSON");
  }

  std::string& out_;
  char* at_;
  char* limit_;
  size_t start_ = 0;
  int depth_ = 0;
  JsonFormat format_;
  DateFormat dates_;
};

void Printer::string(std::string_view text) {
  ensure(2);
  *at_++ = '"';
  const char* from = text.data();
  const char* end = from + text.size();
  while (from != end) {
    ensure(end - from + 8 * std::strlen("\\u00XX") +
           1);  // the next 8 bytes at their longest, the rest as it is, the quote
    if (end - from >= 8) {
      uint64_t bytes;
      std::memcpy(&bytes, from, 8);
      if (!may_need_escape(bytes)) {
        std::memcpy(at_, &bytes, 8);
        at_ += 8;
        from += 8;
        continue;
      }
    }
    for (const char* part = from + std::min<ptrdiff_t>(8, end - from); from != part; ++from) {
      auto byte = static_cast<uint8_t>(*from);
      char escape = kEscapes[byte];
      if (escape == 0) {
        *at_++ = *from;
        continue;
      }
      *at_++ = '\\';
      *at_++ = escape;
      if (escape == 'u') {
        *at_++ = '0';
        *at_++ = '0';
        hex(byte);
      }
    }
  }
  *at_++ = '"';
}

void Printer::object(const Value& v) {
  enter();
  char before = '{';
  for (const Field& field : v.as_object()) {
    if (field.value.is_missing()) continue;
    put(before);
    before = ',';
    string(field.name());
    put(':');
    value(field.value);
  }
  put(before == '{' ? "{}" : "}");
  --depth_;
}

void Printer::array(const Value& v) {
  enter();
  char before = '[';
  for (const Value& element : v.as_array()) {
    put(before);
    before = ',';
    value(element);
  }
  put(before == '[' ? "[]" : "]");
  --depth_;
}

// The shortest text that reads back as the same double, with a point or an exponent so that it does
// not read as an integer.
void Printer::finite(double v) {
  ensure(40);
  char* first = at_;
  at_ = fmt::format_to(at_, FMT_COMPILE("{}"), v);
  if (std::none_of(first, at_, [](char c) { return c == '.' || c == 'e'; })) {
    *at_++ = '.';
    *at_++ = '0';
  }
}

void Printer::number(double v) {
  bool finite_number = std::isfinite(v);
  bool wrapped =
      format_ == JsonFormat::kCanonical || (format_ == JsonFormat::kRelaxed && !finite_number);
  if (finite_number && !wrapped) return finite(v);
  put(wrapped ? "{\"$numberDouble\":\"" : "\"");
  if (finite_number) {
    finite(v);
  } else {
    put(std::isnan(v) ? "NaN" : (v < 0 ? "-Infinity" : "Infinity"));
  }
  put(wrapped ? "\"}" : "\"");
}

void Printer::decimal(Decimal128 d) {
  put(format_ == JsonFormat::kBasic ? "\"" : "{\"$numberDecimal\":\"");
  ensure(decimal::kMaxTextSize);
  at_ += decimal::format(d, at_);
  put(format_ == JsonFormat::kBasic ? "\"" : "\"}");
}

void Printer::date(int64_t ms) {
  ensure(kIsoDateBytes + 2);
  if (dates_ == DateFormat::kIso8601) {
    *at_++ = '"';
    at_ = write_iso_date(ms, at_);
    *at_++ = '"';
    return;
  }
  if (format_ == JsonFormat::kBasic) return integer(ms);
  if (format_ == JsonFormat::kRelaxed && ms >= 0 && ms < kFirstMsOfYear10000) {
    // The Extended JSON specification leaves out a fraction of zero.
    put("{\"$date\":\"");
    ensure(kIsoDateBytes);
    at_ = write_iso_date(ms, at_);
    if (ms % 1000 == 0) {
      at_ -= std::strlen(".000Z");
      *at_++ = 'Z';
    }
    return put("\"}");
  }
  quoted_wrapper("{\"$date\":{\"$numberLong\":\"", [&] { integer(ms); });
  put('}');
}

void Printer::timestamp(const Value& v) {
  if (format_ == JsonFormat::kBasic) return integer(uint64_t{v.timestamp_seconds()} * 1000);
  put("{\"$timestamp\":{\"t\":");
  integer(v.timestamp_seconds());
  put(",\"i\":");
  integer(v.timestamp_increment());
  put("}}");
}

void Printer::object_id(const ObjectId& id) {
  put(format_ == JsonFormat::kBasic ? "\"" : "{\"$oid\":\"");
  ensure(24);
  for (uint8_t byte : id.bytes) hex(byte);
  put(format_ == JsonFormat::kBasic ? "\"" : "\"}");
}

void Printer::binary(const Value& v) {
  std::string_view bytes = v.as_string();
  // BSON repeats the length in front of the bytes of subtype 2; JSON does not show it.
  if (v.binary_subtype() == 2 && bytes.size() >= 4) bytes.remove_prefix(4);
  bool basic = format_ == JsonFormat::kBasic;
  if (basic && v.binary_subtype() == 4 && bytes.size() == 16) {
    ensure(38);
    *at_++ = '"';
    for (int i = 0; i < 16; ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) *at_++ = '-';
      hex(static_cast<uint8_t>(bytes[i]));
    }
    *at_++ = '"';
    return;
  }
  put(basic ? "\"" : "{\"$binary\":{\"base64\":\"");
  ensure(base64_size(bytes.size()));
  at_ = base64_encode(bytes, at_);
  if (basic) return put('"');
  put("\",\"subType\":\"");
  ensure(2);
  hex(v.binary_subtype());
  put("\"}}");
}

void Printer::regex(RegexParts parts) {
  std::string options(parts.options);
  std::ranges::sort(options);  // BSON wants them so; not every client does it
  put(format_ == JsonFormat::kBasic ? "{\"pattern\":" : "{\"$regularExpression\":{\"pattern\":");
  string(parts.pattern);
  put(",\"options\":");
  string(options);
  put(format_ == JsonFormat::kBasic ? "}" : "}}");
}

// What the basic format has no form for is written as in the relaxed one, down to its parts.
void Printer::code_w_scope(const Value& v) {
  JsonFormat format =
      std::exchange(format_, format_ == JsonFormat::kBasic ? JsonFormat::kRelaxed : format_);
  auto parts = v.as_code_w_scope();
  put("{\"$code\":");
  string(parts.code);
  put(",\"$scope\":");
  value(parts.scope);
  put('}');
  format_ = format;
}

void Printer::db_pointer(const Value& v) {
  JsonFormat format = std::exchange(format_, JsonFormat::kRelaxed);
  auto parts = v.as_db_pointer();
  put("{\"$dbPointer\":{\"$ref\":");
  string(parts.ns);
  put(",\"$id\":");
  object_id(*parts.id);
  put("}}");
  format_ = format;
}

void Printer::value(const Value& v) {
  bool canonical = format_ == JsonFormat::kCanonical;
  switch (v.type()) {
    case Type::kMissing:
    case Type::kNull:
      return put("null");
    case Type::kBool:
      return put(v.as_bool() ? "true" : "false");
    case Type::kInt32:
      if (!canonical) return integer(v.as_int32());
      return quoted_wrapper("{\"$numberInt\":\"", [&] { integer(v.as_int32()); });
    case Type::kInt64:
      if (!canonical) return integer(v.as_int64());
      return quoted_wrapper("{\"$numberLong\":\"", [&] { integer(v.as_int64()); });
    case Type::kDouble:
      return number(v.as_double());
    case Type::kDecimal:
      return decimal(v.as_decimal());
    case Type::kString:
      return string(v.as_string());
    case Type::kObject:
      return object(v);
    case Type::kArray:
      return array(v);
    case Type::kBinData:
      return binary(v);
    case Type::kObjectId:
      return object_id(v.as_object_id());
    case Type::kDate:
      return date(v.as_date());
    case Type::kTimestamp:
      return timestamp(v);
    case Type::kRegex:
      return regex(v.as_regex());
    case Type::kDBPointer:
      return db_pointer(v);
    case Type::kCodeWScope:
      return code_w_scope(v);
    case Type::kCode:
      put("{\"$code\":");
      string(v.as_string());
      return put('}');
    case Type::kSymbol:
      put("{\"$symbol\":");
      string(v.as_string());
      return put('}');
    case Type::kUndefined:
      return put("{\"$undefined\":true}");
    case Type::kMinKey:
      return put("{\"$minKey\":1}");
    case Type::kMaxKey:
      return put("{\"$maxKey\":1}");
  }
}

}  // namespace

void append_json(Value value, std::string& out, JsonFormat format, DateFormat dates) {
  Printer(out, format, dates).value(value);
}

std::string to_json(Value value, JsonFormat format, DateFormat dates) {
  std::string out;
  append_json(value, out, format, dates);
  return out;
}

}  // namespace millrace::engine
