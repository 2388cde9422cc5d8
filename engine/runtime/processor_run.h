// One run of a stream processor, from start to stop or failure: three threads and the queues
// between them.
//
//   source thread --SourceBatch--> pipeline thread --OutputBatch, checkpoint barriers--> sink
//   thread
//
// A checkpoint is a barrier in the output queue: the pipeline thread takes the operators' state and
// the source's position between two batches and sends them behind the output they produced; the
// sink thread, having flushed everything before the barrier, commits them to the store (promise G1:
// a position is never committed before its effects are safe).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/runtime/bounded_queue.h"
#include "engine/runtime/definition.h"
#include "engine/runtime/pipeline.h"
#include "engine/runtime/sample.h"
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
};

struct RunEnvironment {
  PipelineEnvironment pipeline;
  storage::Store* store = nullptr;  // null: no checkpoints (sp.process)
  RunSettings settings;
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
    Document extra;  // fields of its own
  };
  std::vector<NamedOperator> operators;  // source first, sink last
};

class ProcessorRun {
 public:
  struct Options {
    ProcessorDefinition definition;
    bool temporary = false;   // sp.process(): no checkpoints, sink optional, ends with its input
    bool resume = true;       // from the last checkpoint, if there is one
    Document start_position;  // of the start command, or {}
    SampleCursorPtr cursor;   // of a temporary one: attached before the first document
  };

  // Builds the pipeline, takes up the last checkpoint, opens sink, dead letter queue and source,
  // and starts the threads. What goes wrong until then is the answer of the start command.
  static Result<std::unique_ptr<ProcessorRun>> start(Options options, RunEnvironment environment);
  ~ProcessorRun();  // stops, without a checkpoint, if stop() was not called

  // Ends the run and waits for its threads. With `checkpoint`, the state is saved first (if the
  // sink can be reached).
  void stop(bool checkpoint);
  // Asks the threads to end and returns at once; stop() or the destructor waits.
  void request_stop();

  // True once the run has ended by itself: failed, or a temporary one has drained its input.
  bool ended() const { return ended_.load(); }
  // Why it failed; ok when it did not. Any thread.
  Status failure() const;

  void add_sample(SampleCursorPtr cursor);
  RunStats stats() const;
  // Takes a checkpoint now and waits up to `timeout` for its commit (tests, and before a stop).
  bool checkpoint_now(std::chrono::milliseconds timeout);
  void add_source_stats(const RunStats& stats, BsonWriter& writer) const;

 private:
  struct Barrier {
    Pipeline::State state;
    Document position;
    PipelineStats counters;
  };
  struct OutputMessage {  // one of the two
    std::unique_ptr<OutputBatch> batch;
    std::unique_ptr<Barrier> barrier;
  };
  class Letters;

  ProcessorRun(Options options, RunEnvironment environment);
  Status prepare();
  Status restore_checkpoint(Document* position);
  void source_loop();
  void pipeline_loop();
  void run_pipeline();
  void finish_temporary();
  void sink_loop();
  bool write_with_retry(const OutputBatch& batch);
  bool flush_sink();
  bool commit(Barrier& barrier);
  Status store_checkpoint(const Barrier& barrier);
  Status keep_first_position();
  void send_barrier();
  void send_output(std::unique_ptr<OutputBatch> output);
  std::unique_ptr<OutputBatch> fresh_output();
  void recycle(std::unique_ptr<OutputBatch> output);
  void publish_stats();
  void fail(Status status);
  static bool retryable(const Status& status);
  bool wait_before_retry(int attempt, const std::atomic<bool>& end);
  std::vector<SampleCursorPtr> current_samples();
  bool samples_finished();

  Options options_;
  RunEnvironment environment_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<DeadLetterQueue> dlq_;
  std::unique_ptr<Letters> letters_;

  BoundedQueue<std::unique_ptr<SourceBatch>> input_{4};
  BoundedQueue<std::unique_ptr<SourceBatch>> spare_input_{8};
  BoundedQueue<OutputMessage> output_{16};

  std::thread source_thread_;
  std::thread pipeline_thread_;
  std::thread sink_thread_;
  std::atomic<bool> stopping_{false};  // no more input
  std::atomic<bool> checkpoint_on_stop_{false};
  std::atomic<bool> aborting_{
      false};  // failed, or told to end without finishing: no retries any more
  std::atomic<bool> ended_{false};
  std::atomic<bool> checkpoint_wanted_{false};
  std::atomic<int64_t> checkpoints_committed_{0};
  std::atomic<bool> sink_done_{false};
  std::atomic<size_t> sample_count_{0};

  mutable std::mutex mutex_;  // guards what follows
  Status failure_;
  RunStats stats_;
  std::vector<SampleCursorPtr> samples_;

  std::mutex spare_mutex_;  // guards spare_output_
  std::vector<std::unique_ptr<OutputBatch>> spare_output_;

  // Of the pipeline thread alone.
  Document position_;
  bool changed_since_checkpoint_ = false;
};

}  // namespace millrace::engine
