#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "engine/document/bson.h"
#include "engine/document/extended_json.h"
#include "engine/source/decoder.h"

namespace millrace::engine {

// The positions of all tokens of the text: brackets, colons, commas, and where strings and scalars
// start.
struct JsonDecoder::Index {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  const char* text = nullptr;
  const uint32_t* next = nullptr;  // the first token not consumed
  bool whole_batch =
      false;  // false: the batch as a whole could not be indexed, each record is indexed by itself

  // True if [data, data + size) could be indexed. Requires: kPadding readable bytes behind it.
  bool index(const char* data, size_t size) {
    if (parser == nullptr) {
      if (simdjson::get_active_implementation()->create_dom_parser_implementation(
              size | 0xffff, kMaxNestingDepth, parser)) {
        return false;
      }
    }
    if (parser->capacity() < size && parser->set_capacity(size * 2)) return false;
    text = data;
    if (parser->stage1(reinterpret_cast<const uint8_t*>(data), size,
                       simdjson::stage1_mode::regular))
      return false;
    next = parser->structural_indexes.get();
    return true;
  }
};

// Walks the tokens of one record. Behind the last token stands the position of a NUL byte, which no
// rule accepts: no walk passes it.
class JsonDecoder::Walker {
 public:
  Walker(const char* text, const uint32_t* token, Arena& arena)
      : text_(text), token_(token), arena_(arena) {}

  // The error met, if any.
  const char* error() const { return error_; }
  const uint32_t* token() const { return token_; }

  Value root(DecodePlan& plan) {
    char c = peek();
    if (c == '{') return plan.all() ? document(object_whole()) : document(object(plan));
    if (c == '[') return array_as_object();
    fail("the value is not a JSON object");
    return {};
  }

 private:
  // A wrapper like {"$date": …} alone is a value, not a document.
  Value document(Value v) {
    if (error_ == nullptr && !v.is_object()) fail("the value is not a JSON object");
    return v;
  }

  char peek() const { return text_[*token_]; }
  const char* at() const { return text_ + *token_; }

  void fail(const char* reason) {
    if (error_ == nullptr) error_ = reason;
  }
  bool expect(char c, const char* reason) {
    if (peek() != c) {
      fail(reason);
      return false;
    }
    ++token_;
    return true;
  }

  // The raw text of the string at the current token, between its quotes: its end is the last quote
  // before the next token.
  std::string_view raw_string() {
    const char* begin = at() + 1;
    const char* end = text_ + token_[1] - 1;
    while (end > begin && *end != '"') --end;
    ++token_;
    return {begin, static_cast<size_t>(end - begin)};
  }

  static bool has_escape(std::string_view raw) {
    return raw.size() < 24 ? raw.find('\\') != std::string_view::npos
                           : std::memchr(raw.data(), '\\', raw.size()) != nullptr;
  }

  std::string_view string() {
    std::string_view raw = raw_string();
    return has_escape(raw) ? unescape(raw) : raw;
  }

  std::string_view unescape(std::string_view raw);

  // One member's key at `position`: the index of its entry, or kSkip. Leaves the token behind the
  // colon.
  int key(DecodePlan& plan, size_t position) {
    if (peek() != '"') {
      fail("a field name is missing");
      return DecodePlan::kSkip;
    }
    const char* begin = at() + 1;
    if (position < plan.seen_.size()) {
      const DecodePlan::Seen& seen = plan.seen_[position];
      if (same_key(begin, seen)) {
        ++token_;
        if (!expect(':', "a colon is missing")) return DecodePlan::kSkip;
        return seen.entry;
      }
    }
    std::string_view raw = raw_string();
    int entry = plan.find(has_escape(raw) ? unescape(raw) : raw);
    plan.remember(position, raw, entry);
    expect(':', "a colon is missing");
    return entry;
  }

  // True if the key that starts at `text` is `seen`, quote included. Reads 8 bytes at a time: both
  // sides are padded.
  static bool same_key(const char* text, const DecodePlan::Seen& seen) {
    const char* key = seen.key.data();
    uint32_t n = seen.size;
    if (text[n] != '"') return false;
    while (n >= 8) {
      uint64_t a, b;
      std::memcpy(&a, text, 8);
      std::memcpy(&b, key, 8);
      if (a != b) return false;
      text += 8, key += 8, n -= 8;
    }
    uint64_t a, b;
    std::memcpy(&a, text, 8);
    std::memcpy(&b, key, 8);
    uint64_t mask = (uint64_t{1} << (8 * n)) - 1;
    return ((a ^ b) & mask) == 0;
  }

  bool enter() {
    if (++depth_ <= kMaxNestingDepth) return true;
    fail("nested too deeply (limit 200)");
    return false;
  }

  // Behind a member or element: true if another follows. `close` is consumed.
  bool more(char close) {
    char c = peek();
    ++token_;
    if (c == ',') return true;
    if (c != close) {
      --token_;
      fail("a comma or closing bracket is missing");
    }
    return false;
  }

  Value object(DecodePlan& plan) {
    if (!enter()) return {};
    ++token_;
    ObjectBuilder object(arena_, plan.entries_.size());
    if (peek() == '}') {
      ++token_;
    } else if (peek() == '"' && at()[1] == '$') {
      --token_, --depth_;
      return object_whole();  // perhaps a wrapper like {"$date": …}
    } else {
      size_t position = 0;
      do {
        int index = key(plan, position++);
        if (error_ != nullptr) return {};
        if (index == DecodePlan::kSkip) {
          skip_value();
        } else {
          const DecodePlan::Entry& entry = plan.entries_[index];
          object.add(entry.name, entry.sub == nullptr ? value() : pruned(*entry.sub));
        }
      } while (error_ == nullptr && more('}'));
    }
    --depth_;
    return object.finish();
  }

  // A value of which only `plan`'s fields are needed.
  Value pruned(DecodePlan& plan) {
    char c = peek();
    if (c == '{') return object(plan);
    if (c != '[' || plan.numeric_child_) return value();
    if (!enter()) return {};
    ++token_;
    ArrayBuilder array(arena_);
    if (peek() == ']') {
      ++token_;
    } else {
      do {
        array.add(pruned(plan));
      } while (error_ == nullptr && more(']'));
    }
    --depth_;
    return array.finish();
  }

  Value value() {
    switch (peek()) {
      case '"':
        return Value::string(string());
      case '{':
        return object_whole();
      case '[':
        return array_whole();
      case 't':
        return literal("true", Value::boolean(true));
      case 'f':
        return literal("false", Value::boolean(false));
      case 'n':
        return literal("null", Value::null());
      default:
        return number();
    }
  }

  Value object_whole() {
    if (!enter()) return {};
    ++token_;
    ObjectBuilder object(arena_, 16);
    bool wrapper = peek() == '"' && at()[1] == '$';
    if (peek() == '}') {
      ++token_;
    } else {
      do {
        if (peek() != '"') {
          fail("a field name is missing");
          return {};
        }
        std::string_view name = string();
        if (name.find('\0') != std::string_view::npos) fail("a field name holds a NUL character");
        if (!expect(':', "a colon is missing")) return {};
        object.add(name, value());
      } while (error_ == nullptr && more('}'));
    }
    --depth_;
    if (error_ != nullptr) return {};
    Value result = object.finish();
    return wrapper ? unwrap(result) : result;
  }

  Value unwrap(Value object) {
    auto special = special_from_fields(object.tree_fields(), arena_);
    if (!special.ok()) {
      reason_ = special.status().message();
      fail(arena_.copy(reason_ + '\0').data());
      return {};
    }
    return special->is_missing() ? object : *special;
  }

  Value array_whole() {
    if (!enter()) return {};
    ++token_;
    ArrayBuilder array(arena_);
    if (peek() == ']') {
      ++token_;
    } else {
      do {
        array.add(value());
      } while (error_ == nullptr && more(']'));
    }
    --depth_;
    return array.finish();
  }

  Value array_as_object() {
    Value array = array_whole();
    if (error_ != nullptr) return {};
    ObjectBuilder object(arena_, array.tree_elements().size());
    size_t index = 0;
    for (const Value& element : array.tree_elements())
      object.add(arena_.copy(std::to_string(index++)), element);
    return object.finish();
  }

  static bool ends_scalar(char c) {
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t' ||
           c == 0;
  }

  Value literal(std::string_view word, Value result) {
    const char* p = at();
    if (std::memcmp(p, word.data(), word.size()) != 0 || !ends_scalar(p[word.size()])) {
      fail("not a JSON value");
      return {};
    }
    ++token_;
    return result;
  }

  Value number() {
    const char* p = at();
    bool negative = *p == '-';
    p += negative;
    const char* digits = p;
    uint64_t mantissa = 0;
    while (static_cast<unsigned>(*p - '0') < 10) mantissa = mantissa * 10 + (*p++ - '0');
    auto count = p - digits;
    if (count == 0 || (count > 1 && *digits == '0')) {
      fail("not a JSON value");
      return {};
    }
    if (ends_scalar(*p) && count <= 18) [[likely]] {
      ++token_;
      auto v = static_cast<int64_t>(mantissa);
      return Value::integer(negative ? -v : v);
    }
    return slow_number(p, negative, mantissa, count);
  }

  Value slow_number(const char* p, bool negative, uint64_t mantissa, ptrdiff_t count);

  void skip_scalar() {
    switch (peek()) {
      case '"':
        ++token_;
        return;
      case 't':
        literal("true", {});
        return;
      case 'f':
        literal("false", {});
        return;
      case 'n':
        literal("null", {});
        return;
      default:
        skip_number();
        return;
    }
  }

  void skip_number() {
    const char* p = at();
    p += *p == '-';
    const char* digits = p;
    while (static_cast<unsigned>(*p - '0') < 10) ++p;
    bool good = p > digits && (p - digits == 1 || *digits != '0');
    if (*p == '.') {
      const char* fraction = ++p;
      while (static_cast<unsigned>(*p - '0') < 10) ++p;
      good = good && p > fraction;
    }
    if (*p == 'e' || *p == 'E') {
      ++p;
      p += *p == '+' || *p == '-';
      const char* exponent = p;
      while (static_cast<unsigned>(*p - '0') < 10) ++p;
      good = good && p > exponent;
    }
    if (!good || !ends_scalar(*p)) fail("not a JSON value");
    ++token_;
  }

  // Walks over a value that nobody reads, checking it all the same.
  void skip_value() {
    char c = peek();
    if (c == '{') return skip_container('}');
    if (c == '[') return skip_container(']');
    skip_scalar();
  }

  void skip_container(char close) {
    if (!enter()) return;
    ++token_;
    if (peek() == close) {
      ++token_;
    } else {
      do {
        if (close == '}') {
          if (peek() != '"') return fail("a field name is missing");
          ++token_;
          if (!expect(':', "a colon is missing")) return;
        }
        skip_value();
      } while (error_ == nullptr && more(close));
    }
    --depth_;
  }

  const char* text_;
  const uint32_t* token_;
  Arena& arena_;
  int depth_ = 0;
  const char* error_ = nullptr;
  std::string reason_;
};

std::string_view JsonDecoder::Walker::unescape(std::string_view raw) {
  char* out = arena_.allocate_array<char>(raw.size());
  char* to = out;
  auto hex4 = [&](size_t i, uint32_t* code) {
    if (i + 4 > raw.size()) return false;
    return std::from_chars(raw.data() + i, raw.data() + i + 4, *code, 16).ptr == raw.data() + i + 4;
  };
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      *to++ = raw[i];
      continue;
    }
    if (++i == raw.size()) {
      fail("a string ends in a backslash");
      break;
    }
    switch (raw[i]) {
      case '"':
      case '\\':
      case '/':
        *to++ = raw[i];
        break;
      case 'b':
        *to++ = '\b';
        break;
      case 'f':
        *to++ = '\f';
        break;
      case 'n':
        *to++ = '\n';
        break;
      case 'r':
        *to++ = '\r';
        break;
      case 't':
        *to++ = '\t';
        break;
      case 'u': {
        uint32_t code = 0;
        uint32_t low = 0;
        if (!hex4(i + 1, &code)) {
          fail("a string has a broken \\u escape");
          return {};
        }
        i += 4;
        if (code >= 0xD800 && code < 0xDC00 && i + 2 < raw.size() && raw[i + 1] == '\\' &&
            raw[i + 2] == 'u' && hex4(i + 3, &low) && low >= 0xDC00 && low < 0xE000) {
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          i += 6;
        } else if (code >= 0xD800 && code < 0xE000) {
          fail("a string has half of a surrogate pair");
          return {};
        }
        if (code < 0x80) {
          *to++ = static_cast<char>(code);
        } else if (code < 0x800) {
          *to++ = static_cast<char>(0xC0 | code >> 6);
          *to++ = static_cast<char>(0x80 | (code & 63));
        } else if (code < 0x10000) {
          *to++ = static_cast<char>(0xE0 | code >> 12);
          *to++ = static_cast<char>(0x80 | (code >> 6 & 63));
          *to++ = static_cast<char>(0x80 | (code & 63));
        } else {
          *to++ = static_cast<char>(0xF0 | code >> 18);
          *to++ = static_cast<char>(0x80 | (code >> 12 & 63));
          *to++ = static_cast<char>(0x80 | (code >> 6 & 63));
          *to++ = static_cast<char>(0x80 | (code & 63));
        }
        break;
      }
      default:
        fail("a string has an unknown escape");
        return {};
    }
  }
  return {out, static_cast<size_t>(to - out)};
}

// Fractions, exponents and integers of 19 digits or more. Short fractions are exact in double
// arithmetic (a mantissa below 2^53 over a power of ten up to 10^22: Clinger's fast path); the rest
// goes to std::from_chars.
Value JsonDecoder::Walker::slow_number(const char* p, bool negative, uint64_t mantissa,
                                       ptrdiff_t count) {
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char* begin = at();
  if (*p == '.' && count <= 15) {
    const char* fraction = ++p;
    while (static_cast<unsigned>(*p - '0') < 10 && p - fraction < 18)
      mantissa = mantissa * 10 + (*p++ - '0');
    auto places = p - fraction;
    if (places > 0 && ends_scalar(*p) && count + places <= 18 && mantissa < uint64_t{1} << 53) {
      ++token_;
      double v = static_cast<double>(mantissa) / kPowers[places];
      return Value::number(negative ? -v : v);
    }
  } else if (ends_scalar(*p)) {  // a long integer
    int64_t whole = 0;
    auto [end, error] = std::from_chars(begin, p, whole);
    if (error == std::errc() && end == p) {
      ++token_;
      return Value::integer(whole);
    }
  }
  const uint32_t* here = token_;
  skip_number();  // checks the grammar, which from_chars does not
  if (error_ != nullptr) return {};
  const char* end = text_ + here[1];
  double v = 0;
  auto parsed = std::from_chars(begin, end, v);
  if (parsed.ec == std::errc::result_out_of_range)
    v = std::strtod(std::string(begin, end).c_str(), nullptr);
  return Value::number(v);
}

JsonDecoder::JsonDecoder(DecodePlan plan)
    : index_(std::make_unique<Index>()), plan_(std::move(plan)) {}
JsonDecoder::~JsonDecoder() = default;

void JsonDecoder::start(SourceBatch& batch) {
  batch.seal();
  std::string_view text = batch.payloads();
  index_->whole_batch = index_->index(text.data(), text.size());
}

const char* JsonDecoder::next(const SourceRecord& record, Arena& arena, Value* body) {
  const char* text = index_->text;
  if (!index_->whole_batch) {
    // Some record of the batch breaks the text as a whole (an open string, bad UTF-8): each is
    // indexed by itself.
    return decode_alone({text + record.payload_at, record.payload_size}, plan_, arena, body);
  }
  uint32_t end = record.payload_at + record.payload_size;
  if (text[*index_->next] == 0 || *index_->next >= end) return "the value is empty";
  Walker walker(text, index_->next, arena);
  *body = walker.root(plan_);
  const uint32_t* token = walker.token();
  const char* error = walker.error();
  if (error == nullptr && token[-1] >= end) error = "the value ends too early";
  if (error == nullptr && *token < end && text[*token] != 0)
    error = "there is more text behind the value";
  if (error != nullptr) {
    // The next record starts at the first token behind this one, wherever the walk went astray.
    token = index_->next;
    const uint32_t* last =
        index_->parser->structural_indexes.get() + index_->parser->n_structural_indexes;
    while (token < last && *token < end) ++token;
  }
  index_->next = token;
  return error;
}

const char* JsonDecoder::decode_alone(std::string_view payload, DecodePlan& plan, Arena& arena,
                                      Value* body) {
  // A copy with padding: in the batch the bytes behind are those of the next record.
  char* copy = arena.allocate_array<char>(payload.size() + SourceBatch::kPadding);
  std::memcpy(copy, payload.data(), payload.size());
  std::memset(copy + payload.size(), 0, SourceBatch::kPadding);
  const char* batch_text = index_->text;
  bool good = index_->index(copy, payload.size());
  const uint32_t* tokens = index_->next;
  index_->text = batch_text;
  if (!good) {
    return is_valid_utf8(payload)
               ? "the value is empty, or has an open string or a control character"
               : "the value is not valid UTF-8";
  }
  Walker walker(copy, tokens, arena);
  *body = walker.root(plan);
  if (walker.error() != nullptr) return walker.error();
  if (*walker.token() < payload.size()) return "there is more text behind the value";
  return nullptr;
}

const char* JsonDecoder::decode_whole(std::string_view payload, Arena& arena, Value* body) {
  if (aside_ == nullptr) aside_ = std::make_unique<JsonDecoder>(DecodePlan());
  return aside_->decode_alone(payload, aside_->whole_, arena, body);
}

}  // namespace millrace::engine
