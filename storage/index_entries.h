// Entries of the local database's indexes. A key is bytes that the caller made so that memcmp
// orders them and no key is the beginning of another (each part of it says where it ends); storage
// does not look inside.
//
// A key of more than kMaxIndexKeyBytes is cut: the entry keeps its first kCutKeyBytes and a hash of
// the whole. Such an entry says so
// (`truncated`): then
//  * equal keys still have equal entries and different keys different ones (128 bits of hash), so
//  uniqueness holds;
//  * entries with the same first kCutKeyBytes stand in no particular order among themselves, so a
//  range scan compares the document's
//    own key with its bounds, and a sort by this index sorts them again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/collections.h"
#include "storage/store.h"

namespace millrace::storage {

inline constexpr size_t kMaxIndexKeyBytes = 470;
inline constexpr size_t kCutKeyBytes = 455;

struct IndexInsert {
  bool inserted = false;
  RecordId existing = 0;  // of a unique index: whose key it is already, when not inserted
};

// A unique index holds one record per key; inserting the same pair again is no error in either
// kind.
Result<IndexInsert> insert_index_entry(WriteTransaction& txn, IndexId index, bool unique,
                                       std::string_view key, RecordId record);
// False when there is no such entry (of a unique index: also when the key belongs to another
// record).
Result<bool> erase_index_entry(WriteTransaction& txn, IndexId index, bool unique,
                               std::string_view key, RecordId record);
// When the index is dropped. The number erased.
Result<int64_t> erase_all_index_entries(WriteTransaction& txn, IndexId index);
// Of a unique index: the record with this key.
Result<std::optional<RecordId>> find_unique(ReadTransaction& txn, IndexId index,
                                            std::string_view key);

// After a damaged file was salvaged there are no entries: some had lost their documents and some
// documents their entries, and storage cannot tell which. Whoever knows how keys are made makes all
// of them anew before anything else and then says so. True until then, across restarts.
Result<bool> index_entries_lost(ReadTransaction& txn);
Status index_entries_made_anew(WriteTransaction& txn);

// Goes through an index in the order of its keys; equal keys in the order of record ids.
class IndexCursor {
 public:
  static Result<IndexCursor> open(ReadTransaction& txn, IndexId index, bool unique);
  Status first() { return cursor_->first(); }
  Status last() { return cursor_->last(); }
  // The first entry whose key is >= `key`; of a key beyond kCutKeyBytes possibly an earlier one,
  // never a later.
  Status seek(std::string_view key);
  // The last entry whose key is < `key`; of a key beyond kCutKeyBytes possibly a later one, never
  // an earlier.
  Status seek_before(std::string_view key);
  Status next() { return cursor_->next(); }
  Status previous() { return cursor_->previous(); }
  bool valid() const { return cursor_->valid(); }
  std::string_view key()
      const;  // the caller's bytes; the first kCutKeyBytes of them if truncated()
  bool truncated() const;
  RecordId record() const;

 private:
  IndexCursor(std::unique_ptr<Cursor> cursor, IndexId index, bool unique)
      : cursor_(std::move(cursor)), index_(index), unique_(unique) {}
  std::unique_ptr<Cursor> cursor_;
  IndexId index_;
  bool unique_;
};

}  // namespace millrace::storage
