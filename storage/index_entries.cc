// Key of an entry: index id (8, most significant byte first), then the caller's key, or its first
// kCutKeyBytes and 16 bytes of hash (XXH3-128 of the whole), then, unless the index is unique, the
// record id (8, most significant first). A cut key is longer than any other, so the two cannot be
// mistaken for each other. Value: the record id (8, most significant first).
#include "storage/index_entries.h"

#include <xxhash.h>

#include "storage/collection_records.h"
#include "storage/record_envelope.h"

namespace millrace::storage {
namespace {

constexpr size_t kHashBytes = 16;
static_assert(kCutKeyBytes + kHashBytes == kMaxIndexKeyBytes + 1);
static_assert(8 + kCutKeyBytes + kHashBytes + 8 <= kMaxKeyBytes);

std::string index_prefix(IndexId index) {
  std::string prefix;
  append_big_endian(prefix, index);
  return prefix;
}

std::string entry_key(IndexId index, bool unique, std::string_view key, RecordId record) {
  std::string entry = index_prefix(index);
  if (key.size() <= kMaxIndexKeyBytes) {
    entry += key;
  } else {
    entry += key.substr(0, kCutKeyBytes);
    auto hash = XXH3_128bits(key.data(), key.size());
    append_big_endian(entry, hash.high64);
    append_big_endian(entry, hash.low64);
  }
  if (!unique) append_big_endian(entry, record);
  return entry;
}

std::string encode_record(RecordId record) {
  std::string value;
  append_big_endian(value, record);
  return value;
}

Result<RecordId> decode_record(std::string_view value, std::string_view key) {
  if (value.size() != 8) return damaged_record_error(Table::kIndexes, key);
  return read_big_endian(value.data());
}

}  // namespace

Result<IndexInsert> insert_index_entry(WriteTransaction& txn, IndexId index, bool unique,
                                       std::string_view key, RecordId record) {
  auto entry = entry_key(index, unique, key, record);
  MR_ASSIGN_OR_RETURN(bool inserted, txn.insert(Table::kIndexes, entry, encode_record(record)));
  if (inserted) return IndexInsert{true, 0};
  MR_ASSIGN_OR_RETURN(auto value, txn.get(Table::kIndexes, entry));
  MR_ASSIGN_OR_RETURN(RecordId existing, decode_record(value.value_or(""), entry));
  return IndexInsert{existing == record, existing == record ? 0 : existing};
}

Result<bool> erase_index_entry(WriteTransaction& txn, IndexId index, bool unique,
                               std::string_view key, RecordId record) {
  auto entry = entry_key(index, unique, key, record);
  if (unique) {
    MR_ASSIGN_OR_RETURN(auto found, find_unique(txn, index, key));
    if (found != record) return false;
  }
  return txn.erase(Table::kIndexes, entry);
}

Result<int64_t> erase_all_index_entries(WriteTransaction& txn, IndexId index) {
  return txn.erase_prefix(Table::kIndexes, index_prefix(index));
}

Result<std::optional<RecordId>> find_unique(ReadTransaction& txn, IndexId index,
                                            std::string_view key) {
  auto entry = entry_key(index, true, key, 0);
  MR_ASSIGN_OR_RETURN(auto value, txn.get(Table::kIndexes, entry));
  if (!value) return std::optional<RecordId>();
  MR_ASSIGN_OR_RETURN(RecordId record, decode_record(*value, entry));
  return std::optional(record);
}

Result<bool> index_entries_lost(ReadTransaction& txn) {
  MR_ASSIGN_OR_RETURN(auto mark, txn.get(Table::kMeta, kIndexesLostKey));
  return mark.has_value();
}

Status index_entries_made_anew(WriteTransaction& txn) {
  return txn.erase(Table::kMeta, kIndexesLostKey).status();
}

Result<IndexCursor> IndexCursor::open(ReadTransaction& txn, IndexId index, bool unique) {
  MR_ASSIGN_OR_RETURN(auto cursor, txn.cursor(Table::kIndexes, index_prefix(index)));
  return IndexCursor(std::move(cursor), index, unique);
}

// Beyond kCutKeyBytes an entry may show a hash where the bound shows key bytes: compare only what
// is before it.
Status IndexCursor::seek(std::string_view key) {
  return cursor_->seek(index_prefix(index_) += key.substr(0, kCutKeyBytes));
}

Status IndexCursor::seek_before(std::string_view key) {
  std::string bound = index_prefix(index_) += key.substr(0, kCutKeyBytes);
  if (key.size() > kCutKeyBytes) bound.append(kMaxKeyBytes, '\xff');
  return cursor_->seek_before(bound);
}

std::string_view IndexCursor::key() const {
  auto key = cursor_->key().substr(8);
  if (!unique_) key.remove_suffix(8);
  return truncated() ? key.substr(0, kCutKeyBytes) : key;
}

bool IndexCursor::truncated() const {
  return cursor_->key().size() - 8 - (unique_ ? 0 : 8) > kMaxIndexKeyBytes;
}

RecordId IndexCursor::record() const { return read_big_endian(cursor_->value().data()); }

}  // namespace millrace::storage
