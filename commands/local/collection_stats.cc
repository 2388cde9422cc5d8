#include "commands/local/collection_stats.h"

#include <unistd.h>

namespace millrace::commands {

using engine::BsonWriter;
using engine::Result;
using engine::Value;

namespace {

constexpr int64_t kPageBytes = 4096;
constexpr int64_t kBytesPerEntry =
    48;  // key, record id and LMDB's node header of an ordinary entry

int64_t whole_pages(int64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

}  // namespace

int64_t CollectionSize::total_index_bytes() const {
  int64_t total = 0;
  for (const auto& [name, bytes] : index_bytes) total += bytes;
  return total;
}

Result<CollectionSize> measure(storage::ReadTransaction& txn, const Collection* collection) {
  CollectionSize size;
  if (collection == nullptr || collection->view) return size;
  MR_ASSIGN_OR_RETURN(auto statistics, storage::collection_statistics(txn, collection->id));
  size.records = statistics.records;
  size.bytes = statistics.bytes;
  size.storage_bytes = whole_pages(std::max<int64_t>(statistics.bytes, 1));
  for (const auto& index : collection->indexes) {
    size.index_bytes.emplace_back(
        index.name, whole_pages(std::max<int64_t>(
                        index.has_entries ? statistics.records * kBytesPerEntry : 0, 1)));
  }
  return size;
}

void append_storage_stats(const Collection* collection, const CollectionSize& size, int64_t scale,
                          BsonWriter& to) {
  auto scaled = [scale](int64_t bytes) { return Value::integer(bytes / scale); };
  to.append("size", scaled(size.bytes));
  to.append("count", Value::integer(size.records));
  if (size.records > 0) to.append("avgObjSize", Value::integer(size.bytes / size.records));
  to.append("numOrphanDocs", int32_t{0});
  to.append("storageSize", scaled(size.storage_bytes));
  to.append("freeStorageSize", int32_t{0});
  if (collection != nullptr) {
    to.append("capped", collection->capped());
    if (collection->capped()) {
      to.append("max", collection->options.get("max").is_missing()
                           ? Value::int32(0)
                           : collection->options.get("max"));
      to.append("maxSize", collection->options.get("size"));
    }
  }
  to.append("nindexes", static_cast<int32_t>(size.index_bytes.size()));
  to.begin_object("indexDetails"), to.end();
  to.begin_array("indexBuilds"), to.end();
  to.append("totalIndexSize", scaled(size.total_index_bytes()));
  to.begin_object("indexSizes");
  for (const auto& [name, bytes] : size.index_bytes) to.append(name, scaled(bytes));
  to.end();
  to.append("totalSize", scaled(size.storage_bytes + size.total_index_bytes()));
  to.append("scaleFactor", Value::integer(scale));
}

std::string host_name() {
  char name[256] = "localhost";
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace millrace::commands
