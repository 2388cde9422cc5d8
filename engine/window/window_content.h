// What one window (or pane, or session) has collected: groups where its pipeline begins with
// $group, else documents.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/field_path.h"
#include "engine/stage/group_table.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

// Documents kept until their window closes: encoded, one behind the other, each with its place in
// the order of arrival.
class StoredDocuments {
 public:
  // `fields`: what of the body is kept.
  void add(const StreamDocument& document, uint64_t sequence, const PathSet& fields);
  void append(const StoredDocuments& other);
  // Drops all but those of these places in the order of arrival, which are in ascending order.
  void retain(std::span<const uint64_t> sequences);
  size_t count() const { return count_; }
  bool empty() const { return bytes_.empty(); }
  int64_t bytes() const { return static_cast<int64_t>(bytes_.capacity()); }

  // Appends the documents of all `parts` in order of arrival; bodies and metadata live in `arena`.
  // With `sequences` also their places in that order.
  static void load(std::span<const StoredDocuments* const> parts, Arena& arena,
                   std::vector<StreamDocument>& to, std::vector<uint64_t>* sequences = nullptr);

  // An array field of {sequence, time, body, meta}.
  void save(std::string_view field, BsonWriter& to) const;
  Status restore(const Value& saved);

 private:
  struct Header {
    uint64_t sequence;
    int64_t timestamp_ms;
    uint32_t body_bytes;
    uint32_t meta_bytes;
  };
  void put(const Header& header, std::string_view encoded);

  std::vector<char> bytes_;  // Header, body, meta, Header, …
  size_t count_ = 0;
};

struct WindowContent {
  GroupsPtr groups;
  StoredDocuments documents;

  bool empty() const { return (groups == nullptr || groups->empty()) && documents.empty(); }
  int64_t bytes() const { return (groups != nullptr ? groups->bytes() : 0) + documents.bytes(); }
};

}  // namespace millrace::engine
