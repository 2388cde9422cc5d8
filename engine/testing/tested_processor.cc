#include "engine/testing/tested_processor.h"

#include <algorithm>
#include <limits>

#include "engine/runtime/connection_table.h"
#include "engine/runtime/modification.h"
#include "engine/testing/connection_guess.h"
#include "storage/checkpoints.h"

namespace millrace::engine {
namespace {

using std::chrono::nanoseconds;

constexpr int kMaxSteps = 1'000'000;  // at one moment: far beyond what any case needs
constexpr std::string_view kDeadLetterConnection = "__deadLetters";

}  // namespace

TestedProcessor::TestedProcessor(const TestCase& test, size_t batch_limit,
                                 bool restart_after_batches)
    : test_(test),
      batch_limit_(batch_limit),
      restart_after_batches_(restart_after_batches),
      clock_(test.start_ms),
      connections_(connection_types()),
      clusters_(captured_),
      definition_(test.definition) {}

TestedProcessor::~TestedProcessor() {
  if (core_ != nullptr) core_->close();
}

Status TestedProcessor::connect() {
  return add_stand_in_connections(definition_.pipeline.get("pipeline"),
                                  with_dead_letters(definition_).dlq, test_.connections,
                                  connections_);
}

// Dead letters are caught where the queue writes them; a processor without one gets one.
ProcessorDefinition TestedProcessor::with_dead_letters(
    const ProcessorDefinition& definition) const {
  ProcessorDefinition complete = definition;
  if (!complete.dlq.configured())
    complete.dlq = {std::string(kDeadLetterConnection), "test", "deadLetters"};
  return complete;
}

RunEnvironment TestedProcessor::environment() {
  RunEnvironment environment;
  environment.pipeline.connections = &connections_;
  environment.pipeline.clusters = &clusters_;
  environment.pipeline.clock = &clock_;
  environment.pipeline.stand_ins = this;
  environment.store = &store_;
  environment.single_threaded = true;
  environment.settings.metadata = test_.metadata;
  environment.settings.memory_limit_bytes = test_.memory_limit_bytes;
  // Checkpoints are taken where the case stops the processor, and by no child process.
  environment.settings.checkpoint_interval = std::chrono::hours(24 * 365 * 100);
  environment.settings.fork_bytes = std::numeric_limits<int64_t>::max();
  return environment;
}

SourcePtr TestedProcessor::source(const SourceContext& context, const Source& real) {
  bool own_documents = context.connection == nullptr && !test_.has_events;
  if (own_documents) return make_limited_documents_source(context, batch_limit_);
  return make_timed_source(context, real, {&input_, test_.partitions, batch_limit_});
}

std::unique_ptr<SinkWriter> TestedProcessor::sink_writer(std::string_view, const Connection*,
                                                         const SinkWriter&) {
  return make_capturing_writer(fixed_target(definition_.pipeline.get("pipeline")), captured_);
}

Status TestedProcessor::start(bool resume) {
  if (core_ != nullptr)
    return Status(ErrorCode::kCommandFailed, "the stream processor is running already");
  MR_RETURN_IF_ERROR(check_processor_name(definition_.name));
  RunOptions options;
  options.definition = with_dead_letters(definition_);
  options.resume = resume;
  options.counters = counters_;
  auto core = std::make_unique<ProcessorCore>(std::move(options), environment());
  MR_RETURN_IF_ERROR(core->prepare());
  core_ = std::move(core);
  source_done_ = false;
  failure_ = Status();
  return {};
}

// One round of work. False when nobody had anything to do.
bool TestedProcessor::step_all() {
  using Step = ProcessorCore::Step;
  bool worked = false;
  if (!source_done_ && !core_->source_blocked()) {
    Step step = core_->source_step(nanoseconds(0));
    source_done_ = step == Step::kDone;
    worked = step == Step::kWorked || step == Step::kDone;
  }
  if (!core_->pipeline_blocked())
    worked = core_->pipeline_step(nanoseconds(0)) == Step::kWorked || worked;
  return core_->sink_step(nanoseconds(0)) == Step::kWorked || worked;
}

void TestedProcessor::settle() {
  for (int step = 0; core_ != nullptr; ++step) {
    if (step == kMaxSteps) {
      failure_ = Status(ErrorCode::kInternalError, "the processor does not come to rest");
      return end_run();
    }
    bool worked = step_all();
    note_end();
    if (core_ == nullptr || !worked) return;
    if (restart_after_batches_ && core_->stats().pipeline.input_count > 0) {
      stop();
      if (Status status = failure_.ok() ? start(true) : failure_; !status.ok()) {
        failure_ = Status(status.code(), "restart from the checkpoint: " + status.message());
        return;
      }
    }
  }
}

// Notices that the run has failed by itself.
void TestedProcessor::note_end() {
  if (core_ == nullptr || core_->failure().ok()) return;
  failure_ = core_->failure();
  end_run();
}

void TestedProcessor::stop() {
  if (core_ == nullptr) return;
  core_->request_stop(true);
  for (int step = 0; step < kMaxSteps && !core_->sink_done(); ++step) {
    core_->pipeline_step(nanoseconds(0));
    core_->sink_step(nanoseconds(0));
  }
  if (failure_.ok()) failure_ = core_->failure();
  end_run();
}

void TestedProcessor::end_run() {
  core_->close();
  last_stats_ = encode_stats(failure_.ok() ? "STOPPED" : "FAILED");
  RunStats run = core_->stats();
  counters_ = core_->base_counters();
  counters_.add(run.pipeline, run.dlq_bytes);
  core_.reset();
}

Status TestedProcessor::check_definition(const ProcessorDefinition& definition) {
  PipelineSpec spec;
  spec.pipeline = definition.pipeline;
  spec.stream_meta_field = definition.stream_meta_field;
  spec.metadata = test_.metadata;
  return Pipeline::build(spec, environment().pipeline).status();
}

// As ProcessorManager::modify does.
Status TestedProcessor::modify(const CaseStep& step) {
  ProcessorDefinition changed = definition_;
  if (step.pipeline) changed.pipeline = *step.pipeline;
  if (step.dlq) changed.dlq = *step.dlq;
  MR_RETURN_IF_ERROR(add_stand_in_connections(changed.pipeline.get("pipeline"),
                                              with_dead_letters(changed).dlq, test_.connections,
                                              connections_));
  MR_RETURN_IF_ERROR(check_definition(changed));
  if (step.pipeline && step.resume) MR_RETURN_IF_ERROR(check_modification(definition_, changed));
  definition_ = changed;
  if (step.resume) return {};
  return store_.write([&](storage::WriteTransaction& txn) -> Status {
    return storage::erase_checkpoints(txn, definition_.id).status();
  });
}

void TestedProcessor::advance_to(int64_t ms) {
  while (clock_.now_ms() < ms) {
    int64_t next = ms;
    if (core_ != nullptr) {
      // What is due already has been tried and waits for something other than time.
      int64_t tick = core_->pipeline().next_tick_ms();
      if (tick > clock_.now_ms()) next = std::min(tick, ms);
    }
    clock_.set_ms(next);
    settle();
  }
}

Document TestedProcessor::stats() const {
  if (core_ == nullptr) return last_stats_;
  core_->publish_stats();
  return encode_stats("STARTED");
}

Document TestedProcessor::encode_stats(std::string_view state) const {
  RunStats run = core_->stats();
  ProcessorCounters total = core_->base_counters();
  total.add(run.pipeline, run.dlq_bytes);
  Document counters = total.encode();
  BsonWriter w;
  w.begin_document();
  w.append("state", state);
  for (const Field& field : counters.view()) {
    w.append(field.name(),
             field.value.is_integer() ? Value::integer(field.value.integer_value()) : field.value);
  }
  w.append("stateSize", Value::integer(run.state_bytes));
  if (run.watermark_ms != kNoWatermark) w.append("watermark", Value::date(run.watermark_ms));
  for (const RunStats::NamedOperator& op : run.operators) {
    for (std::string_view name : {"minOpenWindowStartTime", "maxOpenWindowStartTime"})
      w.append(name, op.extra.get(name));
  }
  w.end();
  return Document(w.bytes());
}

std::vector<Document> TestedProcessor::finish_windows() {
  std::vector<Document> documents;
  if (core_ == nullptr) return documents;
  OutputBatch batch;
  core_->pipeline().finish(batch);
  for (const OutputBatch::Item& item : batch.items) documents.emplace_back(batch.document(item));
  return documents;
}

}  // namespace millrace::engine
