// A pipeline's state as it is at one moment, written out by a forked child while the pipeline goes
// on: the kernel's copy on write keeps the moment, whatever kinds of state the operators hold, and
// the pipeline pauses only for fork() itself (about 10 ms per GB).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/document/status.h"
#include "engine/runtime/pipeline.h"

namespace millrace::engine {

// Made on the pipeline's thread, then handed to another; one user at a time.
class StateSnapshot {
 public:
  // Errors: no child could be made; save() has to do then.
  static Result<std::unique_ptr<StateSnapshot>> start(const Pipeline& pipeline);
  ~StateSnapshot();  // ends the child if it is still at work
  StateSnapshot(const StateSnapshot&) = delete;
  StateSnapshot& operator=(const StateSnapshot&) = delete;

  // True once the child has ended.
  bool finished();
  // Waits for the child; may be called again. The names and documents that Pipeline::save() would
  // have given; they live as long as this. Errors: the child failed.
  Result<std::vector<std::pair<std::string_view, std::string_view>>> take();

 private:
  StateSnapshot(pid_t child, int file) : child_(child), file_(file) {}
  void reap(int status);

  pid_t child_;  // 0 once it has ended
  int file_;     // anonymous memory that the child writes to
  bool good_ = false;
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace millrace::engine
