// The local database's collections: the catalog and the documents. Index entries: index_entries.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/bson.h"
#include "storage/store.h"

namespace millrace::storage {

using CollectionId = uint64_t;
using IndexId = uint64_t;
using RecordId = uint64_t;  // 1, 2, … in the order of insertion, per collection; never reused while
                            // the collection exists

// ---- catalog: "db.collection" → a document of the caller (uuid, options, indexes, ids)

struct CatalogEntry {
  std::string ns;  // "db.collection"
  engine::Document document;
};

// A number that was never given before in this data directory: for collections and for indexes.
Result<uint64_t> next_catalog_id(WriteTransaction& txn);
// Inserts or replaces.
Status put_catalog_entry(WriteTransaction& txn, std::string_view ns, std::string_view bson);
Result<std::optional<engine::Document>> get_catalog_entry(ReadTransaction& txn,
                                                          std::string_view ns);
Result<bool> erase_catalog_entry(WriteTransaction& txn, std::string_view ns);
// By name; `prefix` "db." lists one database. Fails on a damaged entry.
Result<std::vector<CatalogEntry>> list_catalog(ReadTransaction& txn, std::string_view prefix = {});

// ---- documents

struct CollectionStatistics {
  int64_t records = 0;
  int64_t bytes = 0;         // of the documents' BSON
  RecordId last_record = 0;  // the highest that was given
};

// As of the transaction's beginning, for a write transaction too.
Result<CollectionStatistics> collection_statistics(ReadTransaction& txn, CollectionId collection);

Result<RecordId> insert_record(WriteTransaction& txn, CollectionId collection,
                               std::string_view bson);
// The view lives as long as the transaction, in a write transaction until the next write.
Result<std::optional<std::string_view>> get_record(ReadTransaction& txn, CollectionId collection,
                                                   RecordId record);
// False when there is no such record.
Result<bool> replace_record(WriteTransaction& txn, CollectionId collection, RecordId record,
                            std::string_view bson);
Result<bool> erase_record(WriteTransaction& txn, CollectionId collection, RecordId record);
// All documents of it, and its statistics. The number erased.
Result<int64_t> erase_all_records(WriteTransaction& txn, CollectionId collection);

// Goes through a collection in the order of insertion. See Cursor for damage and lifetimes.
class RecordCursor {
 public:
  static Result<RecordCursor> open(ReadTransaction& txn, CollectionId collection);
  Status first() { return cursor_->first(); }
  Status last() { return cursor_->last(); }
  Status seek(RecordId record);  // the first >= record: how a cursor goes on in a later transaction
  Status seek_before(RecordId record);  // the last < record
  Status next() { return cursor_->next(); }
  Status previous() { return cursor_->previous(); }
  bool valid() const { return cursor_->valid(); }
  RecordId record() const;
  std::string_view bson() const { return cursor_->value(); }

 private:
  RecordCursor(std::unique_ptr<Cursor> cursor, CollectionId collection)
      : cursor_(std::move(cursor)), collection_(collection) {}
  std::unique_ptr<Cursor> cursor_;
  CollectionId collection_;
};

}  // namespace millrace::storage
