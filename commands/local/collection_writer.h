// Changes the documents of one collection within one write transaction: keeps the indexes in step,
// enforces unique ones, the validator, the size limits of documents and of capped collections.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "commands/local/catalog.h"
#include "commands/local/evaluation.h"
#include "commands/local/index_keys.h"
#include "storage/collections.h"

namespace millrace::commands {

// What went wrong with one statement, with the fields that stand beside its code and text.
struct WriteFailure {
  engine::Status status;
  engine::Document
      details;  // {keyPattern, keyValue} of a duplicate key, {errInfo} of a validator, else {}
};

class CollectionWriter {
 public:
  // Errors: 166/20 for a view, those of the validator's predicate.
  static engine::Result<std::unique_ptr<CollectionWriter>> open(storage::WriteTransaction& txn,
                                                                Collection collection,
                                                                const engine::Clock& clock,
                                                                bool bypass_validation);

  // Each either happens whole or, with an error, not at all; other errors than a document's own
  // fault (11000, 121, 10334, 171) must end the transaction. `details()` then says more.
  engine::Status insert(std::string_view bson);
  // `old_bson` must stay valid across writes: a copy.
  engine::Status replace(storage::RecordId record, std::string_view old_bson,
                         std::string_view new_bson);
  engine::Status erase(storage::RecordId record, std::string_view old_bson);

  const engine::Document& details() const { return details_; }
  const Collection& collection() const { return collection_; }
  storage::WriteTransaction& transaction() { return txn_; }

 private:
  CollectionWriter(storage::WriteTransaction& txn, Collection collection,
                   const engine::Clock& clock)
      : txn_(txn), collection_(std::move(collection)), evaluation_(clock) {}

  struct Entry {
    const IndexInfo* index;
    IndexKey key;
  };
  engine::Status check_document(const engine::Value& document, const engine::Value* old_document);
  engine::Result<bool> covers(size_t index, const engine::Value& document);
  engine::Result<std::vector<Entry>> entries(const engine::Value& document, bool with_id);
  engine::Status add_entries(const std::vector<Entry>& added, storage::RecordId record);
  engine::Status shrink_capped();
  engine::Status fail_duplicate(const Entry& entry);

  storage::WriteTransaction& txn_;
  Collection collection_;
  Evaluation evaluation_;
  engine::PredicatePtr validator_;
  bool moderate_ = false;                      // validationLevel
  std::vector<engine::PredicatePtr> partial_;  // by index; null: all documents
  bool capped_ = false;
  int64_t records_ = 0;  // of a capped collection, as they are now
  int64_t bytes_ = 0;
  engine::Document details_;
};

}  // namespace millrace::commands
