// One run of a stream processor without its threads: three halves that hand work to each other
// through queues, each moved on by its caller one step at a time.
//
//   source half --SourceBatch--> pipeline half --OutputBatch, checkpoints--> sink half
//
// ProcessorRun gives each half a thread; the simulation moves all three on one. A checkpoint is a
// barrier in the output queue: the pipeline half takes the operators' state and the source's
// position between two batches and sends them behind the output they produced; the sink half,
// having flushed everything before the barrier, commits them to the store (promise G1: a position
// is never committed before its effects are safe).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/backoff.h"
#include "engine/runtime/bounded_queue.h"
#include "engine/runtime/counters.h"
#include "engine/runtime/definition.h"
#include "engine/runtime/pipeline.h"
#include "engine/runtime/replay_log.h"
#include "engine/runtime/sample.h"
#include "engine/runtime/state_snapshot.h"
#include "engine/sink/dead_letter_queue.h"

namespace millrace::storage {
class Store;
}

namespace millrace::engine {

struct RunSettings {
  std::chrono::milliseconds checkpoint_interval{10'000};
  int64_t memory_limit_bytes = int64_t{1} << 30;
  StreamMetadata metadata = StreamMetadata::kAuto;
  std::string workspace_name = "local";
  // How long a target or source that is out of reach is tried again before the processor fails
  // (Atlas: "a limited number of times within 5 minutes").
  std::chrono::milliseconds retry_first{200};
  std::chrono::milliseconds retry_longest{5'000};
  int retry_attempts = 8;
  // State from this size on is saved by a child process, so that the pipeline pauses only as long
  // as fork() takes. max(): never.
  int64_t fork_bytes = int64_t{4} << 20;
};

struct RunEnvironment {
  PipelineEnvironment pipeline;
  storage::Store* store = nullptr;  // null: no checkpoints (sp.process)
  RunSettings settings;
  bool single_threaded = false;  // all halves are stepped by one thread: nothing may wait
};

struct RunOptions {
  ProcessorDefinition definition;
  bool temporary = false;      // sp.process(): no checkpoints, sink optional, ends with its input
  bool resume = true;          // from the last checkpoint, if there is one
  Document start_position;     // of the start command, or {}
  SampleCursorPtr cursor;      // of a temporary one: attached before the first document
  ProcessorCounters counters;  // of the runs before; those of the checkpoint take their place
};

// Counters as of the last batch, for stats.
struct RunStats {
  PipelineStats pipeline;
  int64_t dlq_bytes = 0;
  int64_t state_bytes = 0;
  int64_t watermark_ms = kNoWatermark;
  Document processed_position;
  Document checkpoint_position;
  struct NamedOperator {
    std::string name;
    OperatorStats stats;
    int64_t state_bytes = 0;
    LatencySummary latency;
    Document extra;  // fields of its own
  };
  LatencySummary latency;  // from reading at the source to the end of the write at the sink
  std::vector<NamedOperator> operators;  // source first, sink last
};

class ProcessorCore {
 public:
  // What a step has done.
  enum class Step : uint8_t {
    kWorked,
    kIdle,     // there was nothing to do within the given time
    kWaiting,  // something out of reach is tried again later
    kDone,     // this half has ended
  };

  ProcessorCore(RunOptions options, RunEnvironment environment);
  ~ProcessorCore();
  ProcessorCore(const ProcessorCore&) = delete;
  ProcessorCore& operator=(const ProcessorCore&) = delete;

  // Builds the pipeline, takes up the last checkpoint, opens sink, dead letter queue and source.
  // Errors: what the start command answers with.
  Status prepare();
  // Once all halves are done (or were never stepped).
  void close();

  // One unit of work each; may wait up to `wait` for it. Each from one thread at a time.
  Step source_step(std::chrono::nanoseconds wait);
  Step pipeline_step(std::chrono::nanoseconds wait);
  Step sink_step(std::chrono::nanoseconds wait);
  // True while the half's output queue is so full that a step could wait for room.
  bool source_blocked() const { return input_.size() >= kInputCapacity; }
  bool pipeline_blocked() const { return output_.size() + kMessagesPerStep > kOutputCapacity; }

  // All from any thread.
  // No more input; with `checkpoint` the pipeline half's last step sends one.
  void request_stop(bool checkpoint);
  // No retries any more, and no flush at the end.
  void abort() { aborting_.store(true); }
  bool aborting() const { return aborting_.load(); }
  bool stopping() const { return stopping_.load(); }
  void close_output() { output_.close(); }
  bool sink_done() const { return sink_done_.load(); }
  // True once the run has ended by itself: failed, or a temporary one has drained its input.
  bool ended() const { return ended_.load(); }
  void set_ended() { ended_.store(true); }
  bool drained() const { return drained_.load(); }
  Status failure() const;
  void fail(Status status);

  void add_sample(SampleCursorPtr cursor);
  std::vector<SampleCursorPtr> current_samples();
  RunStats stats() const;
  // The counters of all runs before this one, as the restored checkpoint has them.
  const ProcessorCounters& base_counters() const { return options_.counters; }
  void add_source_stats(const RunStats& stats, BsonWriter& writer) const;
  void want_checkpoint();
  int64_t checkpoints_committed() const { return checkpoints_committed_.load(); }

  const RunOptions& options() const { return options_; }
  Pipeline& pipeline() { return *pipeline_; }
  // Of the pipeline half's thread, or when all halves are done.
  void publish_stats();

 private:
  struct Barrier {
    Pipeline::State state;                    // all of it, or
    std::unique_ptr<StateSnapshot> snapshot;  // being written by a child
    Document position;
    Document replay;  // see ReplayLog
    PipelineStats counters;
    int64_t letter_bytes = 0;  // of the dead letters among them
  };
  struct OutputMessage {  // one of the two; neither: the flush at the end
    std::unique_ptr<OutputBatch> batch;
    std::unique_ptr<Barrier> barrier;
  };
  class Letters;

  static constexpr size_t kInputCapacity = 4;
  static constexpr size_t kOutputCapacity = 16;
  static constexpr size_t kMessagesPerStep = 2;  // a batch and a barrier

  Status open_dead_letter_queue();
  Status restore_checkpoint(Document* open_at);
  Status restore_state(const Pipeline::State& state, const Document& replay, bool same_windows,
                       Document* open_at);
  Status keep_first_position();
  std::string window_fingerprint() const;
  void take_input(SourceBatch& batch);
  Step finish_pipeline();
  void send_barrier();
  void send_output(std::unique_ptr<OutputBatch> output);
  std::unique_ptr<OutputBatch> fresh_output();
  void recycle(std::unique_ptr<OutputBatch> output);
  bool samples_finished();
  Step finish_sink();
  Status handle(OutputMessage& message);
  void note_latency(const OutputBatch& batch, int64_t write_begin_ns);
  Status flush_sink();
  Status commit(Barrier& barrier);
  Status store_checkpoint(const Barrier& barrier);
  Document encode_details(const Barrier& barrier) const;
  static bool retryable(const Status& status);

  RunOptions options_;
  RunEnvironment environment_;
  std::unique_ptr<Pipeline> pipeline_;
  std::string windows_;  // window_fingerprint()
  std::unique_ptr<DeadLetterQueue> dlq_;
  std::unique_ptr<Letters> letters_;

  BoundedQueue<std::unique_ptr<SourceBatch>> input_{kInputCapacity};
  BoundedQueue<std::unique_ptr<SourceBatch>> spare_input_{kInputCapacity * 2};
  BoundedQueue<OutputMessage> output_;  // without limit when one thread steps both its ends

  std::atomic<bool> stopping_{false};  // no more input
  std::atomic<bool> checkpoint_on_stop_{false};
  std::atomic<bool> aborting_{false};
  std::atomic<bool> ended_{false};
  std::atomic<bool> drained_{false};
  std::atomic<bool> checkpoint_wanted_{false};
  std::atomic<bool> snapshot_in_flight_{false};  // one at a time
  std::atomic<bool> snapshot_failed_{false};     // the next checkpoint is made without a child
  std::atomic<int64_t> checkpoints_committed_{0};
  std::atomic<bool> sink_done_{false};
  std::atomic<size_t> sample_count_{0};

  mutable std::mutex mutex_;  // guards what follows
  Status failure_;
  RunStats stats_;
  std::vector<SampleCursorPtr> samples_;
  LatencyMeter latency_;
  LatencyMeter sink_latency_;

  std::mutex spare_mutex_;  // guards spare_output_
  std::vector<std::unique_ptr<OutputBatch>> spare_output_;

  // Of the source half.
  Backoff source_backoff_;

  // Of the pipeline half.
  Document position_;
  ReplayLog replay_;
  bool replaying_ = false;  // reading again what open windows are recomputed from
  bool input_ended_ = false;
  bool changed_since_checkpoint_ = false;
  int64_t next_checkpoint_ns_ = 0;
  std::unique_ptr<OutputBatch> pending_output_;

  // Of the sink half.
  std::optional<OutputMessage> in_hand_;
  std::unique_ptr<Barrier> saving_;  // whose child is still at work
  bool flushed_at_end_ = false;
  Backoff sink_backoff_;
};

// What the source of a pipeline that does not run adds to `stats`: as the last checkpoint of
// `spec.processor_id` has it. {} when there is no sound checkpoint. Any thread.
Document stored_source_stats(const PipelineSpec& spec, const PipelineEnvironment& environment,
                             storage::Store& store);

}  // namespace millrace::engine
