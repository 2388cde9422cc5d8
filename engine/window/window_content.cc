#include "engine/window/window_content.h"

#include <algorithm>

namespace millrace::engine {
namespace {

// The fields of `object` that `fields` names, in the object's order. Arrays on the way are kept
// whole.
void append_pruned(const Value& object, const PathSet& fields, BsonWriter& to) {
  for (const Field& field : object.as_object()) {
    const PathSet* wanted = fields.find(field.name());
    if (wanted == nullptr) continue;
    if (wanted->all || !field.value.is_object()) {
      to.append(field.name(), field.value);
      continue;
    }
    to.begin_object(field.name());
    append_pruned(field.value, *wanted, to);
    to.end();
  }
}

}  // namespace

void StoredDocuments::add(const StreamDocument& document, uint64_t sequence,
                          const PathSet& fields) {
  static thread_local BsonWriter writer;
  writer.clear();
  if (fields.all) {
    writer.append_document(document.body);
  } else {
    writer.begin_document();
    append_pruned(document.body, fields, writer);
    writer.end();
  }
  auto body_bytes = static_cast<uint32_t>(writer.size());
  if (document.meta.is_object()) writer.append_document(document.meta);
  put({sequence, document.timestamp_ms, body_bytes,
       static_cast<uint32_t>(writer.size()) - body_bytes},
      writer.bytes());
}

void StoredDocuments::put(const Header& header, std::string_view encoded) {
  const char* head = reinterpret_cast<const char*>(&header);
  bytes_.insert(bytes_.end(), head, head + sizeof header);
  bytes_.insert(bytes_.end(), encoded.begin(), encoded.end());
  ++count_;
}

void StoredDocuments::append(const StoredDocuments& other) {
  bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
  count_ += other.count_;
}

void StoredDocuments::retain(std::span<const uint64_t> sequences) {
  size_t to = 0;
  count_ = 0;
  for (size_t at = 0; at < bytes_.size();) {
    Header header;
    std::memcpy(&header, bytes_.data() + at, sizeof header);
    size_t size = sizeof header + header.body_bytes + header.meta_bytes;
    if (std::binary_search(sequences.begin(), sequences.end(), header.sequence)) {
      std::memmove(bytes_.data() + to, bytes_.data() + at, size);
      to += size;
      ++count_;
    }
    at += size;
  }
  bytes_.resize(to);
}

void StoredDocuments::load(std::span<const StoredDocuments* const> parts, Arena& arena,
                           std::vector<StreamDocument>& to, std::vector<uint64_t>* sequences) {
  struct Entry {
    uint64_t sequence;
    StreamDocument document;
  };
  std::vector<Entry> entries;
  bool in_order = true;
  for (const StoredDocuments* part : parts) {
    const char* copy = arena.copy({part->bytes_.data(), part->bytes_.size()}).data();
    for (size_t at = 0; at < part->bytes_.size();) {
      Header header;
      std::memcpy(&header, copy + at, sizeof header);
      at += sizeof header;
      Entry entry;
      entry.sequence = header.sequence;
      entry.document.timestamp_ms = header.timestamp_ms;
      entry.document.body = Value::bson_object(copy + at);
      if (header.meta_bytes > 0)
        entry.document.meta = Value::bson_object(copy + at + header.body_bytes);
      at += header.body_bytes + header.meta_bytes;
      in_order = in_order && (entries.empty() || entries.back().sequence < entry.sequence);
      entries.push_back(entry);
    }
  }
  if (!in_order) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.sequence < b.sequence; });
  }
  to.reserve(to.size() + entries.size());
  for (const Entry& entry : entries) {
    to.push_back(entry.document);
    if (sequences != nullptr) sequences->push_back(entry.sequence);
  }
}

void StoredDocuments::save(std::string_view field, BsonWriter& to) const {
  to.begin_array(field);
  size_t index = 0;
  for (size_t at = 0; at < bytes_.size();) {
    Header header;
    std::memcpy(&header, bytes_.data() + at, sizeof header);
    at += sizeof header;
    to.begin_object(std::to_string(index++));
    to.append("sequence", static_cast<int64_t>(header.sequence));
    to.append("time", Value::date(header.timestamp_ms));
    to.append("body", Value::bson_object(bytes_.data() + at));
    if (header.meta_bytes > 0)
      to.append("meta", Value::bson_object(bytes_.data() + at + header.body_bytes));
    to.end();
    at += header.body_bytes + header.meta_bytes;
  }
  to.end();
}

Status StoredDocuments::restore(const Value& saved) {
  Status bad(ErrorCode::kInternalError, "the saved documents of a window are not readable");
  if (!saved.is_array()) return bad;
  PathSet whole;
  whole.add_all();
  for (const Value& element : saved.as_array()) {
    if (!element.is_object()) return bad;
    Value sequence = element.as_object().get("sequence");
    Value time = element.as_object().get("time");
    StreamDocument document;
    document.body = element.as_object().get("body");
    document.meta = element.as_object().get("meta");
    if (!sequence.is(Type::kInt64) || !time.is(Type::kDate) || !document.body.is_object())
      return bad;
    document.timestamp_ms = time.as_date();
    add(document, static_cast<uint64_t>(sequence.as_int64()), whole);
  }
  return {};
}

}  // namespace millrace::engine
