// Documents of another collection or view by the value of one of their fields: the equality of
// $lookup and the steps of $graphLookup.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "commands/local/aggregate_stages.h"
#include "commands/local/catalog.h"

namespace millrace::commands {

// Goes by an index where there is one. Without one the collection is read once and the records are
// remembered by their keys, up to kMaxKeyBytes; beyond that it is read again for each call. Used
// within the transaction of the builder's scope, which may change from call to call.
class ForeignField {
 public:
  static constexpr size_t kMaxKeyBytes = size_t{64} << 20;
  static constexpr size_t kMaxViewBytes = size_t{100} << 20;

  ForeignField(std::string_view collection, std::string_view path, AggregateBuilder& builder);

  // What to look for: the keys that a document's field `path` has (an array counts by its elements,
  // what is missing as null), or those of a list of values.
  using Keys = std::vector<std::string>;
  static engine::Result<Keys> keys_of_field(const IndexInfo& field, const engine::Value& document);

  // found[i]: the documents with one of wanted[i], each once, in the order in which they were
  // inserted. They live as long as the transaction, those of a view as long as this object. Errors:
  // 146 ExceededMemoryLimit for a view beyond kMaxViewBytes, those of the view's stages.
  engine::Status find(const std::vector<Keys>& wanted,
                      std::vector<std::vector<engine::Value>>& found);

 private:
  enum class Way { kUnknown, kNothing, kIndex, kRecords, kScan, kView };
  using Rows = std::vector<std::vector<storage::RecordId>>;

  engine::Status choose();
  engine::Status load_view();
  engine::Result<bool> load_records();
  engine::Status find_by_index(const std::vector<Keys>& wanted, Rows& rows);
  void find_by_hash(const std::vector<Keys>& wanted, Rows& rows) const;
  engine::Status find_by_scan(const std::vector<Keys>& wanted, Rows& rows);

  std::string name_;
  IndexInfo field_;
  AggregateBuilder& builder_;
  Way way_ = Way::kUnknown;
  storage::CollectionId collection_ = 0;
  IndexInfo index_;                                                 // kIndex
  std::unordered_multimap<std::string, storage::RecordId> by_key_;  // a view: its rows' numbers
  engine::Batch view_;
};

// The field as an index over it alone would have it.
IndexInfo field_as_index(std::string_view path);

}  // namespace millrace::commands
