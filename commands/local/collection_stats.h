// Sizes of collections and databases, as collStats, dbStats and $collStats show them.
#pragma once

#include "commands/local/catalog.h"
#include "commands/local/local_database.h"

namespace millrace::commands {

struct CollectionSize {
  int64_t records = 0;
  int64_t bytes = 0;          // of the documents' BSON
  int64_t storage_bytes = 0;  // the same in whole pages
  // Entries are counted, not measured: about what an entry of this store takes.
  std::vector<std::pair<std::string, int64_t>> index_bytes;
  int64_t total_index_bytes() const;
};

// A collection that does not exist has the size of an empty one without indexes.
engine::Result<CollectionSize> measure(storage::ReadTransaction& txn, const Collection* collection);

// size, count, avgObjSize, storageSize, … into the open document.
void append_storage_stats(const Collection* collection, const CollectionSize& size, int64_t scale,
                          engine::BsonWriter& to);

// The name of this machine, and with the port, as MongoDB shows it.
std::string host_name();

}  // namespace millrace::commands
