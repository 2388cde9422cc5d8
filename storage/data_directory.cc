#include "storage/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "storage/io_error.h"

namespace millrace::storage {

using engine::ErrorCode;
using engine::Result;
using engine::Status;

namespace {

constexpr char kStateMagic[9] = "MILLSTAT";
constexpr uint32_t kStateVersion = 2;

struct StateBytes {
  char magic[8];
  uint32_t version;
  uint32_t clean;
  uint64_t last_transaction;
  uint64_t file_bytes;
  int64_t modified_ns;
  char workspace_id[24];
  LmdbMeta meta;
  uint64_t checksum;
};
static_assert(sizeof(StateBytes) == 208);

uint64_t checksum_of(const StateBytes& bytes) {
  return XXH3_64bits(&bytes, offsetof(StateBytes, checksum));
}

std::string read_text(int fd) {
  char text[64];
  ssize_t n = pread(fd, text, sizeof(text), 0);
  return n > 0 ? std::string(text, n) : std::string();
}

Status in_use_error(const DataFiles& files, const std::string& pid) {
  return {ErrorCode::kDbPathInUse,
          fmt::format("the data directory {} is in use by another Millrace{}: stop that one, or "
                      "give this one another --data-dir",
                      files.directory, pid.empty() ? "" : fmt::format(" (process {})", pid))};
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int FileDescriptor::release() { return std::exchange(fd_, -1); }

Result<std::optional<FileStamp>> stamp_file(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::optional<FileStamp>();
    return io_error(errno, "looking at " + path);
  }
  if (!S_ISREG(info.st_mode))
    return Status(ErrorCode::kUnsupportedFormat, path + " is not an ordinary file");
  return std::optional(
      FileStamp{static_cast<uint64_t>(info.st_size),
                info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec});
}

std::optional<ShutdownState> StateFile::read(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  StateBytes bytes;
  if (!fd.valid() || pread(fd.get(), &bytes, sizeof(bytes), 0) != sizeof(bytes))
    return std::nullopt;
  if (std::memcmp(bytes.magic, kStateMagic, 8) != 0 || bytes.version != kStateVersion ||
      bytes.checksum != checksum_of(bytes)) {
    return std::nullopt;
  }
  return ShutdownState{bytes.clean == 1,
                       bytes.last_transaction,
                       {bytes.file_bytes, bytes.modified_ns},
                       std::string(bytes.workspace_id, sizeof(bytes.workspace_id)),
                       bytes.meta};
}

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return io_error(errno, "opening " + path);
  return std::unique_ptr<StateFile>(new StateFile(std::move(fd)));
}

Status StateFile::write(const ShutdownState& state, bool wait_for_disk) {
  std::lock_guard lock(mutex_);
  last_transaction_ = std::max(last_transaction_, state.last_transaction);
  if (state.meta.transaction > meta_.transaction) meta_ = state.meta;
  StateBytes bytes{};
  std::memcpy(bytes.magic, kStateMagic, 8);
  bytes.version = kStateVersion;
  bytes.clean = state.clean;
  bytes.last_transaction = last_transaction_;
  bytes.file_bytes = state.stamp.bytes;
  bytes.modified_ns = state.stamp.modified_ns;
  std::memcpy(bytes.workspace_id, state.workspace_id.data(),
              std::min(state.workspace_id.size(), sizeof(bytes.workspace_id)));
  bytes.meta = meta_;
  bytes.checksum = checksum_of(bytes);
  ssize_t written = pwrite(fd_.get(), &bytes, sizeof(bytes), 0);
  if (written != sizeof(bytes))
    return io_error(written < 0 ? errno : ENOSPC, "writing millrace.state");
  if (wait_for_disk && fdatasync(fd_.get()) != 0) return io_error(errno, "writing millrace.state");
  return {};
}

void StateFile::remember(uint64_t last_transaction) {
  std::lock_guard lock(mutex_);
  last_transaction_ = std::max(last_transaction_, last_transaction);
}

Result<FileDescriptor> lock_data_directory(const DataFiles& files) {
  if (mkdir(files.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return io_error(errno, "making the data directory " + files.directory);
  }
  FileDescriptor fd(::open(files.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return io_error(errno, "opening " + files.lock());
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_error(errno, "locking " + files.lock());
    auto pid = read_text(fd.get());
    return in_use_error(files, pid.substr(0, pid.find('\n')));
  }
  auto pid = fmt::format("{}\n", getpid());
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return io_error(errno, "writing " + files.lock());
  }
  return fd;
}

Status sync_directory(const std::string& directory) {
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return io_error(errno, "syncing " + directory);
  return {};
}

}  // namespace millrace::storage
