// Documents of another collection or view by the value of one of their fields: the equality of
// $lookup and the steps of $graphLookup.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "commands/local/aggregate_stages.h"
#include "commands/local/catalog.h"
#include "engine/match/match_path.h"
#include "storage/index_entries.h"

namespace millrace::commands {

// Goes by an index where there is one. Without one the collection is read once and the records are
// remembered by their keys, up to kMaxKeyBytes; beyond that it is read again for each call. Used
// within the transaction of the builder's scope, which may change from call to call.
class ForeignField {
 public:
  static constexpr size_t kMaxKeyBytes = size_t{64} << 20;
  static constexpr size_t kMaxViewBytes = size_t{100} << 20;

  ForeignField(std::string_view collection, std::string_view path, AggregateBuilder& builder);

  // A value that is looked for.
  struct Key {
    std::string bytes;  // key_bytes.h
    // Where an index may have documents with this value beside `bytes`: an array's first element,
    // undefined for an empty array. Empty: nowhere.
    std::string beside;

    explicit Key(const engine::Value& value);
    bool operator<(const Key& other) const { return bytes < other.bytes; }
  };
  using Keys = std::vector<Key>;
  // One for each element of an array, none for what is missing.
  static void add_keys_of_value(const engine::Value& value, Keys& keys);
  // What a document's field is looked for by: an array on the way counts by its elements that are
  // objects or by the position that a part of the path names, one at the end by its elements.
  // Observed on 6.0.5.
  static Keys keys_of_field(const engine::FieldPath& path, const engine::Value& document);

  // found[i]: the documents that {<path>: {$in: wanted[i]}} matches, each once, in the order in
  // which they were inserted. They live as long as the transaction, those of a view as long as this
  // object. Errors: 146 ExceededMemoryLimit for a view beyond kMaxViewBytes, those of the view's
  // stages.
  engine::Status find(const std::vector<Keys>& wanted,
                      std::vector<std::vector<engine::Value>>& found);
  // {<path>: {$in: wanted}}, of a document from anywhere.
  bool matches(const engine::Value& document, const Keys& wanted) const;
  // {<path>: {$exists: true}}
  bool in(const engine::Value& document) const {
    return path_.any(document, engine::LeafArray::kWhole,
                     [](const engine::Value& value) { return !value.is_missing(); });
  }

 private:
  enum class Way { kUnknown, kNothing, kIndex, kRecords, kScan, kView };
  using Rows = std::vector<std::vector<storage::RecordId>>;

  engine::Status choose();
  engine::Status load_view();
  engine::Result<bool> load_records();
  engine::Status find_by_index(const std::vector<Keys>& wanted, Rows& rows);
  engine::Status find_entries(storage::IndexCursor& cursor, const Key& key, std::string_view entry,
                              std::vector<storage::RecordId>& rows);
  void find_by_hash(const std::vector<Keys>& wanted, Rows& rows) const;
  engine::Status find_by_scan(const std::vector<Keys>& wanted, Rows& rows);
  // The bytes of all values that a query sees at the path; null's for what is missing.
  std::vector<std::string> values_of(const engine::Value& document) const;

  std::string name_;
  engine::NameTable names_;
  engine::MatchPath path_;
  AggregateBuilder& builder_;
  Way way_ = Way::kUnknown;
  storage::CollectionId collection_ = 0;
  IndexInfo index_;                                                 // kIndex
  std::unordered_multimap<std::string, storage::RecordId> by_key_;  // a view: its rows' numbers
  engine::Batch view_;
};

}  // namespace millrace::commands
