#include "engine/runtime/processor_run.h"

#include <algorithm>

#include "storage/checkpoints.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

constexpr size_t kRecordsPerBatch = 1000;
constexpr milliseconds kSourceWait{100};
constexpr milliseconds kIdleWait{100};  // how long a thread sleeps at most without looking around
constexpr int32_t kStateVersion = 1;

Document encode_counters(const PipelineStats& stats, int64_t dlq_bytes) {
  BsonWriter w;
  w.begin_document();
  w.append("inputMessageCount", stats.input_count);
  w.append("inputMessageSize", stats.input_bytes);
  w.append("outputMessageCount", stats.output_count);
  w.append("outputMessageSize", stats.output_bytes);
  w.append("dlqMessageCount", stats.dlq_count);
  w.append("dlqMessageSize", dlq_bytes);
  w.end();
  return Document(w.bytes());
}

}  // namespace

// Where the pipeline's and the sink's dead letters go: to the queue that writes them, and to those
// who sample.
class ProcessorRun::Letters final : public DeadLetterTarget, public SinkDeadLetters {
 public:
  explicit Letters(ProcessorRun& run) : run_(run) {}

  void add(const Value& document, const Value& meta, std::string_view operator_name,
           std::string_view reason) override {
    run_.dlq_->add(document, meta, operator_name, reason);
    auto samples = run_.current_samples();
    if (samples.empty()) return;
    Document shown = run_.dlq_->sample_form(document, meta, operator_name, reason);
    for (const auto& cursor : samples) cursor->offer(shown.bytes());
  }
  void add(std::string_view document, std::string_view operator_name,
           std::string_view reason) override {
    sink_letters_.fetch_add(1);
    add(Value::bson_object(document.data()), run_.pipeline_->source_meta(), operator_name, reason);
  }
  int64_t sink_letters() const { return sink_letters_.load(); }

 private:
  ProcessorRun& run_;
  std::atomic<int64_t> sink_letters_{0};
};

ProcessorRun::ProcessorRun(Options options, RunEnvironment environment)
    : options_(std::move(options)), environment_(std::move(environment)) {}

Result<std::unique_ptr<ProcessorRun>> ProcessorRun::start(Options options,
                                                          RunEnvironment environment) {
  std::unique_ptr<ProcessorRun> run(new ProcessorRun(std::move(options), std::move(environment)));
  MR_RETURN_IF_ERROR(run->prepare());
  if (run->options_.cursor != nullptr) run->add_sample(run->options_.cursor);
  run->sink_thread_ = std::thread([r = run.get()] { r->sink_loop(); });
  run->pipeline_thread_ = std::thread([r = run.get()] { r->pipeline_loop(); });
  run->source_thread_ = std::thread([r = run.get()] { r->source_loop(); });
  return run;
}

ProcessorRun::~ProcessorRun() { stop(false); }

Status ProcessorRun::prepare() {
  const ProcessorDefinition& definition = options_.definition;
  PipelineSpec spec;
  spec.pipeline = definition.pipeline;
  spec.stream_meta_field = definition.stream_meta_field;
  spec.metadata = environment_.settings.metadata;
  spec.needs_sink = !options_.temporary;
  spec.processor_id = options_.temporary ? "" : definition.id;
  spec.start_position = options_.start_position;
  MR_ASSIGN_OR_RETURN(pipeline_, Pipeline::build(spec, environment_.pipeline));
  pipeline_->set_memory_limit(environment_.settings.memory_limit_bytes);

  DeadLetterQueue::Options dlq;
  dlq.processor_name = definition.name;
  dlq.workspace_name = environment_.settings.workspace_name;
  dlq.meta_field =
      definition.stream_meta_field.empty() ? "_stream_meta" : definition.stream_meta_field;
  dlq.clock = environment_.pipeline.clock;
  if (definition.dlq.configured()) {
    MR_ASSIGN_OR_RETURN(dlq.connection,
                        environment_.pipeline.connections->find(definition.dlq.connection));
    if (dlq.connection->type->name != "Cluster") {
      return Status(ErrorCode::kStreamProcessorInvalidOptions,
                    "dlq.connectionName must name a connection of type Cluster");
    }
    dlq.clusters = environment_.pipeline.clusters;
    dlq.database = definition.dlq.database;
    dlq.collection = definition.dlq.collection;
  }
  dlq_ = std::make_unique<DeadLetterQueue>(std::move(dlq));
  letters_ = std::make_unique<Letters>(*this);
  pipeline_->set_dead_letters(letters_.get());

  Document position;
  if (environment_.store != nullptr && options_.resume)
    MR_RETURN_IF_ERROR(restore_checkpoint(&position));
  position_ = position;
  stats_.checkpoint_position = position;
  MR_RETURN_IF_ERROR(dlq_->open());
  if (pipeline_->sink_writer() != nullptr) MR_RETURN_IF_ERROR(pipeline_->sink_writer()->open());
  MR_RETURN_IF_ERROR(
      pipeline_->source()->open(position.view().empty() ? Value() : position.value()));
  return position.view().empty() ? keep_first_position() : Status();
}

// "From now on" must mean the same after a stop or a crash that comes before the first checkpoint:
// what arrives from here on is this processor's (promise G1).
Status ProcessorRun::keep_first_position() {
  if (environment_.store == nullptr) return {};
  Barrier first;
  first.position = pipeline_->source()->position();
  if (first.position.view().empty()) return {};
  first.state = pipeline_->save();
  first.counters = pipeline_->stats();
  MR_RETURN_IF_ERROR(store_checkpoint(first));
  position_ = first.position;
  stats_.checkpoint_position = first.position;
  return {};
}

Status ProcessorRun::restore_checkpoint(Document* position) {
  storage::CheckpointRead read;
  {
    MR_ASSIGN_OR_RETURN(auto txn, environment_.store->read());
    MR_ASSIGN_OR_RETURN(read, storage::read_checkpoint(*txn, options_.definition.id));
  }
  if (!read.checkpoint) return {};
  Pipeline::State state;
  for (const storage::CheckpointBlob& blob : read.checkpoint->blobs) {
    if (blob.version != kStateVersion) {
      return Status(
          ErrorCode::kStreamProcessorInvalidOptions,
          "the checkpoint was written by a newer Millrace: start with resumeFromCheckpoint: false");
    }
    MR_RETURN_IF_ERROR(validate_bson(blob.bytes));
    if (blob.name == "source") {
      *position = Document(std::string_view(blob.bytes));
    } else {
      state.emplace_back(blob.name, Document(std::string_view(blob.bytes)));
    }
  }
  return pipeline_->restore(state);
}

void ProcessorRun::source_loop() {
  int failures = 0;
  while (!stopping_.load()) {
    auto spare = spare_input_.pop(std::chrono::nanoseconds(0));
    auto batch = spare ? std::move(*spare) : std::make_unique<SourceBatch>();
    batch->clear();
    Status status = pipeline_->source()->read(*batch, kRecordsPerBatch, kSourceWait);
    batch->ingest_ms = environment_.pipeline.clock->now_ms();
    if (!status.ok()) {
      if (!retryable(status) || !wait_before_retry(failures++, stopping_)) {
        if (!stopping_.load()) fail(status);
        break;
      }
      continue;
    }
    if (!batch->empty() || batch->end_of_input) {
      failures = 0;
      bool end = batch->end_of_input;
      if (!input_.push(std::move(batch))) break;
      if (end) break;  // a finite source stays silent from here on
    } else {
      spare_input_.push(std::move(batch));
    }
  }
}

// Errors of the outside world that may pass; everything else fails the processor at once.
bool ProcessorRun::retryable(const Status& status) {
  switch (static_cast<ErrorCode>(status.code())) {
    case ErrorCode::kStreamProcessorInvalidOptions:
    case ErrorCode::kStreamProcessorWorkerOutOfMemory:
    case ErrorCode::kChangeStreamHistoryLost:
    case ErrorCode::kChangeStreamFatalError:
      return false;
    default:
      return true;
  }
}

// Backoff; false when the attempts are used up, or `end` or a failure says that waiting is of no
// use any more.
bool ProcessorRun::wait_before_retry(int attempt, const std::atomic<bool>& end) {
  const RunSettings& settings = environment_.settings;
  if (attempt >= settings.retry_attempts) return false;
  auto delay =
      std::min(settings.retry_longest, settings.retry_first * (1 << std::min(attempt, 20)));
  auto until = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < until) {
    if (aborting_.load() || end.load()) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return !aborting_.load() && !end.load();
}

void ProcessorRun::pipeline_loop() {
  try {
    run_pipeline();
  } catch (const std::exception& error) {
    fail(Status(ErrorCode::kInternalError,
                std::string("the pipeline failed unexpectedly: ") + error.what()));
  }
  output_.close();
}

void ProcessorRun::run_pipeline() {
  const Clock& clock = *environment_.pipeline.clock;
  const int64_t interval_ns =
      std::chrono::nanoseconds(environment_.settings.checkpoint_interval).count();
  int64_t next_checkpoint_ns = clock.monotonic_ns() + interval_ns;
  bool drained = false;
  auto output = fresh_output();
  while (!stopping_.load()) {
    auto wait = kIdleWait;
    if (int64_t tick = pipeline_->next_tick_ms(); tick != std::numeric_limits<int64_t>::max()) {
      wait = std::clamp(milliseconds(tick - clock.now_ms()), milliseconds(0), kIdleWait);
    }
    auto batch = input_.pop(wait);
    if (batch) {
      pipeline_->process(**batch, *output);
      position_ = (*batch)->position;
      drained = drained || (*batch)->end_of_input;
      changed_since_checkpoint_ = true;
      spare_input_.push(std::move(*batch));
    }
    if (pipeline_->next_tick_ms() <= clock.now_ms()) {
      pipeline_->tick(*output);
      changed_since_checkpoint_ = true;
    }
    if (!output->items.empty()) {
      send_output(std::move(output));
      output = fresh_output();
    }
    publish_stats();
    if (pipeline_->over_memory_limit()) {
      return fail(Status(ErrorCode::kStreamProcessorWorkerOutOfMemory,
                         "Worker out of memory: the processor's state of " +
                             std::to_string(pipeline_->state_bytes()) +
                             " bytes is over its limit of " +
                             std::to_string(environment_.settings.memory_limit_bytes)));
    }
    if (checkpoint_wanted_.exchange(false) || clock.monotonic_ns() >= next_checkpoint_ns) {
      send_barrier();
      next_checkpoint_ns = clock.monotonic_ns() + interval_ns;
    }
    if (options_.temporary && ((drained && pipeline_->quiescent()) || samples_finished()))
      return finish_temporary();
  }
  if (checkpoint_on_stop_.load() && !aborting_.load()) send_barrier();
}

// sp.process(): all results are out; the sink gets them too before the cursor ends.
void ProcessorRun::finish_temporary() {
  output_.close();
  if (sink_thread_.joinable()) {
    while (!sink_done_.load()) std::this_thread::sleep_for(milliseconds(1));
  }
  publish_stats();
  for (const auto& cursor : current_samples()) cursor->end(failure());
  ended_.store(true);
}

std::unique_ptr<OutputBatch> ProcessorRun::fresh_output() {
  std::lock_guard lock(spare_mutex_);
  if (spare_output_.empty()) return std::make_unique<OutputBatch>();
  auto output = std::move(spare_output_.back());
  spare_output_.pop_back();
  output->clear();
  return output;
}

void ProcessorRun::send_output(std::unique_ptr<OutputBatch> output) {
  auto samples = current_samples();
  if (!samples.empty()) {
    for (const OutputBatch::Item& item : output->items) {
      for (const auto& cursor : samples) cursor->offer(output->document(item));
    }
  }
  if (pipeline_->sink_writer() == nullptr) {
    recycle(std::move(output));
    return;
  }
  output_.push({std::move(output), nullptr});
}

void ProcessorRun::recycle(std::unique_ptr<OutputBatch> output) {
  std::lock_guard lock(spare_mutex_);
  if (spare_output_.size() < 8) spare_output_.push_back(std::move(output));
}

// Sends the state as it is now behind the output it has produced. Nothing to do when nothing has
// happened.
void ProcessorRun::send_barrier() {
  if (environment_.store == nullptr ||
      (!changed_since_checkpoint_ && checkpoints_committed_.load() > 0))
    return;
  auto barrier = std::make_unique<Barrier>();
  barrier->state = pipeline_->save();
  barrier->position = position_;
  barrier->counters = pipeline_->stats();
  changed_since_checkpoint_ = false;
  output_.push({nullptr, std::move(barrier)});
}

void ProcessorRun::sink_loop() {
  try {
    while (true) {
      auto message = output_.pop(kIdleWait);
      if (!message) {
        if (output_.closed() && output_.size() == 0) break;
        if (Status lost = dlq_->failure(); !lost.ok()) {
          fail(lost);
          break;
        }
        continue;
      }
      bool good = message->batch ? write_with_retry(*message->batch) : commit(*message->barrier);
      if (message->batch) recycle(std::move(message->batch));
      if (!good) break;
    }
    if (!aborting_.load() && pipeline_->sink_writer() != nullptr) flush_sink();
  } catch (const std::exception& error) {
    fail(Status(ErrorCode::kInternalError,
                std::string("the sink failed unexpectedly: ") + error.what()));
  }
  output_.close();
  output_.discard();
  sink_done_.store(true);
}

bool ProcessorRun::write_with_retry(const OutputBatch& batch) {
  for (int attempt = 0;; ++attempt) {
    Status status = pipeline_->sink_writer()->write(batch, *letters_);
    if (status.ok()) return true;
    if (!retryable(status) || !wait_before_retry(attempt, aborting_)) {
      fail(status);
      return false;
    }
  }
}

bool ProcessorRun::flush_sink() {
  for (int attempt = 0;; ++attempt) {
    Status status =
        pipeline_->sink_writer() != nullptr ? pipeline_->sink_writer()->flush(*letters_) : Status();
    if (status.ok()) status = dlq_->flush();
    if (status.ok()) return true;
    if (!retryable(status) || !wait_before_retry(attempt, aborting_)) {
      fail(status);
      return false;
    }
  }
}

bool ProcessorRun::commit(Barrier& barrier) {
  if (!flush_sink()) return false;
  for (int attempt = 0;; ++attempt) {
    Status status = store_checkpoint(barrier);
    if (status.ok()) break;
    if (!wait_before_retry(attempt, aborting_)) {
      fail(Status(status.code(), "a checkpoint could not be written: " + status.message()));
      return false;
    }
  }
  {
    std::lock_guard lock(mutex_);
    stats_.checkpoint_position = barrier.position;
  }
  pipeline_->source()->on_committed(barrier.position.value());
  checkpoints_committed_.fetch_add(1);
  return true;
}

Status ProcessorRun::store_checkpoint(const Barrier& barrier) {
  std::vector<storage::CheckpointBlobView> blobs;
  blobs.push_back({"source", kStateVersion, barrier.position.bytes()});
  for (const auto& [name, state] : barrier.state)
    blobs.push_back({name, kStateVersion, state.bytes()});
  storage::CheckpointHeader header;
  header.id = ObjectId::generate().to_hex();
  header.time_ms = environment_.pipeline.clock->now_ms();
  header.details = encode_counters(barrier.counters, dlq_->bytes());
  return environment_.store->write([&](storage::WriteTransaction& txn) -> Status {
    auto sequence = storage::put_checkpoint(txn, options_.definition.id, header, blobs);
    return sequence.ok() ? Status() : sequence.status();
  });
}

bool ProcessorRun::checkpoint_now(milliseconds timeout) {
  int64_t before = checkpoints_committed_.load();
  checkpoint_wanted_.store(true);
  input_.wake();
  auto until = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < until) {
    if (checkpoints_committed_.load() > before) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

void ProcessorRun::fail(Status status) {
  {
    std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = std::move(status);
  }
  aborting_.store(true);
  for (const auto& cursor : current_samples()) cursor->end(failure());
  request_stop();
  output_.close();
  ended_.store(true);
}

Status ProcessorRun::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void ProcessorRun::request_stop() {
  if (options_.temporary) aborting_.store(true);  // nobody waits for what it would still write
  stopping_.store(true);
  input_.close();
  input_.wake();
  spare_input_.close();
}

void ProcessorRun::stop(bool checkpoint) {
  if (!sink_thread_.joinable()) return;
  checkpoint_on_stop_.store(checkpoint && environment_.store != nullptr);
  if (!checkpoint) aborting_.store(true);
  for (const auto& cursor : current_samples()) cursor->end();
  request_stop();
  source_thread_.join();
  if (checkpoint) {  // a sink that cannot be reached must not hold the stop for long
    auto until = std::chrono::steady_clock::now() + milliseconds(3500);
    while (!sink_done_.load() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(milliseconds(2));
    if (!sink_done_.load()) aborting_.store(true);
  }
  if (!sink_done_.load() && aborting_.load()) output_.close();
  pipeline_thread_.join();
  sink_thread_.join();
  pipeline_->source()->close();
  if (pipeline_->sink_writer() != nullptr) pipeline_->sink_writer()->close();
  dlq_->close();
  publish_stats();
  ended_.store(true);
}

std::vector<SampleCursorPtr> ProcessorRun::current_samples() {
  if (sample_count_.load(std::memory_order_relaxed) == 0) return {};
  std::lock_guard lock(mutex_);
  if (!options_.temporary)
    std::erase_if(samples_, [](const SampleCursorPtr& cursor) { return cursor->finished(); });
  sample_count_.store(samples_.size());
  return samples_;
}

bool ProcessorRun::samples_finished() {
  auto samples = current_samples();
  return !samples.empty() && std::all_of(samples.begin(), samples.end(),
                                         [](const auto& cursor) { return cursor->finished(); });
}

void ProcessorRun::add_sample(SampleCursorPtr cursor) {
  std::lock_guard lock(mutex_);
  if (ended_.load()) cursor->end(failure_);
  samples_.push_back(std::move(cursor));
  sample_count_.store(samples_.size());
}

void ProcessorRun::publish_stats() {
  RunStats stats;
  stats.pipeline = pipeline_->stats();
  stats.pipeline.dlq_count += letters_->sink_letters();
  stats.dlq_bytes = dlq_->bytes();
  stats.state_bytes = pipeline_->state_bytes();
  stats.watermark_ms = pipeline_->has_window() ? pipeline_->watermark_ms() : kNoWatermark;
  stats.processed_position = position_;
  stats.operators.push_back(
      {std::string(pipeline_->source()->name()), pipeline_->source_stats(), 0, {}});
  for (const OperatorPtr& op : pipeline_->operators()) {
    BsonWriter extra;
    extra.begin_document();
    op->add_stats(extra);
    extra.end();
    op->stats.max_state_bytes = std::max(op->stats.max_state_bytes, op->state_bytes());
    stats.operators.push_back(
        {std::string(op->name()), op->stats, op->state_bytes(), Document(extra.bytes())});
  }
  if (pipeline_->sink_encoder() != nullptr) {
    BsonWriter extra;
    extra.begin_document();
    pipeline_->sink_writer()->add_stats(extra);
    extra.end();
    OperatorStats sink = pipeline_->sink_encoder()->stats;
    sink.dlq_count += letters_->sink_letters();
    sink.input_bytes = sink.output_bytes;
    stats.operators.push_back(
        {std::string(pipeline_->sink_encoder()->name()), sink, 0, Document(extra.bytes())});
  }
  std::lock_guard lock(mutex_);
  stats.checkpoint_position = stats_.checkpoint_position;
  stats_ = std::move(stats);
}

RunStats ProcessorRun::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void ProcessorRun::add_source_stats(const RunStats& stats, BsonWriter& writer) const {
  auto present = [](const Document& position) {
    return position.view().empty() ? Value() : position.value();
  };
  pipeline_->source()->add_stats(present(stats.processed_position),
                                 present(stats.checkpoint_position), writer);
}

}  // namespace millrace::engine
