// What the rest of Millrace needs of its storage: named tables of checksummed records in one data
// directory, with atomic, durable write transactions and consistent read transactions. How it is
// done: lmdb_store.h. Every key and value: FORMAT.md. The kinds of records have their own files
// (processors.h, connections.h, checkpoints.h, stats.h, collections.h, index_entries.h); other code
// uses those.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/clock.h"
#include "engine/document/status.h"

namespace millrace::storage {

using engine::ErrorCode;
using engine::Result;
using engine::Status;

// One kind of record each. The numbers are stored in every record: never reuse one.
enum class Table : uint8_t {
  kMeta = 1,             // identity of the data directory, counters
  kProcessors = 2,       // definitions by name
  kConnections = 3,      // by name
  kCheckpoints = 4,      // commit records and blobs
  kCheckpointHeads = 5,  // newest sequence by processor, so that a vanished checkpoint is noticed
  kStats = 6,            // last counters by processor name
  kCatalog = 7,          // local collections by "db.collection"
  kRecords = 8,          // documents of local collections
  kIndexes = 9,          // index entries of local collections
  kCollectionStatistics = 10,  // number of documents and bytes per local collection
  kSummaries = 11,             // per table: count and sum of checksums; kept by the store itself
};

inline constexpr size_t kMaxKeyBytes = 511;                // LMDB's limit
inline constexpr size_t kMaxValueBytes = size_t{1} << 31;  // of one record

// Reads records in the order of their keys (bytes, memcmp), confined to the keys that start with
// the prefix it was made with. Lives at most as long as its transaction. In a write transaction,
// writing anything leaves it in place but ends the validity of key() and value(); call a seek again
// before going on. Errors of every move: 301 DataCorruptionDetected when the record now under the
// cursor is damaged (next() and previous() then go on past it), 12 UnsupportedFormat when it is of
// a newer version.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual Status first() = 0;
  virtual Status last() = 0;
  virtual Status seek(std::string_view key) = 0;         // the first key >= key
  virtual Status seek_before(std::string_view key) = 0;  // the last key < key
  virtual Status next() = 0;  // Requires: valid(), or a damaged record under the cursor
  virtual Status previous() = 0;
  virtual bool valid() const = 0;            // false past either end, and on a damaged record
  virtual std::string_view key() const = 0;  // whole key, with the prefix; of a damaged record too
  virtual std::string_view value() const = 0;  // payload
};

// A consistent view of everything as it was when it began. Stays on its thread; short (seconds):
// pages that it can see are not reused, and the store cannot grow while one is open. Views that it
// returns live until it ends, or, in a write transaction, until the next write.
class ReadTransaction {
 public:
  virtual ~ReadTransaction() = default;
  ReadTransaction() = default;
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

  // Errors: 301 DataCorruptionDetected, 12 UnsupportedFormat, both naming table and record.
  virtual Result<std::optional<std::string_view>> get(Table table, std::string_view key) = 0;
  virtual Result<std::unique_ptr<Cursor>> cursor(Table table, std::string_view prefix = {}) = 0;
};

// One at a time in the whole process. Made by Store::write.
class WriteTransaction : public ReadTransaction {
 public:
  // Inserts or replaces. Requires: 1 to kMaxKeyBytes bytes of key, at most kMaxValueBytes of value
  // (else 2 BadValue); neither is a view that this transaction returned (the write may move what it
  // shows).
  virtual Status put(Table table, std::string_view key, std::string_view value) = 0;
  // False, and nothing written, when the key is there already.
  virtual Result<bool> insert(Table table, std::string_view key, std::string_view value) = 0;
  // False when there was none.
  virtual Result<bool> erase(Table table, std::string_view key) = 0;
  // Number of records erased. An empty prefix erases all.
  virtual Result<int64_t> erase_prefix(Table table, std::string_view prefix) = 0;
  // The payload of a record that changes many times in one transaction (a counter): loaded once,
  // empty if there is none, and written back once when the transaction commits (erased if left
  // empty). get() and cursors do not see the change before. The pointer lives as long as the
  // transaction.
  virtual Result<std::string*> deferred(Table table, std::string_view key) = 0;
};

// Something that was found damaged at opening.
struct Damage {
  std::string table;    // "checkpoints"; "" when it is the file's own structure
  std::string record;   // readable name; "" when only the table is known
  std::string message;  // a sentence
};

enum class Sync {
  kEveryCommit,  // a commit that returned survives the loss of power
  kNoMetaSync,   // the last commit may be undone by the loss of power, never half
  kNever,        // survives the end of the process (kill -9), not of the machine: for tests and CI
};

enum class OnDamage {
  kRefuse,   // open fails with 301 and names what is damaged
  kSalvage,  // sound records are copied to a new file, the damaged file is kept beside it,
             // Store::damage() names what was lost
};

struct OpenOptions {
  size_t map_bytes = size_t{1} << 30;       // address space to begin with; grows by doubling
  size_t map_bytes_max = size_t{64} << 30;  // a store this full answers 14031 OutOfDiskSpace
  Sync sync = Sync::kEveryCommit;
  OnDamage on_damage = OnDamage::kSalvage;
  // After a clean shutdown a file up to this size is checked record by record all the same (about
  // 1 ms a MiB: a bit may rot without anybody touching the file); a larger one only if it was not
  // shut down cleanly or looks touched since.
  size_t always_check_bytes = size_t{256} << 20;
  const engine::Clock* clock = nullptr;  // for the creation time; nullptr: the system's
};

// Made once per data directory.
struct Identity {
  std::string workspace_id;  // 24 hex digits
  std::string project_id;    // 24 hex digits
  int64_t created_at_ms = 0;
};

struct StoreSize {
  uint64_t file_bytes = 0;  // on disk
  uint64_t used_bytes =
      0;  // up to the last page ever used; what was freed before it is used again first
  uint64_t map_bytes = 0;
};

// One open data directory. All functions from any thread. Outlives its transactions.
class Store {
 public:
  // Creates the directory (its parent must exist) or opens it: checks the file before anything of
  // it is believed. Errors: 98 DBPathInUse (another process, named by its pid, has it open), 12
  // UnsupportedFormat (made by a newer Millrace, or not a Millrace file), 301
  // DataCorruptionDetected, 13 Unauthorized (no permission), 14031 OutOfDiskSpace, 8 (any other I/O
  // error).
  static Result<std::unique_ptr<Store>> open(const std::string& data_dir,
                                             const OpenOptions& options = {});

  // Closes. With no error on the way, notes that the shutdown was clean. Requires: no transaction
  // open.
  virtual ~Store() = default;

  virtual Result<std::unique_ptr<ReadTransaction>> read() = 0;

  // Runs `work` in a write transaction and commits it when it returns ok, else undoes everything
  // and returns its error. Waits for other writers. `work` may run more than once (the store grew):
  // it must start from scratch each time. It must not call write(); and the calling thread must not
  // hold a ReadTransaction (1 InternalError). Errors: `work`'s own; 14031 OutOfDiskSpace and 8:
  // nothing was written, a later retry may succeed.
  virtual Status write(const std::function<Status(WriteTransaction&)>& work) = 0;

  virtual const Identity& identity() const = 0;
  virtual const std::vector<Damage>& damage() const = 0;  // found (and left behind) at opening
  virtual StoreSize size() const = 0;
};

}  // namespace millrace::storage
