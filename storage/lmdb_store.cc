#include "storage/lmdb_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "storage/io_error.h"
#include "storage/lmdb_transaction.h"

namespace millrace::storage {
namespace {

constexpr unsigned kMaxReaders = 1024;
thread_local int transactions_of_this_thread = 0;

unsigned sync_flags(Sync sync) {
  switch (sync) {
    case Sync::kNoMetaSync:
      return MDB_NOMETASYNC;
    case Sync::kNever:
      return MDB_NOSYNC;
    default:
      return 0;
  }
}

// LMDB reports a write that stopped half-way, as on a full disk, as EIO. This finds the cause: the
// errno of making the file longer, which it undoes; 0 if that works. Requires: no environment has
// the file open.
int try_to_extend(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  struct stat info;
  if (!fd.valid() || fstat(fd.get(), &info) != 0) return errno;
  std::string zeros(size_t{1} << 20, '\0');
  int cause = 0;
  for (size_t written = 0; written < zeros.size() && cause == 0;) {
    ssize_t n = pwrite(fd.get(), zeros.data(), zeros.size() - written,
                       info.st_size + static_cast<off_t>(written));
    if (n > 0) written += static_cast<size_t>(n);
    if (n <= 0 && errno != EINTR) cause = n < 0 ? errno : ENOSPC;
  }
  if (ftruncate(fd.get(), info.st_size) != 0 && cause == 0) cause = errno;
  return cause;
}

}  // namespace

// ---- gate

void TransactionGate::enter() {
  std::unique_lock lock(mutex_);
  if (transactions_of_this_thread == 0) changed_.wait(lock, [&] { return !closed_; });
  ++inside_;
  ++transactions_of_this_thread;
}

void TransactionGate::leave() {
  std::lock_guard lock(mutex_);
  --inside_;
  --transactions_of_this_thread;
  if (closed_ && inside_ == 0) changed_.notify_all();
}

void TransactionGate::close() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !closed_; });  // another one who changes the mapping
  closed_ = true;
  changed_.wait(lock, [&] { return inside_ == 0; });
}

void TransactionGate::reopen() {
  std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

bool TransactionGate::this_thread_is_inside() { return transactions_of_this_thread > 0; }

// ---- environment

Result<std::unique_ptr<LmdbEnvironment>> LmdbEnvironment::open(const std::string& path,
                                                               const Options& options) {
  std::unique_ptr<LmdbEnvironment> environment(new LmdbEnvironment(path));
  int rc = mdb_env_create(&environment->env_);
  if (rc != 0) return io_error(rc, "opening " + path);
  MDB_env* env = environment->env_;
  mdb_env_set_maxdbs(env, kTableCount);
  mdb_env_set_maxreaders(env, kMaxReaders);
  rc = mdb_env_set_mapsize(env, options.map_bytes);
  // MDB_NOTLS: a thread may have several read transactions. MDB_NORDAHEAD: access is by key, and
  // the file may be larger than memory.
  if (rc == 0) {
    rc = mdb_env_open(env, path.c_str(),
                      MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | sync_flags(options.sync), 0600);
  }
  if (rc != 0) return io_error(rc, "opening " + path);
  MR_RETURN_IF_ERROR(environment->open_tables());
  return environment;
}

Status LmdbEnvironment::open_tables() {
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (rc != 0) return io_error(rc, "opening " + path_);
  for (const auto& row : kTables) {
    rc = mdb_dbi_open(txn, row.name, MDB_CREATE, &tables_[table_index(row.table)]);
    if (rc != 0) {
      mdb_txn_abort(txn);
      return io_error(rc, "opening " + path_);
    }
  }
  rc = mdb_txn_commit(txn);
  return rc == 0 ? Status() : io_error(rc, "opening " + path_);
}

LmdbEnvironment::~LmdbEnvironment() {
  if (env_) mdb_env_close(env_);
}

Status LmdbEnvironment::sync() {
  int rc = mdb_env_sync(env_, 1);
  return rc == 0 ? Status() : io_error(rc, "writing " + path_);
}

Status LmdbEnvironment::grow(size_t most) {
  size_t now = map_bytes();
  if (now >= most) {
    return {ErrorCode::kOutOfDiskSpace,
            fmt::format(
                "the store {} is full: it may grow to {} MB and has. Delete something, or allow "
                "it more",
                path_, most >> 20)};
  }
  int rc = mdb_env_set_mapsize(env_, std::min(now * 2, most));
  return rc == 0 ? Status() : io_error(rc, "growing " + path_);
}

size_t LmdbEnvironment::map_bytes() const {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  return info.me_mapsize;
}

uint64_t LmdbEnvironment::last_transaction() const {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  return info.me_last_txnid;
}

LmdbMeta LmdbEnvironment::meta_of(uint64_t transaction) const {
  mdb_filehandle_t fd = -1;
  MDB_stat stat{};
  LmdbMeta meta{};
  if (mdb_env_get_fd(env_, &fd) != 0 || mdb_env_stat(env_, &stat) != 0) return {};
  // LMDB writes odd transactions to page 1, even ones to page 0.
  off_t at = static_cast<off_t>(transaction % 2 * stat.ms_psize + kPageHeaderBytes);
  if (pread(fd, &meta, sizeof(meta), at) != sizeof(meta) || meta.transaction != transaction)
    return {};
  return meta;
}

// ---- store

WriteOutcome write_once(const LmdbEnvironment& environment,
                        const std::function<Status(WriteTransaction&)>& work) {
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(environment.get(), nullptr, 0, &txn);
  if (rc != 0) return {io_error(rc, "writing " + environment.path()), rc, 0};
  LmdbWriteTransaction transaction(environment, txn);
  auto status = work(transaction);
  if (status.ok()) status = transaction.commit();
  bool committed = status.ok() && transaction.changed();
  return {std::move(status), transaction.failure(), committed ? transaction.number() : 0};
}

LmdbStore::~LmdbStore() {
  gate_.close();
  if (!parts_.environment) return;  // a restart failed: not a clean end
  // With Sync::kNever the disk may be behind for a while: the next start of a large store had
  // better look at it.
  bool synced = parts_.options.sync != Sync::kNever && parts_.environment->sync().ok();
  auto meta = parts_.environment->meta_of(parts_.environment->last_transaction());
  parts_.environment.reset();
  auto stamp = stamp_file(parts_.files.database());
  if (!stamp.ok() || !stamp->has_value()) return;
  // If this fails, the next start checks the whole file: nothing else depends on it.
  (void)parts_.state->write({synced, 0, **stamp, parts_.identity.workspace_id, meta}, synced);
}

Result<std::unique_ptr<ReadTransaction>> LmdbStore::read() {
  gate_.enter();
  MDB_txn* txn = nullptr;
  int rc = parts_.environment ? mdb_txn_begin(parts_.environment->get(), nullptr, MDB_RDONLY, &txn)
                              : MDB_PANIC;
  if (rc != 0) {
    gate_.leave();
    return io_error(rc, "reading " + parts_.files.database());
  }
  return std::unique_ptr<ReadTransaction>(
      std::make_unique<LmdbReadTransaction>(*parts_.environment, txn, gate_));
}

WriteOutcome LmdbStore::attempt(const std::function<Status(WriteTransaction&)>& work) {
  struct Entered {
    TransactionGate& gate;
    ~Entered() { gate.leave(); }
  };
  gate_.enter();
  Entered entered{gate_};
  if (!parts_.environment)
    return {io_error(MDB_PANIC, "writing " + parts_.files.database()), MDB_PANIC, 0};
  return write_once(*parts_.environment, work);
}

Status LmdbStore::write(const std::function<Status(WriteTransaction&)>& work) {
  if (TransactionGate::this_thread_is_inside()) {
    return {ErrorCode::kInternalError,
            "a thread that has a transaction open must not begin to write"};
  }
  while (true) {
    size_t map_bytes_before = map_bytes();
    auto result = attempt(work);
    if (result.failure == MDB_MAP_FULL || result.failure == MDB_MAP_RESIZED) {
      MR_RETURN_IF_ERROR(grow(map_bytes_before));
      continue;
    }
    // After a failed write of a meta page LMDB refuses everything until it is opened anew.
    if (result.failure == MDB_PANIC || result.failure == EIO) {
      int cause = restart();
      if (cause != 0 && !result.status.ok())
        result.status = io_error(cause, "writing " + parts_.files.database());
    }
    if (result.transaction != 0) note_commit(result.transaction);
    return std::move(result.status);
  }
}

// Doubles the map unless another thread has done so since `seen_bytes` was read.
Status LmdbStore::grow(size_t seen_bytes) {
  gate_.close();
  Status status;
  if (!parts_.environment) {
    status = io_error(MDB_PANIC, "writing " + parts_.files.database());
  } else if (parts_.environment->map_bytes() <= seen_bytes) {
    status = parts_.environment->grow(parts_.options.map_bytes_max);
  }
  gate_.reopen();
  return status;
}

// Returns why the file cannot be written (an errno), 0 if it can.
int LmdbStore::restart() {
  gate_.close();
  size_t map_bytes = parts_.options.map_bytes;
  if (parts_.environment) map_bytes = parts_.environment->map_bytes();
  parts_.environment.reset();
  int cause = try_to_extend(parts_.files.database());
  auto opened = LmdbEnvironment::open(parts_.files.database(), {map_bytes, parts_.options.sync});
  if (opened.ok()) parts_.environment = std::move(opened).value();
  gate_.reopen();
  return cause;
}

// Without it, a database file of an earlier day put in the place of this one would be believed. Not
// waited for: after a loss of power the note may be older than the file, never younger, because the
// commit has reached the disk before. With the weaker Sync options that would not hold, so there it
// is written at the end only.
void LmdbStore::note_commit(uint64_t transaction) {
  if (parts_.options.sync != Sync::kEveryCommit) {
    parts_.state->remember(transaction);
    return;
  }
  LmdbMeta meta{};
  gate_.enter();
  if (parts_.environment) meta = parts_.environment->meta_of(transaction);
  gate_.leave();
  // The change itself is stored: that the note of it fails is no failure of it.
  (void)parts_.state->write({false, transaction, {}, parts_.identity.workspace_id, meta}, false);
}

size_t LmdbStore::map_bytes() const {
  gate_.enter();
  size_t bytes = parts_.environment ? parts_.environment->map_bytes() : 0;
  gate_.leave();
  return bytes;
}

StoreSize LmdbStore::size() const {
  gate_.enter();
  StoreSize size;
  if (parts_.environment) {
    MDB_envinfo info{};
    MDB_stat stat{};
    mdb_env_info(parts_.environment->get(), &info);
    mdb_env_stat(parts_.environment->get(), &stat);
    size.map_bytes = info.me_mapsize;
    size.used_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
  }
  gate_.leave();
  if (auto stamp = stamp_file(parts_.files.database()); stamp.ok() && stamp->has_value())
    size.file_bytes = (*stamp)->bytes;
  return size;
}

}  // namespace millrace::storage
