// A stream processor on virtual time: one thread, stand-ins for the outside world, a store in
// memory. It is the real ProcessorCore that runs.
#pragma once

#include <memory>

#include "engine/connection/registry.h"
#include "engine/document/clock.h"
#include "engine/runtime/processor_core.h"
#include "engine/runtime/stand_ins.h"
#include "engine/testing/capture.h"
#include "engine/testing/case_file.h"
#include "engine/testing/memory_store.h"
#include "engine/testing/timed_source.h"

namespace millrace::engine {

class TestedProcessor final : private StandIns {
 public:
  // `batch_limit`: records that are processed together. With `restart_after_batches` it is stopped
  // and started again, from its checkpoint, behind each batch of input.
  TestedProcessor(const TestCase& test, size_t batch_limit, bool restart_after_batches);
  ~TestedProcessor() override;

  // Puts the stand-ins for the connections in place. Errors: 2 BadValue, a mistake of the case.
  Status connect();
  // Errors: what the command would answer with.
  Status start(bool resume);
  // With a checkpoint. Nothing when it does not run.
  void stop();
  // Requires: stopped. Errors: what the command would answer with; then all is as it was.
  Status modify(const CaseStep& step);

  void arrive(const TestEvent& event) { input_.arrive(event); }
  // Works until there is nothing left to do at this moment.
  void settle();
  // Moves the clock, stopping wherever the processor has something to do.
  void advance_to(int64_t ms);
  bool running() const { return core_ != nullptr; }
  int64_t now_ms() const { return clock_.now_ms(); }

  // Why it failed while it ran; ok if it did not.
  const Status& failure() const { return failure_; }
  Captured& captured() { return captured_; }
  // {inputMessageCount, …, stateSize, watermark, state, minOpenWindowStartTime, …}.
  Document stats() const;
  // What the open windows would give if the input ended now. Ends the run.
  std::vector<Document> finish_windows();

 private:
  SourcePtr source(const SourceContext& context, const Source& real) override;
  std::unique_ptr<SinkWriter> sink_writer(std::string_view stage, const Connection* connection,
                                          const SinkWriter& real) override;

  RunEnvironment environment();
  ProcessorDefinition with_dead_letters(const ProcessorDefinition& definition) const;
  Status check_definition(const ProcessorDefinition& definition);
  bool step_all();
  void note_end();
  void end_run();
  Document encode_stats(std::string_view state) const;

  const TestCase& test_;
  const size_t batch_limit_;
  const bool restart_after_batches_;
  ManualClock clock_;
  MemoryStore store_;
  ConnectionRegistry connections_;
  Captured captured_;
  CapturingClusters clusters_;
  TestInput input_;
  ProcessorDefinition definition_;
  std::unique_ptr<ProcessorCore> core_;
  bool source_done_ = false;
  ProcessorCounters counters_;  // of the runs that have ended
  Document last_stats_;
  Status failure_;
};

}  // namespace millrace::engine
