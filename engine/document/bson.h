// BSON bytes: writing them, owning them, and checking those that come from outside. Format:
// bsonspec.org.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

inline constexpr int kMaxNestingDepth = 200;                   // MongoDB's limit on levels
inline constexpr size_t kMaxDocumentBytes = 16 * 1024 * 1024;  // of a document that a user stores
inline constexpr size_t kMaxTreeBytes = 64 * 1024 * 1024;  // of a value that is encoded or measured
inline constexpr size_t kMaxInternalDocumentBytes = kMaxDocumentBytes + 16 * 1024;

// Encodes documents into one growing buffer. Not thread-safe. Names and strings are copied at once.
//
//   BsonWriter w;
//   w.begin_document();
//   w.append("n", int32_t{1});
//   w.begin_object("sub"); ... w.end();
//   w.end();                        // w.bytes() is one document
class BsonWriter {
 public:
  BsonWriter() = default;
  explicit BsonWriter(size_t reserve) { reserve_more(reserve); }
  BsonWriter(const BsonWriter&) = delete;
  BsonWriter& operator=(const BsonWriter&) = delete;
  ~BsonWriter() { std::free(base_); }

  void clear() {
    at_ = base_;
    depth_ = 0;
    tree_levels_ = 0;
  }
  // Everything written so far. Valid until the next write.
  std::string_view bytes() const { return {base_, static_cast<size_t>(at_ - base_)}; }
  size_t size() const { return at_ - base_; }

  // A top-level document; several may stand one behind the other.
  void begin_document() { open(); }
  void begin_object(std::string_view name) { key(Type::kObject, name), open(); }
  void begin_array(std::string_view name) { key(Type::kArray, name), open(); }
  // Closes the innermost open document or array.
  void end() {
    ensure(1);
    *at_++ = 0;
    auto start = starts_[--depth_];
    auto length = static_cast<int32_t>((at_ - base_) - start);
    std::memcpy(base_ + start, &length, 4);
  }

  // A missing value writes nothing. Throws EvaluationError 15 for one that is nested too deeply,
  // 10334 for one that passes kMaxTreeBytes.
  void append(std::string_view name, Value value);
  void append(std::string_view name, int32_t v) { append(name, Value::int32(v)); }
  void append(std::string_view name, int64_t v) { append(name, Value::int64(v)); }
  void append(std::string_view name, double v) { append(name, Value::number(v)); }
  void append(std::string_view name, bool v) { append(name, Value::boolean(v)); }
  void append(std::string_view name, std::string_view v) { append(name, Value::string(v)); }
  void append(std::string_view name, const char* v) { append(name, Value::string(v)); }
  void append(std::string_view name, const std::string& v) { append(name, Value::string(v)); }
  // Into an open array: the name is its index, counted by the caller.
  void append_element(size_t index, Value value);
  // A whole document, as top-level bytes. Requires: `object` is an object.
  void append_document(Value object);
  // Encoded bytes as they are, e.g. elements or a document taken from elsewhere.
  void append_raw(std::string_view bytes) {
    ensure(bytes.size());
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

 private:
  void ensure(size_t more) {
    if (more > static_cast<size_t>(limit_ - at_)) [[unlikely]]
      reserve_more(more);
  }
  void reserve_more(size_t more);
  void open();
  // Around a value in tree form.
  void begin_tree();
  void end_tree();
  void key(Type type, std::string_view name) {
    ensure(name.size() + 2);
    *at_++ = static_cast<char>(type);
    copy_short(at_, name);
    at_ += name.size();
    *at_++ = 0;
  }
  // Names and many strings are short: copied by two moves that may overlap.
  static void copy_short(char* to, std::string_view text) {
    const char* from = text.data();
    size_t size = text.size();
    if (size >= 8 && size <= 16) {
      copy_ends<uint64_t>(to, from, size);
    } else if (size >= 4 && size < 8) {
      copy_ends<uint32_t>(to, from, size);
    } else if (size >= 2 && size < 4) {
      copy_ends<uint16_t>(to, from, size);
    } else {
      std::memcpy(to, from, size);
    }
  }
  template <typename Word>
  static void copy_ends(char* to, const char* from, size_t size) {
    Word first;
    Word last;
    std::memcpy(&first, from, sizeof first);
    std::memcpy(&last, from + size - sizeof last, sizeof last);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + size - sizeof last, &last, sizeof last);
  }
  void write_fields(std::span<const Field> fields);
  void write_string(std::string_view text);
  void write_payload(const Value& value);

  char* base_ = nullptr;
  char* at_ = nullptr;
  char* limit_ = nullptr;
  size_t starts_[kMaxNestingDepth + 64];
  int depth_ = 0;
  int tree_levels_ = 0;
  size_t tree_start_ = 0;
};

// Size of the encoded document, without encoding it. More than kMaxTreeBytes stands for any larger
// one.
size_t bson_size(Value object);

// An owned document: encoded bytes, shared and immutable. Cheap to copy.
class Document {
 public:
  Document();  // {}
  // Requires: `bson` is one whole valid document.
  explicit Document(std::string_view bson) : bytes_(std::make_shared<const std::string>(bson)) {}
  explicit Document(std::string&& bson)
      : bytes_(std::make_shared<const std::string>(std::move(bson))) {}
  // Encodes a view. Requires: an object.
  explicit Document(Value object);

  // A view into this Document's bytes.
  Value value() const { return Value::bson_object(bytes_->data()); }
  ObjectView view() const { return value().as_object(); }
  Value get(std::string_view name) const { return view().get(name); }
  std::string_view bytes() const { return *bytes_; }

 private:
  std::shared_ptr<const std::string> bytes_;
};

// Checks that `bytes` is exactly one well-formed document: lengths, terminators, known types, UTF-8
// of strings and keys (when `check_utf8`), nesting up to kMaxNestingDepth. Bounded time and memory
// whatever the input. Errors: 22 InvalidBSON, 15 Overflow.
Status validate_bson(std::string_view bytes, bool check_utf8 = true);

// True if `text` is well-formed UTF-8 (simdjson's check).
bool is_valid_utf8(std::string_view text);
// `text` with U+FFFD for each byte that belongs to no well-formed character: a message may quote
// half a character, and no BSON string may hold one.
std::string with_valid_utf8(std::string_view text);

}  // namespace millrace::engine
