// The files beside the database: who has the data directory open, and how the last one left it.
//
//   millrace.mdb        the database (LMDB)                 millrace.mdb-lock   LMDB's reader table
//   millrace.lock       flock'ed while open; text: the pid  millrace.state      ShutdownState,
//   below millrace.mdb.new    a database that is being made       millrace.mdb.damaged-<time>  kept
//   after a salvage
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/document/status.h"
#include "storage/lmdb_pages.h"

namespace millrace::storage {

struct DataFiles {
  explicit DataFiles(std::string dir) : directory(std::move(dir)) {}
  std::string directory;
  std::string database() const { return directory + "/millrace.mdb"; }
  std::string new_database() const { return directory + "/millrace.mdb.new"; }
  std::string lock() const { return directory + "/millrace.lock"; }
  std::string state() const { return directory + "/millrace.state"; }
};

// A file descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release();

 private:
  int fd_ = -1;
};

// What the file system says of the database; changes when anything else touches it.
struct FileStamp {
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};
// None if there is no such file. Errors: as io_error.
engine::Result<std::optional<FileStamp>> stamp_file(const std::string& path);

// 208 bytes: "MILLSTAT" version (4) clean (4) last transaction (8) file bytes (8) modified (8)
// workspace id (24) meta (136) XXH3-64 (8). Written at every commit without waiting for the disk
// (it survives kill -9), so that a database file which is older than the last commit (an old copy
// put back, a damaged meta page) is noticed; and at a clean shutdown.
struct ShutdownState {
  bool clean = false;
  uint64_t last_transaction = 0;
  FileStamp stamp;  // when clean
  std::string workspace_id;
  // What the meta page of that commit says, should the page itself be lost; all zero if not known.
  LmdbMeta meta{};
};

class StateFile {
 public:
  // None if there is none or it is not whole.
  static std::optional<ShutdownState> read(const std::string& path);
  static engine::Result<std::unique_ptr<StateFile>> open(const std::string& path);
  // Any thread. The last transaction that is written is the highest that was given or remembered,
  // the meta the one with the highest transaction.
  // `wait_for_disk` for the clean one.
  engine::Status write(const ShutdownState& state, bool wait_for_disk);
  void remember(uint64_t last_transaction);

 private:
  explicit StateFile(FileDescriptor fd) : fd_(std::move(fd)) {}
  std::mutex mutex_;
  FileDescriptor fd_;
  uint64_t last_transaction_ = 0;
  LmdbMeta meta_{};
};

// Makes the directory if needed (mode 0700; its parent must exist) and takes the lock. It is held
// while the descriptor is open. Errors: 98 DBPathInUse naming the pid, 13, 14031, 8.
engine::Result<FileDescriptor> lock_data_directory(const DataFiles& files);

// Makes a rename in `directory` survive the loss of power.
engine::Status sync_directory(const std::string& directory);

}  // namespace millrace::storage
