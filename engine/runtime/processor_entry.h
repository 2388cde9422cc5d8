// One processor of a ProcessorManager; for its files only.
#pragma once

#include "engine/runtime/processor_manager.h"

namespace millrace::engine {

// One processor. `mutex` serialises what is done to it and is held while it starts and stops;
// `view` guards what others read meanwhile.
struct ProcessorManager::Entry {
  std::mutex mutex;

  mutable std::mutex view;
  ProcessorDefinition definition;
  ProcessorCounters base;             // of the runs before the current one
  std::shared_ptr<ProcessorRun> run;  // null when it does not run
  std::optional<RunStats> last_run;
  Document last_source_stats;
  bool temporary = false;
  bool start_wanted = false;  // after a restart of the server
  int start_attempts = 0;
  int64_t next_attempt_ns = 0;
  int internal_failures = 0;  // in a row
  int64_t started_ns = 0;     // the current run
  bool dropped = false;

  // Of a temporary one.
  TemporaryOwner owner;
  SampleCursorPtr cursor;
  int64_t counters_saved_ns = 0;
};

// How Atlas words it: the cause with its name before and behind.
inline Status failed_start(const Status& cause) {
  std::string name = code_name(cause.code());
  return Status(cause.code(), "Failed to start stream processor: (" + name + ") " +
                                  cause.message() + ": (" + name + ")");
}

}  // namespace millrace::engine
