#include "engine/runtime/processor_core.h"

#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <algorithm>

#include "storage/checkpoints.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr nanoseconds kSnapshotWait{milliseconds(5)};
constexpr size_t kRecordsPerBatch = 1000;
constexpr int32_t kStateVersion = 1;
constexpr std::string_view kSourceBlob = "source";
constexpr std::string_view kReplayBlob = "replay";

Value present(const Document& position) {
  return position.view().empty() ? Value() : position.value();
}

Backoff backoff(const RunSettings& settings) {
  return Backoff(settings.retry_first, settings.retry_longest, settings.retry_attempts);
}

}  // namespace

// Where the pipeline's and the sink's dead letters go: to the queue that writes them, and to those
// who sample.
class ProcessorCore::Letters final : public DeadLetterTarget, public SinkDeadLetters {
 public:
  explicit Letters(ProcessorCore& core) : core_(core) {}

  void add(const Value& document, const Value& meta, std::string_view operator_name,
           std::string_view reason) override {
    pipeline_bytes_ += write(document, meta, operator_name, reason);
  }
  void add(std::string_view document, std::string_view operator_name,
           std::string_view reason) override {
    sink_letters_.fetch_add(1);
    sink_bytes_ += write(Value::bson_object(document.data()), core_.pipeline_->source_meta(),
                         operator_name, reason);
  }
  int64_t sink_letters() const { return sink_letters_.load(); }
  // Bytes of what the operators sent; of the pipeline half.
  int64_t pipeline_bytes() const { return pipeline_bytes_; }
  // Of what the sink sent; of the sink half.
  int64_t sink_bytes() const { return sink_bytes_; }

 private:
  int64_t write(const Value& document, const Value& meta, std::string_view operator_name,
                std::string_view reason) {
    int64_t bytes = core_.dlq_->add(document, meta, operator_name, reason);
    auto samples = core_.current_samples();
    if (samples.empty()) return bytes;
    Document shown = core_.dlq_->sample_form(document, meta, operator_name, reason);
    for (const auto& cursor : samples) cursor->offer(shown.bytes());
    return bytes;
  }

  ProcessorCore& core_;
  std::atomic<int64_t> sink_letters_{0};
  int64_t pipeline_bytes_ = 0;
  int64_t sink_bytes_ = 0;
};

ProcessorCore::ProcessorCore(RunOptions options, RunEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      output_(environment_.single_threaded ? std::numeric_limits<size_t>::max() : kOutputCapacity),
      source_backoff_(backoff(environment_.settings)),
      sink_backoff_(backoff(environment_.settings)) {}

ProcessorCore::~ProcessorCore() = default;

Status ProcessorCore::prepare() {
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
  windows_ = window_fingerprint();
  MR_RETURN_IF_ERROR(open_dead_letter_queue());

  Document open_at;
  if (environment_.store != nullptr && options_.resume) {
    MR_RETURN_IF_ERROR(restore_checkpoint(&open_at));
  }
  stats_.checkpoint_position = position_;
  if (options_.cursor != nullptr) add_sample(options_.cursor);
  MR_RETURN_IF_ERROR(dlq_->open());
  if (pipeline_->sink_writer() != nullptr) MR_RETURN_IF_ERROR(pipeline_->sink_writer()->open());
  MR_RETURN_IF_ERROR(pipeline_->source()->open(present(open_at)));
  pipeline_->begin();
  if (replaying_) {
    pipeline_->source()->replay_until(position_.value());
    position_ = open_at;  // what is read from here on is noted for the next replay
  }
  next_checkpoint_ns_ = environment_.pipeline.clock->monotonic_ns() +
                        nanoseconds(environment_.settings.checkpoint_interval).count();
  pending_output_ = fresh_output();
  pipeline_->set_output_relay([this](OutputBatch& full) -> OutputBatch& {
    int64_t read_ns = full.read_ns;
    send_output(std::move(pending_output_));
    pending_output_ = fresh_output();
    pending_output_->read_ns = read_ns;
    return *pending_output_;
  });
  if (position_.view().empty() && !replaying_) MR_RETURN_IF_ERROR(keep_first_position());
  publish_stats();
  return {};
}

Status ProcessorCore::open_dead_letter_queue() {
  const ProcessorDefinition& definition = options_.definition;
  DeadLetterQueue::Options dlq;
  dlq.processor_name = definition.name;
  dlq.workspace_name = environment_.settings.workspace_name;
  dlq.meta_field =
      definition.stream_meta_field.empty() ? "_stream_meta" : definition.stream_meta_field;
  dlq.clock = environment_.pipeline.clock;
  dlq.own_thread = !environment_.single_threaded;
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
  return {};
}

// "From now on" must mean the same after a stop or a crash that comes before the first checkpoint:
// what arrives from here on is this processor's (promise G1).
Status ProcessorCore::keep_first_position() {
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

// What a checkpoint's windows were collected by: the stages up to and including the window stage.
// When they have changed since, the windows that are open must be collected anew. "" without a
// window.
std::string ProcessorCore::window_fingerprint() const {
  if (!pipeline_->has_window()) return "";
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  for (const Value& stage : options_.definition.pipeline.get("pipeline").as_array()) {
    Document encoded(stage);
    XXH3_128bits_update(state, encoded.bytes().data(), encoded.bytes().size());
    if (is_window_stage(stage.as_object().begin()->name())) break;
  }
  XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

Status ProcessorCore::restore_checkpoint(Document* open_at) {
  storage::CheckpointRead read;
  {
    MR_ASSIGN_OR_RETURN(auto txn, environment_.store->read());
    MR_ASSIGN_OR_RETURN(read, storage::read_checkpoint(*txn, options_.definition.id));
  }
  for (const std::string& damage : read.damaged) {
    spdlog::warn("stream processor {}: {}", options_.definition.name, damage);
  }
  if (!read.checkpoint) return {};
  Pipeline::State state;
  Document replay;
  for (storage::CheckpointBlob& blob : read.checkpoint->blobs) {
    if (blob.version != kStateVersion) {
      return Status(ErrorCode::kStreamProcessorInvalidOptions,
                    "the checkpoint was written by a newer Millrace: start with "
                    "resumeFromCheckpoint: false");
    }
    MR_RETURN_IF_ERROR(validate_bson(blob.bytes));
    Document document(std::move(blob.bytes));
    if (blob.name == kSourceBlob) {
      position_ = document;
    } else if (blob.name == kReplayBlob) {
      replay = document;
    } else {
      state.emplace_back(std::move(blob.name), std::move(document));
    }
  }
  *open_at = position_;
  const Document& details = read.checkpoint->header.details;
  options_.counters = ProcessorCounters::decode(details.value());
  Value saved_by = details.get("windows");
  bool same_windows =
      !saved_by.is_string() || saved_by.as_string().empty() || saved_by.as_string() == windows_;
  return restore_state(state, replay, same_windows, open_at);
}

// modify has changed what windows collect (rule MO-5): their bounds are kept, and their documents
// are read again.
Status ProcessorCore::restore_state(const Pipeline::State& state, const Document& replay,
                                    bool same_windows, Document* open_at) {
  if (same_windows) {
    replay_.restore(replay);
    return pipeline_->restore(state);
  }
  MR_RETURN_IF_ERROR(pipeline_->restore_bounds(state));
  Value from = replay.get("position");
  Value floor = replay.get("floor");
  if (!from.is_object() || !floor.is(Type::kDate)) return {};  // no window was open
  if (!pipeline_->source()->replayable()) {
    spdlog::warn(
        "stream processor {}: its source cannot be read again: the windows that are open "
        "hold only what comes from now on",
        options_.definition.name);
    return {};
  }
  *open_at = Document(from);
  replaying_ = true;
  pipeline_->begin_replay(floor.as_date());
  return {};
}

ProcessorCore::Step ProcessorCore::source_step(nanoseconds wait) {
  if (stopping_.load()) return Step::kDone;
  const Clock& clock = *environment_.pipeline.clock;
  if (!source_backoff_.due(clock)) return Step::kWaiting;
  auto spare = spare_input_.pop(nanoseconds(0));
  auto batch = spare ? std::move(*spare) : std::make_unique<SourceBatch>();
  batch->clear();
  Status status = pipeline_->source()->read(*batch, kRecordsPerBatch,
                                            std::chrono::duration_cast<milliseconds>(wait));
  batch->ingest_ms = clock.now_ms();
  batch->read_ns = clock.monotonic_ns();
  if (!status.ok()) {
    if (retryable(status) && source_backoff_.failed(clock)) return Step::kWaiting;
    if (!stopping_.load()) fail(status);
    return Step::kDone;
  }
  if (batch->empty() && !batch->end_of_input) {
    if (!spare_input_.closed() && spare_input_.size() < kInputCapacity) {
      spare_input_.push(std::move(batch));
    }
    return Step::kIdle;
  }
  source_backoff_.reset();
  bool end = batch->end_of_input;
  if (!input_.push(std::move(batch))) return Step::kDone;
  return end ? Step::kDone : Step::kWorked;  // a finite source stays silent from here on
}

// Errors of the outside world that may pass; everything else fails the processor at once.
bool ProcessorCore::retryable(const Status& status) {
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

ProcessorCore::Step ProcessorCore::pipeline_step(nanoseconds wait) {
  if (stopping_.load()) return finish_pipeline();
  const Clock& clock = *environment_.pipeline.clock;
  int64_t tick = pipeline_->next_tick_ms();
  if (!replaying_ && tick != std::numeric_limits<int64_t>::max()) {  // no ticks during a replay
    wait = std::clamp<nanoseconds>(milliseconds(tick - clock.now_ms()), nanoseconds(0), wait);
  }
  auto batch = input_.pop(wait);
  if (batch) {
    pending_output_->read_ns = (*batch)->read_ns;
    take_input(**batch);
    if (spare_input_.size() < kInputCapacity) spare_input_.push(std::move(*batch));
  }
  bool ticked = !replaying_ && pipeline_->next_tick_ms() <= clock.now_ms();
  if (ticked) {
    pipeline_->tick(*pending_output_);
    changed_since_checkpoint_ = true;
  }
  if (!pending_output_->items.empty()) {
    send_output(std::move(pending_output_));
    pending_output_ = fresh_output();
  }
  publish_stats();
  if (pipeline_->over_memory_limit()) {
    fail(Status(ErrorCode::kStreamProcessorWorkerOutOfMemory,
                "Worker out of memory: the processor's state of " +
                    std::to_string(pipeline_->state_bytes()) + " bytes is over its limit of " +
                    std::to_string(environment_.settings.memory_limit_bytes)));
    return Step::kDone;
  }
  if (checkpoint_wanted_.exchange(false) || clock.monotonic_ns() >= next_checkpoint_ns_) {
    send_barrier();
    next_checkpoint_ns_ =
        clock.monotonic_ns() + nanoseconds(environment_.settings.checkpoint_interval).count();
  }
  if (options_.temporary && ((input_ended_ && pipeline_->quiescent()) || samples_finished())) {
    drained_.store(true);
    output_.close();
    return Step::kDone;
  }
  return batch || ticked ? Step::kWorked : Step::kIdle;
}

void ProcessorCore::take_input(SourceBatch& batch) {
  pipeline_->process(batch, *pending_output_);
  if (pipeline_->has_window() && environment_.store != nullptr && !batch.empty()) {
    replay_.note(position_, pipeline_->newest_ms());
  }
  position_ = batch.position;
  input_ended_ = input_ended_ || batch.end_of_input;
  changed_since_checkpoint_ = true;
  if (replaying_ && !batch.replaying) {
    replaying_ = false;
    pipeline_->end_replay();
    pipeline_->tick(*pending_output_);  // the watermark was held: windows may have to close
  }
}

ProcessorCore::Step ProcessorCore::finish_pipeline() {
  if (checkpoint_on_stop_.load() && !aborting_.load()) send_barrier();
  output_.close();
  return Step::kDone;
}

std::unique_ptr<OutputBatch> ProcessorCore::fresh_output() {
  std::lock_guard lock(spare_mutex_);
  if (spare_output_.empty()) return std::make_unique<OutputBatch>();
  auto output = std::move(spare_output_.back());
  spare_output_.pop_back();
  output->clear();
  return output;
}

void ProcessorCore::send_output(std::unique_ptr<OutputBatch> output) {
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

void ProcessorCore::recycle(std::unique_ptr<OutputBatch> output) {
  std::lock_guard lock(spare_mutex_);
  if (spare_output_.size() < 8) spare_output_.push_back(std::move(output));
}

// Sends the state as it is now behind the output it has produced. Nothing to do when nothing has
// happened; nor may there be one while input is replayed, or while the one before is still being
// saved (the last one, at a stop, is never left out).
void ProcessorCore::send_barrier() {
  if (environment_.store == nullptr || replaying_) return;
  bool last = stopping_.load();
  bool saving = snapshot_in_flight_.load();
  if (saving && !last) return;
  bool nothing_new = !changed_since_checkpoint_ && checkpoints_committed_.load() > 0;
  if (nothing_new && !saving && !snapshot_failed_.load()) return;
  auto barrier = std::make_unique<Barrier>();
  if (!last && !snapshot_failed_.load() &&
      pipeline_->state_bytes() >= environment_.settings.fork_bytes) {
    auto snapshot = StateSnapshot::start(*pipeline_);
    if (snapshot.ok()) {
      barrier->snapshot = std::move(*snapshot);
      snapshot_in_flight_.store(true);
    }
  }
  if (barrier->snapshot == nullptr) {
    barrier->state = pipeline_->save();
    snapshot_failed_.store(false);
  }
  barrier->position = position_;
  barrier->counters = pipeline_->stats();
  barrier->letter_bytes = letters_->pipeline_bytes();
  if (pipeline_->has_window()) {
    int64_t oldest_open = pipeline_->oldest_open_ms();
    replay_.forget_before(oldest_open);
    barrier->replay = replay_.encode(oldest_open);
  }
  changed_since_checkpoint_ = false;
  output_.push({nullptr, std::move(barrier)});
}

ProcessorCore::Step ProcessorCore::sink_step(nanoseconds wait) {
  if (sink_done_.load()) return Step::kDone;
  if (Status lost = dlq_->step(); !lost.ok()) {
    fail(lost);
    return finish_sink();
  }
  if (!in_hand_) {
    if (saving_ != nullptr && saving_->snapshot->finished()) {
      in_hand_ = OutputMessage{nullptr, std::move(saving_)};
    } else if (auto message =
                   output_.pop(saving_ != nullptr ? std::min(wait, kSnapshotWait) : wait)) {
      in_hand_ = std::move(message);
    } else if (!output_.closed() || output_.size() > 0) {
      return Step::kIdle;
    } else if (aborting_.load() || flushed_at_end_) {
      return finish_sink();
    } else {
      in_hand_.emplace();
    }
  }
  if (aborting_.load()) return finish_sink();
  if (in_hand_->barrier != nullptr && in_hand_->barrier->snapshot != nullptr &&
      !in_hand_->barrier->snapshot->finished()) {
    saving_ = std::move(in_hand_->barrier);  // what follows is written meanwhile
    in_hand_.reset();
    return Step::kWorked;
  }
  const Clock& clock = *environment_.pipeline.clock;
  if (!sink_backoff_.due(clock)) return Step::kWaiting;
  Status status = handle(*in_hand_);
  if (status.ok()) {
    sink_backoff_.reset();
    if (in_hand_->batch != nullptr) recycle(std::move(in_hand_->batch));
    in_hand_.reset();
    return Step::kWorked;
  }
  if (retryable(status) && sink_backoff_.failed(clock)) return Step::kWaiting;
  if (!aborting_.load()) fail(status);
  return finish_sink();
}

ProcessorCore::Step ProcessorCore::finish_sink() {
  saving_.reset();
  snapshot_in_flight_.store(false);
  output_.close();
  output_.discard();
  sink_done_.store(true);
  return Step::kDone;
}

// May be repeated after an error.
Status ProcessorCore::handle(OutputMessage& message) {
  if (message.batch != nullptr) {
    int64_t begin = environment_.pipeline.clock->monotonic_ns();
    MR_RETURN_IF_ERROR(pipeline_->sink_writer()->write(*message.batch, *letters_));
    note_latency(*message.batch, begin);
    return {};
  }
  if (message.barrier != nullptr) {
    saving_.reset();  // an older one
    return commit(*message.barrier);
  }
  MR_RETURN_IF_ERROR(flush_sink());
  flushed_at_end_ = true;
  return {};
}

void ProcessorCore::note_latency(const OutputBatch& batch, int64_t write_begin_ns) {
  const Clock& clock = *environment_.pipeline.clock;
  int64_t now_ns = clock.monotonic_ns();
  int64_t read_ns = batch.read_ns != 0 ? batch.read_ns : write_begin_ns;
  auto count = static_cast<int64_t>(batch.items.size());
  std::lock_guard lock(mutex_);
  sink_latency_.add(now_ns - write_begin_ns, count, clock.now_ms());
  latency_.add(now_ns - read_ns + pipeline_->window_ms() * 1'000'000, count, clock.now_ms());
}

Status ProcessorCore::flush_sink() {
  if (pipeline_->sink_writer() != nullptr) {
    MR_RETURN_IF_ERROR(pipeline_->sink_writer()->flush(*letters_));
  }
  return dlq_->flush();
}

Status ProcessorCore::commit(Barrier& barrier) {
  if (barrier.snapshot != nullptr) {
    auto saved = barrier.snapshot->take();
    if (!saved
             .ok()) {  // the checkpoint before stays the last one; the next is made without a child
      spdlog::warn("stream processor {}: {}", options_.definition.name, saved.status().message());
      snapshot_failed_.store(true);
      snapshot_in_flight_.store(false);
      want_checkpoint();
      return {};
    }
  }
  MR_RETURN_IF_ERROR(flush_sink());
  if (Status stored = store_checkpoint(barrier); !stored.ok()) {
    return Status(stored.code(), "a checkpoint could not be written: " + stored.message());
  }
  if (barrier.snapshot != nullptr) snapshot_in_flight_.store(false);
  {
    std::lock_guard lock(mutex_);
    stats_.checkpoint_position = barrier.position;
  }
  pipeline_->source()->on_committed(barrier.position.value());
  checkpoints_committed_.fetch_add(1);
  return {};
}

Status ProcessorCore::store_checkpoint(const Barrier& barrier) {
  std::vector<storage::CheckpointBlobView> blobs;
  blobs.push_back({kSourceBlob, kStateVersion, barrier.position.bytes()});
  if (pipeline_->has_window())
    blobs.push_back({kReplayBlob, kStateVersion, barrier.replay.bytes()});
  for (const auto& [name, state] : barrier.state)
    blobs.push_back({name, kStateVersion, state.bytes()});
  if (barrier.snapshot != nullptr) {
    MR_ASSIGN_OR_RETURN(auto saved, barrier.snapshot->take());
    for (const auto& [name, bytes] : saved) blobs.push_back({name, kStateVersion, bytes});
  }
  storage::CheckpointHeader header;
  header.id = ObjectId::generate().to_hex();
  header.time_ms = environment_.pipeline.clock->now_ms();
  header.details = encode_details(barrier);
  return environment_.store->write([&](storage::WriteTransaction& txn) -> Status {
    auto sequence = storage::put_checkpoint(txn, options_.definition.id, header, blobs);
    return sequence.ok() ? Status() : sequence.status();
  });
}

// The counters of all runs, this one included, and what the windows were collected by.
Document ProcessorCore::encode_details(const Barrier& barrier) const {
  ProcessorCounters total = options_.counters;
  total.add(barrier.counters, barrier.letter_bytes + letters_->sink_bytes());
  total.dlq_count += letters_->sink_letters();
  BsonWriter w;
  w.begin_document();
  Document counters = total.encode();
  for (const Field& field : counters.view()) w.append(field.name(), field.value);
  w.append("windows", windows_);
  w.end();
  return Document(w.bytes());
}

void ProcessorCore::want_checkpoint() {
  checkpoint_wanted_.store(true);
  input_.wake();
}

void ProcessorCore::fail(Status status) {
  {
    std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = std::move(status);
  }
  aborting_.store(true);
  for (const auto& cursor : current_samples()) cursor->end(failure());
  request_stop(false);
  output_.close();
  ended_.store(true);
}

Status ProcessorCore::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void ProcessorCore::request_stop(bool checkpoint) {
  checkpoint_on_stop_.store(checkpoint && environment_.store != nullptr);
  stopping_.store(true);
  input_.close();
  input_.wake();
  spare_input_.close();
}

void ProcessorCore::close() {
  if (pipeline_ == nullptr) return;
  pipeline_->source()->close();
  if (pipeline_->sink_writer() != nullptr) pipeline_->sink_writer()->close();
  dlq_->close();
  publish_stats();
  ended_.store(true);
}

std::vector<SampleCursorPtr> ProcessorCore::current_samples() {
  if (sample_count_.load(std::memory_order_relaxed) == 0) return {};
  std::lock_guard lock(mutex_);
  if (!options_.temporary) {
    std::erase_if(samples_, [](const SampleCursorPtr& cursor) { return cursor->finished(); });
  }
  sample_count_.store(samples_.size());
  return samples_;
}

bool ProcessorCore::samples_finished() {
  auto samples = current_samples();
  return !samples.empty() && std::all_of(samples.begin(), samples.end(),
                                         [](const auto& cursor) { return cursor->finished(); });
}

void ProcessorCore::add_sample(SampleCursorPtr cursor) {
  std::lock_guard lock(mutex_);
  if (ended_.load()) cursor->end(failure_);
  samples_.push_back(std::move(cursor));
  sample_count_.store(samples_.size());
}

void ProcessorCore::publish_stats() {
  RunStats stats;
  stats.pipeline = pipeline_->stats();
  stats.pipeline.dlq_count += letters_->sink_letters();
  stats.dlq_bytes = dlq_->bytes();
  stats.state_bytes = pipeline_->state_bytes();
  stats.watermark_ms = pipeline_->has_window() ? pipeline_->watermark_ms() : kNoWatermark;
  stats.processed_position = position_;
  stats.operators.push_back(
      {std::string(pipeline_->source()->name()), pipeline_->source_stats(), 0, {}, {}});
  size_t index = 0;
  for (const OperatorPtr& op : pipeline_->operators()) {
    BsonWriter extra;
    extra.begin_document();
    op->add_stats(extra);
    extra.end();
    op->stats.max_state_bytes = std::max(op->stats.max_state_bytes, op->state_bytes());
    stats.operators.push_back({std::string(op->name()), op->stats, op->state_bytes(),
                               pipeline_->latency(index++), Document(extra.bytes())});
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
        {std::string(pipeline_->sink_encoder()->name()), sink, 0, {}, Document(extra.bytes())});
  }
  int64_t now_ms = environment_.pipeline.clock->now_ms();
  std::lock_guard lock(mutex_);
  stats.latency = latency_.summary(now_ms);
  if (pipeline_->sink_encoder() != nullptr) {
    stats.operators.back().latency = sink_latency_.summary(now_ms);
  }
  stats.checkpoint_position = stats_.checkpoint_position;
  stats_ = std::move(stats);
}

RunStats ProcessorCore::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void ProcessorCore::add_source_stats(const RunStats& stats, BsonWriter& writer) const {
  pipeline_->source()->add_stats(present(stats.processed_position),
                                 present(stats.checkpoint_position), writer);
}

Document stored_source_stats(const PipelineSpec& spec, const PipelineEnvironment& environment,
                             storage::Store& store) {
  auto read = [&]() -> Result<storage::CheckpointRead> {
    MR_ASSIGN_OR_RETURN(auto txn, store.read());
    return storage::read_checkpoint_blob(*txn, spec.processor_id, kSourceBlob);
  }();
  auto pipeline = Pipeline::build(spec, environment);
  if (!read.ok() || !read->checkpoint || !pipeline.ok()) return {};
  const storage::CheckpointBlob* blob = read->checkpoint->find(kSourceBlob);
  if (blob == nullptr || blob->version != kStateVersion || !validate_bson(blob->bytes).ok())
    return {};
  Document position(blob->bytes);
  BsonWriter writer;
  writer.begin_document();
  (*pipeline)->source()->add_stats(present(position), present(position), writer);
  writer.end();
  return Document(writer.bytes());
}

}  // namespace millrace::engine
