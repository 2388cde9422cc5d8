// A stream processor's pipeline, compiled: from raw records to encoded output. No threads and no
// clock of its own: the processor (processor.h), `millrace bench` and the tests drive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connection/registry.h"
#include "engine/runtime/source_stage.h"
#include "engine/runtime/stage_table.h"
#include "engine/sink/sink.h"
#include "engine/source/decoder.h"
#include "engine/source/source.h"
#include "engine/stage/latency.h"
#include "engine/stage/operator.h"
#include "engine/window/watermark.h"
#include "engine/window/windows.h"

namespace millrace::engine {

// Which of `_ts` and `_stream_meta` stand in the documents themselves (server setting
// streamMetadata).
enum class StreamMetadata : uint8_t {
  kAuto,  // when a later stage or sink option names them, and always in a pipeline without a sink
  kAlways,
  kNever,
};

// What a pipeline is built from.
struct PipelineSpec {
  Document pipeline;              // {pipeline: [...]}: the stages as the user wrote them
  std::string stream_meta_field;  // options.streamMetaFieldName; "" = "_stream_meta", and only as
                                  // `metadata` says
  StreamMetadata metadata = StreamMetadata::kAuto;
  bool needs_sink = true;       // false: sp.process(), a pipeline may end without a sink
  bool source_and_sink = true;  // false: neither $source nor sink stand in the pipeline (bench):
                                // JSON records are handed in
  Document time_field;  // without $source: what gives the event time where a window needs it, or {}
  std::string processor_id;
  Document start_position;  // {startAfter: …} or {startAtOperationTime: …}, or {}
};

class StandIns;

struct PipelineEnvironment {
  const ConnectionRegistry* connections = nullptr;
  ClusterConnector* clusters = nullptr;
  const Clock* clock = nullptr;
  StandIns* stand_ins = nullptr;  // null: the outside world is real
  // How much goes on at once, however much one batch gives: documents of closed windows to the next
  // stage, encoded bytes to the sink.
  size_t portion_documents = 1024;
  size_t portion_bytes = 1 << 20;
};

// Takes what could not be processed, complete and in encodable form. Called on the pipeline thread.
class DeadLetterTarget {
 public:
  virtual ~DeadLetterTarget() = default;
  // `document`: as it entered the operator; `meta`: its stream metadata object. Both valid during
  // the call.
  virtual void add(const Value& document, const Value& meta, std::string_view operator_name,
                   std::string_view reason) = 0;
};

// Counters of the whole pipeline.
struct PipelineStats {
  int64_t input_count = 0;
  int64_t input_bytes = 0;
  int64_t output_count = 0;
  int64_t output_bytes = 0;
  int64_t dlq_count = 0;
};

// Single-threaded.
class Pipeline final : private DeadLetters, private Downstream {
 public:
  // Checks and compiles. Every error that can be found without touching the outside world is found
  // here.
  static Result<std::unique_ptr<Pipeline>> build(const PipelineSpec& spec,
                                                 const PipelineEnvironment& environment);
  ~Pipeline() override;

  // The source has been opened: a partition that says nothing is silent from now on.
  void begin();
  // Runs all records of `batch` through the stages and appends what comes out to `output`.
  void process(SourceBatch& batch, OutputBatch& output);
  // Lets time-driven operators work; appends to `output`.
  void tick(OutputBatch& output);
  // On the clock's now_ms scale: when tick() next has something to do.
  int64_t next_tick_ms() const;
  // The input has ended for good: all open windows are emitted (bench and tests; a processor's
  // windows wait instead).
  void finish(OutputBatch& output);

  // {watermark: …, partitions: …} and one document per stateful operator, under its readable name.
  using State = std::vector<std::pair<std::string, Document>>;
  State save() const;
  Status restore(const State& state);
  // Only the watermarks and which windows are open: their documents come again, as records that are
  // marked as replayed, between begin_replay() and end_replay().
  Status restore_bounds(const State& state);
  // Replayed records older than `floor_ms` belong to no open window and are passed over; nothing
  // closes meanwhile.
  void begin_replay(int64_t floor_ms);
  void end_replay() { watermarks_.hold(false); }
  // The time of the newest document of the last batch, on the scale by which the window assigns.
  int64_t newest_ms() const { return newest_ms_; }
  // max() when no window is open. Requires: has_window().
  int64_t oldest_open_ms() const { return window_->oldest_open_ms(); }

  // `relay` takes on what is in the output batch as soon as that is a full portion, and gives the
  // one to go on with; without it one call's output stays together. On this thread.
  using OutputRelay = std::function<OutputBatch&(OutputBatch& full)>;
  void set_output_relay(OutputRelay relay) { relay_ = std::move(relay); }
  void set_dead_letters(DeadLetterTarget* target) { target_ = target; }
  void set_memory_limit(int64_t bytes) { memory_.limit_bytes = bytes; }

  Source* source() { return source_.source.get(); }
  SinkEncoder* sink_encoder() { return sink_.encoder.get(); }
  SinkWriter* sink_writer() { return sink_.writer.get(); }
  // Bytes of window and group state; over the limit the processor must fail with 418.
  int64_t state_bytes() const;
  bool over_memory_limit() const { return state_bytes() > memory_.limit_bytes; }
  bool has_window() const { return has_window_; }
  // {source: {type: …}}: the metadata of documents that come from no single record.
  Value source_meta() const { return source_meta_; }
  // kNoWatermark when there is none.
  int64_t watermark_ms() const { return watermarks_.current(); }
  const Watermarks& watermarks() const { return watermarks_; }
  // False when windows are open that time alone would still close (idle timeout, processing time).
  bool quiescent() const { return next_tick_ms() == std::numeric_limits<int64_t>::max(); }

  const PipelineStats& stats() const { return stats_; }
  const OperatorStats& source_stats() const { return source_stats_; }
  const std::vector<OperatorPtr>& operators() const { return operators_; }
  // Of one operator, by its index in operators().
  LatencySummary latency(size_t index) const { return latencies_[index].summary(clock_->now_ms()); }
  // What a window stage adds to the latency of what comes out of it, in milliseconds.
  int64_t window_ms() const { return window_ != nullptr ? window_->length_ms() : 0; }

 private:
  explicit Pipeline(const PipelineEnvironment& environment);
  Status build_stages(const PipelineSpec& spec, const PipelineEnvironment& environment);
  Status build_sink(const Field& stage, const PipelineEnvironment& environment);
  void plan_metadata(const PipelineSpec& spec, const Value& stages);
  void plan_decoding();

  // DeadLetters: an operator could not process `document`.
  void add(const StreamDocument& document, std::string_view operator_name,
           std::string_view reason) override;
  void reject_payload(const SourceBatch& batch, const SourceRecord& record,
                      std::string_view reason);
  // The whole document that reached the current operator from `pruned`'s record: the stages before
  // it are run once more, on the record decoded in full.
  StreamDocument complete_document(const StreamDocument& pruned, Batch& scratch);

  Status restore(const State& state, bool with_contents);
  void decode(SourceBatch& batch);
  size_t replayed_records(const SourceBatch& batch) const;
  void accept(const SourceRecord& record, Value body);
  Value whole_body(const SourceRecord& record, Arena& arena);
  void make_source_meta();
  Value describe(const SourceRecord& record, const Value& body, int64_t timestamp_ms,
                 Arena& arena) const;
  Value projected_meta(const Value& meta, Arena& arena) const;
  void project_metadata(StreamDocument& document, Arena& arena) const {
    project(document, ts_name_, meta_name_, arena);
  }
  void project(StreamDocument& document, std::string_view ts_name, std::string_view meta_name,
               Arena& arena) const;
  // Downstream: of the current operator.
  void pass_on(Batch& batch) override;
  int64_t leave_operator(size_t index, Batch& batch);
  void begin_operator(size_t index);
  void end_operator(size_t index);
  void project_at_end(Batch& batch);
  void complete_documents(Batch& batch);
  void run_operators(size_t from, Batch& batch);
  void encode(Batch& batch);
  std::string state_name(size_t index) const;

  CompiledMemory memory_of_names_;
  ParseContext parse_;
  StageListBuilder builder_;
  SourceStage source_;
  std::vector<OperatorPtr> operators_;
  Sink sink_;
  bool has_window_ = false;
  size_t window_index_ = 0;
  WindowStage* window_ = nullptr;  // operators_[window_index_]
  size_t complete_at_ = 0;  // index of the operator before which pruned documents are replaced by
                            // complete ones; size() + 1: never

  std::unique_ptr<JsonDecoder> json_;
  std::unique_ptr<BsonDecoder> bson_;
  bool pruned_ = false;  // documents at the first operator are not whole
  bool needs_meta_ = false;
  std::string_view ts_name_;  // projected into each document; "" = not
  std::string_view meta_name_;
  // The same at the pipeline's end: where metadata is always shown it survives every stage but one
  // that removes it by name.
  std::string_view ts_name_at_end_;
  std::string_view meta_name_at_end_;
  std::string source_type_ = "generated";
  std::string source_name_ = "SourceOperator";
  Value source_meta_;

  const Clock* clock_;
  Watermarks watermarks_;
  int64_t newest_ms_ = kNoWatermark;
  int64_t replay_floor_ms_ = kNoWatermark;
  OperatorContext context_;
  MemoryAccount memory_;
  DeadLetterTarget* target_ = nullptr;
  Batch batch_;
  SourceBatch* source_batch_ = nullptr;  // the one being processed
  OutputBatch* output_ = nullptr;        // where its output goes
  OutputRelay relay_;
  const size_t portion_bytes_;
  int64_t passed_on_ns_ = 0;  // spent in pass_on()
  size_t current_operator_ = 0;
  bool rerunning_ = false;
  PipelineStats stats_;
  OperatorStats source_stats_;
  std::vector<LatencyMeter> latencies_;  // by operator
};

}  // namespace millrace::engine
