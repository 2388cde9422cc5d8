#include "storage/collections.h"

#include <cstring>

#include "storage/collection_records.h"
#include "storage/record_envelope.h"

namespace millrace::storage {
namespace {

std::string collection_key(CollectionId collection) {
  std::string key;
  append_big_endian(key, collection);
  return key;
}

std::string record_key(CollectionId collection, RecordId record) {
  std::string key = collection_key(collection);
  append_big_endian(key, record);
  return key;
}

// Changes the statistics once the transaction commits.
Status adjust(WriteTransaction& txn, CollectionId collection, int64_t records, int64_t bytes) {
  MR_ASSIGN_OR_RETURN(std::string * payload,
                      txn.deferred(Table::kCollectionStatistics, collection_key(collection)));
  auto statistics = decode_statistics(*payload);
  statistics.records += records;
  statistics.bytes += bytes;
  *payload = encode_statistics(statistics);
  return {};
}

}  // namespace

std::string encode_counter(uint64_t counter) {
  return {reinterpret_cast<const char*>(&counter), sizeof(counter)};
}

uint64_t decode_counter(std::string_view payload) {
  uint64_t counter = 0;
  if (payload.size() == sizeof(counter)) std::memcpy(&counter, payload.data(), sizeof(counter));
  return counter;
}

std::string encode_statistics(const CollectionStatistics& statistics) {
  return encode_counter(static_cast<uint64_t>(statistics.records)) +
         encode_counter(static_cast<uint64_t>(statistics.bytes)) +
         encode_counter(statistics.last_record);
}

CollectionStatistics decode_statistics(std::string_view payload) {
  if (payload.size() != 24) return {};
  return {static_cast<int64_t>(decode_counter(payload.substr(0, 8))),
          static_cast<int64_t>(decode_counter(payload.substr(8, 8))),
          decode_counter(payload.substr(16, 8))};
}

Result<uint64_t> next_catalog_id(WriteTransaction& txn) {
  MR_ASSIGN_OR_RETURN(auto payload, txn.get(Table::kMeta, kCatalogCounterKey));
  uint64_t id = decode_counter(payload.value_or("")) + 1;
  MR_RETURN_IF_ERROR(txn.put(Table::kMeta, kCatalogCounterKey, encode_counter(id)));
  return id;
}

Status put_catalog_entry(WriteTransaction& txn, std::string_view ns, std::string_view bson) {
  return txn.put(Table::kCatalog, ns, bson);
}

Result<std::optional<engine::Document>> get_catalog_entry(ReadTransaction& txn,
                                                          std::string_view ns) {
  MR_ASSIGN_OR_RETURN(auto payload, txn.get(Table::kCatalog, ns));
  return payload ? std::optional(engine::Document(*payload)) : std::nullopt;
}

Result<bool> erase_catalog_entry(WriteTransaction& txn, std::string_view ns) {
  return txn.erase(Table::kCatalog, ns);
}

Result<std::vector<CatalogEntry>> list_catalog(ReadTransaction& txn, std::string_view prefix) {
  MR_ASSIGN_OR_RETURN(auto cursor, txn.cursor(Table::kCatalog, prefix));
  std::vector<CatalogEntry> entries;
  MR_RETURN_IF_ERROR(cursor->first());
  while (cursor->valid()) {
    entries.push_back({std::string(cursor->key()), engine::Document(cursor->value())});
    MR_RETURN_IF_ERROR(cursor->next());
  }
  return entries;
}

Result<CollectionStatistics> collection_statistics(ReadTransaction& txn, CollectionId collection) {
  MR_ASSIGN_OR_RETURN(auto payload,
                      txn.get(Table::kCollectionStatistics, collection_key(collection)));
  return decode_statistics(payload.value_or(""));
}

Result<RecordId> insert_record(WriteTransaction& txn, CollectionId collection,
                               std::string_view bson) {
  MR_ASSIGN_OR_RETURN(std::string * payload,
                      txn.deferred(Table::kCollectionStatistics, collection_key(collection)));
  auto statistics = decode_statistics(*payload);
  RecordId record = ++statistics.last_record;
  MR_RETURN_IF_ERROR(txn.put(Table::kRecords, record_key(collection, record), bson));
  ++statistics.records;
  statistics.bytes += static_cast<int64_t>(bson.size());
  *payload = encode_statistics(statistics);
  return record;
}

Result<std::optional<std::string_view>> get_record(ReadTransaction& txn, CollectionId collection,
                                                   RecordId record) {
  return txn.get(Table::kRecords, record_key(collection, record));
}

Result<bool> replace_record(WriteTransaction& txn, CollectionId collection, RecordId record,
                            std::string_view bson) {
  auto key = record_key(collection, record);
  MR_ASSIGN_OR_RETURN(auto old, txn.get(Table::kRecords, key));
  if (!old) return false;
  int64_t growth = static_cast<int64_t>(bson.size()) - static_cast<int64_t>(old->size());
  MR_RETURN_IF_ERROR(txn.put(Table::kRecords, key, bson));
  MR_RETURN_IF_ERROR(adjust(txn, collection, 0, growth));
  return true;
}

Result<bool> erase_record(WriteTransaction& txn, CollectionId collection, RecordId record) {
  auto key = record_key(collection, record);
  MR_ASSIGN_OR_RETURN(auto old, txn.get(Table::kRecords, key));
  if (!old) return false;
  auto bytes = static_cast<int64_t>(old->size());
  MR_RETURN_IF_ERROR(txn.erase(Table::kRecords, key).status());
  MR_RETURN_IF_ERROR(adjust(txn, collection, -1, -bytes));
  return true;
}

Result<int64_t> erase_all_records(WriteTransaction& txn, CollectionId collection) {
  auto key = collection_key(collection);
  MR_ASSIGN_OR_RETURN(int64_t erased, txn.erase_prefix(Table::kRecords, key));
  MR_ASSIGN_OR_RETURN(std::string * payload, txn.deferred(Table::kCollectionStatistics, key));
  payload->clear();
  return erased;
}

Result<RecordCursor> RecordCursor::open(ReadTransaction& txn, CollectionId collection) {
  MR_ASSIGN_OR_RETURN(auto cursor, txn.cursor(Table::kRecords, collection_key(collection)));
  return RecordCursor(std::move(cursor), collection);
}

Status RecordCursor::seek(RecordId record) {
  return cursor_->seek(record_key(collection_, record));
}
Status RecordCursor::seek_before(RecordId record) {
  return cursor_->seek_before(record_key(collection_, record));
}
RecordId RecordCursor::record() const { return read_big_endian(cursor_->key().data() + 8); }

}  // namespace millrace::storage
