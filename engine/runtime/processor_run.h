// A running stream processor: ProcessorCore's three halves on a thread each, from start to stop or
// failure.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "engine/runtime/processor_core.h"

namespace millrace::engine {

class ProcessorRun {
 public:
  // Builds the pipeline, takes up the last checkpoint, opens sink, dead letter queue and source,
  // and starts the threads. What goes wrong until then is the answer of the start command.
  static Result<std::unique_ptr<ProcessorRun>> start(RunOptions options,
                                                     RunEnvironment environment);
  ~ProcessorRun();  // stops, without a checkpoint, if stop() was not called

  // Ends the run and waits for its threads. With `checkpoint`, the state is saved first (if the
  // sink can be reached).
  void stop(bool checkpoint);
  // Asks the threads to end and returns at once; stop() or the destructor waits.
  void request_stop();

  // True once the run has ended by itself: failed, or a temporary one has drained its input.
  bool ended() const { return core_.ended(); }
  // Why it failed; ok when it did not. Any thread.
  Status failure() const { return core_.failure(); }

  void add_sample(SampleCursorPtr cursor) { core_.add_sample(std::move(cursor)); }
  RunStats stats() const { return core_.stats(); }
  const ProcessorCounters& base_counters() const { return core_.base_counters(); }
  // Takes a checkpoint now and waits up to `timeout` for its commit (tests).
  bool checkpoint_now(std::chrono::milliseconds timeout);
  void add_source_stats(const RunStats& stats, BsonWriter& writer) const {
    core_.add_source_stats(stats, writer);
  }

 private:
  ProcessorRun(RunOptions options, RunEnvironment environment)
      : core_(std::move(options), std::move(environment)) {}

  void run_source();
  void run_pipeline();
  void finish_drained();
  void run_sink();

  ProcessorCore core_;
  std::thread source_thread_;
  std::thread pipeline_thread_;
  std::thread sink_thread_;
};

}  // namespace millrace::engine
