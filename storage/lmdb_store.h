// The store on LMDB: one environment of one file, one LMDB database per Table. Opening, checking
// and salvaging: open_store.cc.
#pragma once

#include <lmdb.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/data_directory.h"
#include "storage/lmdb_pages.h"
#include "storage/record_envelope.h"
#include "storage/store.h"

namespace millrace::storage {

// LMDB may change its mapping (grow, reopen) only while this process has no transaction.
// Transactions enter and leave; whoever changes the mapping waits until all have left and keeps new
// ones waiting meanwhile. (std::shared_mutex would let a steady stream of readers starve it.) A
// thread that is inside already is let in again, or it would wait for itself.
class TransactionGate {
 public:
  void enter();
  void leave();
  void close();  // Requires: the calling thread is not inside
  void reopen();
  static bool this_thread_is_inside();  // of any store's gate

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool closed_ = false;
};

// An open environment. Not thread-safe by itself: LmdbStore's gate guards it.
class LmdbEnvironment {
 public:
  struct Options {
    size_t map_bytes;
    Sync sync;
  };
  // Opens (creating if there is none) with all tables. Errors: as io_error.
  static Result<std::unique_ptr<LmdbEnvironment>> open(const std::string& path,
                                                       const Options& options);
  ~LmdbEnvironment();

  // Until everything is on the disk, whatever the Sync option.
  Status sync();
  // Doubles the map, to `most` at most. Requires: no transaction is open. Errors: 14031 when it
  // cannot.
  Status grow(size_t most);
  size_t map_bytes() const;
  uint64_t last_transaction() const;
  // The meta page of this transaction; all zero once later ones have taken its place.
  LmdbMeta meta_of(uint64_t transaction) const;
  MDB_env* get() const { return env_; }
  MDB_dbi table(Table table) const { return tables_[table_index(table)]; }
  const std::string& path() const { return path_; }

 private:
  explicit LmdbEnvironment(std::string path) : path_(std::move(path)) {}
  Status open_tables();

  std::string path_;
  MDB_env* env_ = nullptr;
  std::array<MDB_dbi, kTableCount> tables_{};
};

struct WriteOutcome {
  Status status;
  int failure = 0;  // what LMDB answered, if something it answered was not expected
  uint64_t transaction =
      0;  // the number of what was committed; 0 if nothing was, or nothing changed
};
// Runs `work` in one write transaction.
WriteOutcome write_once(const LmdbEnvironment& environment,
                        const std::function<Status(WriteTransaction&)>& work);

class LmdbStore final : public Store {
 public:
  struct Parts {
    DataFiles files;
    OpenOptions options;
    FileDescriptor lock;
    std::unique_ptr<StateFile> state;
    std::unique_ptr<LmdbEnvironment> environment;
    Identity identity;
    std::vector<Damage> damage;
  };
  explicit LmdbStore(Parts parts) : parts_(std::move(parts)) {}
  ~LmdbStore() override;

  Result<std::unique_ptr<ReadTransaction>> read() override;
  Status write(const std::function<Status(WriteTransaction&)>& work) override;
  const Identity& identity() const override { return parts_.identity; }
  const std::vector<Damage>& damage() const override { return parts_.damage; }
  StoreSize size() const override;

 private:
  WriteOutcome attempt(const std::function<Status(WriteTransaction&)>& work);
  Status grow(size_t seen_bytes);
  int restart();
  void note_commit(uint64_t transaction);
  size_t map_bytes() const;

  Parts parts_;
  mutable TransactionGate gate_;
};

}  // namespace millrace::storage
