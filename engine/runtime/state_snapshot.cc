#include "engine/runtime/state_snapshot.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::engine {
namespace {

constexpr int kLost = -1;  // the status of a child that somebody else has waited for

// It cannot follow fork() in a program with threads.
#if defined(__SANITIZE_THREAD__)
constexpr bool kUnderThreadSanitizer = true;
#else
constexpr bool kUnderThreadSanitizer = false;
#endif

// The file: for each document its name's length and its own (8 bytes each), name, document; then
// kEnd.
constexpr uint64_t kEnd = 0x4D494C4C52414345;

bool write_all(int file, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t written = ::write(file, at, std::min(size, size_t{1} << 30));
    if (written <= 0) return false;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

// In the child: one thread, a copy of everything. It touches nothing but memory and `file`.
[[noreturn]] void write_state(const Pipeline& pipeline, int file) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) signal(signal_number, SIG_IGN);
  // The parent's sockets and files must not outlive the parent here.
  constexpr int kOwnFile = 3;
  if (file != kOwnFile && dup2(file, kOwnFile) != kOwnFile) _exit(1);
  if (close_range(kOwnFile + 1, ~0U, 0) != 0) _exit(1);
  bool good = true;
  try {
    for (const auto& [name, document] : pipeline.save()) {
      uint64_t sizes[2] = {name.size(), document.bytes().size()};
      good = good && write_all(kOwnFile, sizes, sizeof sizes) &&
             write_all(kOwnFile, name.data(), name.size()) &&
             write_all(kOwnFile, document.bytes().data(), document.bytes().size());
    }
    good = good && write_all(kOwnFile, &kEnd, sizeof kEnd);
  } catch (...) {
    good = false;
  }
  _exit(good ? 0 : 1);
}

}  // namespace

Result<std::unique_ptr<StateSnapshot>> StateSnapshot::start(const Pipeline& pipeline) {
  Status failed(ErrorCode::kInternalError, "no child process for a checkpoint can be made");
  if (kUnderThreadSanitizer) return failed;
  int file = memfd_create("millrace-checkpoint", MFD_CLOEXEC);
  if (file < 0) return failed;
  pid_t child = fork();
  if (child == 0) write_state(pipeline, file);
  if (child < 0) {
    close(file);
    return failed;
  }
  return std::unique_ptr<StateSnapshot>(new StateSnapshot(child, file));
}

StateSnapshot::~StateSnapshot() {
  if (child_ != 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  if (data_ != nullptr) munmap(data_, size_);
  close(file_);
}

void StateSnapshot::reap(int status) {
  child_ = 0;
  good_ = WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool StateSnapshot::finished() {
  if (child_ == 0) return true;
  int status = 0;
  pid_t ended = waitpid(child_, &status, WNOHANG);
  if (ended != 0) reap(ended == child_ ? status : kLost);
  return child_ == 0;
}

Result<std::vector<std::pair<std::string_view, std::string_view>>> StateSnapshot::take() {
  Status failed(ErrorCode::kInternalError, "the child process that saves a checkpoint failed");
  int status = 0;
  if (child_ != 0) {
    pid_t ended;
    do {
      ended = waitpid(child_, &status, 0);
    } while (ended < 0 && errno == EINTR);
    reap(ended == child_ ? status : kLost);
  }
  struct stat info;
  if (!good_ || fstat(file_, &info) != 0) return failed;
  if (data_ == nullptr) {
    size_ = static_cast<size_t>(info.st_size);
    void* mapped = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_, 0);
    if (mapped == MAP_FAILED) return failed;
    data_ = static_cast<char*>(mapped);
  }

  std::vector<std::pair<std::string_view, std::string_view>> state;
  size_t at = 0;
  while (size_ - at >= 2 * sizeof(uint64_t)) {
    uint64_t sizes[2];
    std::memcpy(sizes, data_ + at, sizeof sizes);
    at += sizeof sizes;
    if (sizes[0] > size_ - at || sizes[1] > size_ - at - sizes[0]) return failed;
    state.emplace_back(std::string_view(data_ + at, sizes[0]),
                       std::string_view(data_ + at + sizes[0], sizes[1]));
    at += sizes[0] + sizes[1];
  }
  uint64_t end = 0;
  if (size_ - at != sizeof end) return failed;
  std::memcpy(&end, data_ + at, sizeof end);
  return end == kEnd ? Result<decltype(state)>(std::move(state)) : failed;
}

}  // namespace millrace::engine
