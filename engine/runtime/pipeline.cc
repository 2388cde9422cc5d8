#include "engine/runtime/pipeline.h"

#include <algorithm>

#include "engine/document/compare.h"
#include "engine/window/window_operator.h"

namespace millrace::engine {
namespace {

// Runs an action when a scope ends.
template <typename F>
struct AtExit {
  F action;
  ~AtExit() { action(); }
};
template <typename F>
AtExit(F) -> AtExit<F>;

}  // namespace

Pipeline::Pipeline(const PipelineEnvironment& environment)
    : Downstream(environment.portion_documents),
      parse_(memory_of_names_),
      clock_(environment.clock),
      portion_bytes_(environment.portion_bytes) {
  parse_.in_stream = true;
  context_.clock = clock_;
  context_.eval.clock = clock_;
  context_.dead_letters = this;
  context_.downstream = this;
  context_.memory = &memory_;
}

Pipeline::~Pipeline() = default;

void Pipeline::begin() {
  if (has_window_ && source_.source != nullptr)
    watermarks_.begin_batch(source_.source->partitions().size(), clock_->now_ms());
}

void Pipeline::process(SourceBatch& batch, OutputBatch& output) {
  source_batch_ = &batch;
  output_ = &output;
  AtExit done{[this] { source_batch_ = nullptr; }};
  batch_.clear();
  newest_ms_ = kNoWatermark;
  decode(batch);
  if (window_ != nullptr && window_->by_processing_time()) newest_ms_ = clock_->now_ms();
  batch_.watermark_ms = watermarks_.current();
  batch_.consumed = static_cast<int64_t>(batch.records.size());
  run_operators(0, batch_);
  encode(batch_);
}

// How many records of the batch come before the end of a replay, behind which watermarks move and
// documents are late as ever; all of them when it goes on.
size_t Pipeline::replayed_records(const SourceBatch& batch) const {
  if (!watermarks_.held() || batch.replaying) return std::numeric_limits<size_t>::max();
  size_t count = batch.records.size();
  while (count > 0 && !batch.records[count - 1].replayed) --count;
  return count;
}

void Pipeline::decode(SourceBatch& batch) {
  current_operator_ = 0;
  context_.eval.arena = &batch_.arena;
  if (has_window_)
    watermarks_.begin_batch(source_.source != nullptr ? source_.source->partitions().size() : 1,
                            batch.ingest_ms);
  bool json = batch.format == PayloadFormat::kJson;
  if (json) json_->start(batch);
  batch_.documents.reserve(batch.records.size());
  size_t replayed = replayed_records(batch);
  for (const SourceRecord& record : batch.records) {
    if (replayed == 0) end_replay();
    replayed -= replayed > 0;
    if (!record.replayed) {  // else it was counted the first time
      ++stats_.input_count;
      stats_.input_bytes += record.payload_size;
    }
    Value body;
    if (!json) {
      body = bson_->decode(batch.payload(record), batch_.arena);
    } else if (const char* error = json_->next(record, batch_.arena, &body); error != nullptr) {
      reject_payload(batch, record, error);
      continue;
    }
    if (record.fault != nullptr) {  // the source's own objection (a key that does not fit
                                    // keyFormat, no fullDocument)
      StreamDocument faulty;
      faulty.body = body;
      faulty.record = &record;
      faulty.timestamp_ms = record.timestamp_ms;
      ++source_stats_.dlq_count;
      add(faulty, source_name_, record.fault);
      continue;
    }
    accept(record, body);
  }
  source_stats_.input_count = stats_.input_count;
  source_stats_.input_bytes = stats_.input_bytes;
  source_stats_.output_count += static_cast<int64_t>(batch_.documents.size());
}

// A payload that is no document: its text (or bytes) go to the dead letters under the name `value`.
void Pipeline::reject_payload(const SourceBatch& batch, const SourceRecord& record,
                              std::string_view reason) {
  std::string_view payload = batch.payload(record);
  Field field("value", is_valid_utf8(payload) ? Value::string(payload) : Value::binary(0, payload));
  Value document = Value::object({&field, 1});
  ++source_stats_.dlq_count;
  ++stats_.dlq_count;
  if (target_ == nullptr) return;
  Value meta = describe(record, Value::object({}), record.timestamp_ms, batch_.arena);
  target_->add(document, projected_meta(meta, batch_.arena), source_name_,
               "Failed to parse the message as JSON: " + std::string(reason));
}

void Pipeline::accept(const SourceRecord& record, Value body) {
  StreamDocument document;
  document.body = body;
  document.record = &record;
  document.timestamp_ms = record.timestamp_ms;
  if (source_.time_field != nullptr) {
    context_.eval.root = body;
    try {
      Value time = source_.time_field->evaluate(context_.eval);
      if (!time.is(Type::kDate))
        fail_evaluation(ErrorCode::kBadValue,
                        "timeField gives no date but " + std::string(time.type_name()));
      document.timestamp_ms = time.as_date();
    } catch (const EvaluationError& error) {
      ++source_stats_.dlq_count;
      add(document, source_name_, "Failed to evaluate timeField: " + error.status().message());
      return;
    }
  }
  if (record.replayed && document.timestamp_ms < replay_floor_ms_ &&
      !window_->by_processing_time()) {
    return;
  }
  if (has_window_) {
    newest_ms_ = std::max(newest_ms_, document.timestamp_ms);
    document.watermark_ms = watermarks_.current();
    watermarks_.observe(record.partition, document.timestamp_ms);
  }
  if (needs_meta_) document.meta = describe(record, body, document.timestamp_ms, batch_.arena);
  project_metadata(document, batch_.arena);
  batch_.documents.push_back(document);
}

// {source: {type, …, ts}}: ts comes last, so that the form shown inside documents, which has none,
// is a prefix.
Value Pipeline::describe(const SourceRecord& record, const Value& body, int64_t timestamp_ms,
                         Arena& arena) const {
  ObjectBuilder source(arena);
  source.add("type", Value::string(source_type_));
  if (source_.source != nullptr) source_.source->describe(record, body, arena, source);
  source.add("ts", Value::date(timestamp_ms));
  ObjectBuilder meta(arena, 1);
  meta.add("source", source.finish());
  return meta.finish();
}

Value Pipeline::projected_meta(const Value& meta, Arena& arena) const {
  if (!meta.is_object()) return meta;
  ObjectBuilder projected(arena);
  for (const Field& field : meta.as_object()) {
    Value value = field.value;
    if (field.name() == "source" && value.is_object() && value.is_tree()) {
      auto fields = value.tree_fields();
      if (!fields.empty() && fields.back().name() == "ts")
        value = Value::object(fields.first(fields.size() - 1));
    }
    projected.add(field.name(), value);
  }
  return projected.finish();
}

// Adds the event time and the metadata to the body: behind the payload's fields, in this order.
void Pipeline::project(StreamDocument& document, std::string_view ts_name,
                       std::string_view meta_name, Arena& arena) const {
  bool ts = !ts_name.empty() && document.record != nullptr;
  bool meta = !meta_name.empty();
  if (!ts && !meta) return;
  auto fields = object_fields(document.body, arena);
  ObjectBuilder body(arena, fields.size() + 2);
  for (const Field& field : fields) {
    if ((ts && field.has_name(ts_name)) || (meta && field.has_name(meta_name))) continue;
    body.add(field.name(), field.value);
  }
  if (ts) body.add(ts_name, Value::date(document.timestamp_ms));
  if (meta) body.add(meta_name, projected_meta(document.meta, arena));
  document.body = body.finish();
}

void Pipeline::project_at_end(Batch& batch) {
  if (ts_name_at_end_.empty() && meta_name_at_end_.empty()) return;
  for (StreamDocument& document : batch.documents)
    project(document, ts_name_at_end_, meta_name_at_end_, batch.arena);
}

namespace {

// BSON bytes of the batch's documents. Of a large batch a few are measured: the figure is for
// stats.
int64_t batch_bytes(const Batch& batch) {
  constexpr size_t kMeasured = 16;
  size_t count = batch.documents.size();
  size_t step = count <= kMeasured ? 1 : count / 2;
  int64_t bytes = 0;
  int64_t measured = 0;
  for (size_t i = 0; i < count; i += step, ++measured)
    bytes += static_cast<int64_t>(bson_size(batch.documents[i].body));
  return measured == 0 ? 0 : bytes * static_cast<int64_t>(count) / measured;
}

}  // namespace

void Pipeline::run_operators(size_t from, Batch& batch) {
  int64_t bytes = from < operators_.size() ? batch_bytes(batch) : 0;
  for (size_t i = from; i < operators_.size(); ++i) {
    if (i == complete_at_) complete_documents(batch);
    current_operator_ = i;
    auto entering = static_cast<int64_t>(batch.documents.size());
    OperatorStats& stats = operators_[i]->stats;
    stats.input_bytes += bytes;
    int64_t passed_on = passed_on_ns_;
    int64_t begin = clock_->monotonic_ns();
    operators_[i]->on_batch(batch, context_);
    int64_t taken = clock_->monotonic_ns() - begin - (passed_on_ns_ - passed_on);
    stats.execution_ns += taken;
    latencies_[i].add(taken, entering, clock_->now_ms());
    bytes = leave_operator(i, batch);
  }
  if (complete_at_ == operators_.size()) complete_documents(batch);
  current_operator_ = operators_.size();
}

// What the operator has given is complete. Returns its size.
int64_t Pipeline::leave_operator(size_t index, Batch& batch) {
  int64_t bytes = batch_bytes(batch);
  operators_[index]->stats.output_bytes += bytes;
  if (has_window_ && index == window_index_ && !meta_name_.empty()) {
    for (StreamDocument& document : batch.documents) project_metadata(document, batch.arena);
  }
  return bytes;
}

void Pipeline::pass_on(Batch& batch) {
  int64_t begin = clock_->monotonic_ns();
  size_t index = current_operator_;
  Arena* arena = context_.eval.arena;
  context_.eval.arena = &batch.arena;
  leave_operator(index, batch);
  run_operators(index + 1, batch);
  encode(batch);
  context_.eval.arena = arena;
  current_operator_ = index;
  passed_on_ns_ += clock_->monotonic_ns() - begin;
}

// Behind the stages that only filter: what is left is wanted whole.
void Pipeline::complete_documents(Batch& batch) {
  for (StreamDocument& document : batch.documents) {
    if (document.record == nullptr) continue;
    document.body = whole_body(*document.record, batch.arena);
    project_metadata(document, batch.arena);
  }
}

Value Pipeline::whole_body(const SourceRecord& record, Arena& arena) {
  std::string_view payload = source_batch_->payload(record);
  if (source_batch_->format == PayloadFormat::kBson) return Value::bson_object(payload.data());
  Value body;
  if (json_->decode_whole(payload, arena, &body) != nullptr)
    return Value::object({});  // not reached: it was decoded once already
  return body;
}

void Pipeline::encode(Batch& batch) {
  project_at_end(batch);
  for (const StreamDocument& document : batch.documents) {
    OutputBatch& output = *output_;
    size_t before = output.documents.size();
    if (sink_.encoder == nullptr) {
      auto begin = static_cast<uint32_t>(output.documents.size());
      output.documents.append_document(document.body);
      output.items.push_back({begin, static_cast<uint32_t>(output.documents.size()) - begin, 0, 0});
    } else {
      ++sink_.encoder->stats.input_count;
      context_.eval.arena = &batch.arena;
      context_.eval.root = document.body;
      context_.eval.stream_meta = document.meta;
      try {
        sink_.encoder->encode(document, context_, output);
      } catch (const EvaluationError& error) {
        ++sink_.encoder->stats.dlq_count;
        add(document, sink_.encoder->name(), error.status().message());
        continue;
      }
      ++sink_.encoder->stats.output_count;
    }
    ++stats_.output_count;
    auto bytes = static_cast<int64_t>(output.documents.size() - before);
    stats_.output_bytes += bytes;
    if (sink_.encoder != nullptr) sink_.encoder->stats.output_bytes += bytes;
    if (output.documents.size() >= portion_bytes_ && relay_) output_ = &relay_(output);
  }
}

void Pipeline::tick(OutputBatch& output) {
  output_ = &output;
  int64_t now = clock_->now_ms();
  if (has_window_) watermarks_.tick(now);
  for (size_t i = 0; i < operators_.size(); ++i) {
    bool due = operators_[i]->next_tick_ms() <= now;
    bool moved = has_window_ && i == window_index_ && watermarks_.current() != kNoWatermark;
    if (!due && !moved) continue;
    begin_operator(i);
    if (moved) operators_[i]->on_batch(batch_, context_);
    if (due) operators_[i]->on_tick(batch_, context_);
    end_operator(i);
  }
}

void Pipeline::finish(OutputBatch& output) {
  output_ = &output;
  for (size_t i = 0; i < operators_.size(); ++i) {
    begin_operator(i);
    operators_[i]->on_end(batch_, context_);
    end_operator(i);
  }
}

// One operator works without input.
void Pipeline::begin_operator(size_t index) {
  batch_.clear();
  batch_.watermark_ms = watermarks_.current();
  current_operator_ = index;
  context_.eval.arena = &batch_.arena;
}

void Pipeline::end_operator(size_t index) {
  leave_operator(index, batch_);
  run_operators(index + 1, batch_);
  encode(batch_);
}

int64_t Pipeline::next_tick_ms() const {
  int64_t next = std::numeric_limits<int64_t>::max();
  for (const OperatorPtr& op : operators_) next = std::min(next, op->next_tick_ms());
  if (has_window_) next = std::min(next, watermarks_.next_tick_ms());
  return next;
}

void Pipeline::add(const StreamDocument& document, std::string_view operator_name,
                   std::string_view reason) {
  if (rerunning_) return;  // what fails here failed, and was counted, the first time
  if (document.record != nullptr && document.record->replayed && reason == kLateReason) return;
  ++stats_.dlq_count;
  if (target_ == nullptr) return;
  Batch scratch;
  StreamDocument whole = document;
  if (pruned_ && document.record != nullptr && current_operator_ < complete_at_)
    whole = complete_document(document, scratch);
  if (whole.meta.is_missing()) {
    whole.meta = whole.record != nullptr
                     ? describe(*whole.record, whole.body, whole.timestamp_ms, scratch.arena)
                     : source_meta_;
  }
  target_->add(whole.body, projected_meta(whole.meta, scratch.arena), operator_name, reason);
}

void Pipeline::make_source_meta() {
  Arena& arena = parse_.constants();
  ObjectBuilder source(arena, 1);
  source.add("type", Value::string(source_type_));
  ObjectBuilder meta(arena, 1);
  meta.add("source", source.finish());
  source_meta_ = meta.finish();
}

StreamDocument Pipeline::complete_document(const StreamDocument& pruned, Batch& scratch) {
  EvalContext& eval = context_.eval;
  Arena* arena = eval.arena;
  Value root = eval.root;
  Value meta = eval.stream_meta;
  size_t index = current_operator_;
  rerunning_ = true;
  AtExit restore{[&] {
    eval.arena = arena;
    eval.root = root;
    eval.stream_meta = meta;
    current_operator_ = index;
    rerunning_ = false;
  }};
  StreamDocument whole;
  whole.record = pruned.record;
  whole.timestamp_ms = pruned.timestamp_ms;
  whole.watermark_ms = pruned.watermark_ms;
  whole.body = whole_body(*pruned.record, scratch.arena);
  whole.meta = describe(*pruned.record, whole.body, pruned.timestamp_ms, scratch.arena);
  project_metadata(whole, scratch.arena);
  scratch.documents.push_back(whole);
  for (size_t i = 0; i < index && i < operators_.size(); ++i) {
    OperatorStats stats = operators_[i]->stats;
    operators_[i]->on_batch(scratch, context_);
    operators_[i]->stats = stats;
  }
  for (const StreamDocument& document : scratch.documents) {
    if (document.ordinal == pruned.ordinal) return document;
  }
  return pruned;  // a stage that answers differently each time ($rand, $currentDate) dropped it now
}

int64_t Pipeline::state_bytes() const {
  int64_t bytes = 0;
  for (const OperatorPtr& op : operators_) bytes += op->state_bytes();
  return bytes;
}

Pipeline::State Pipeline::save() const {
  State state;
  if (has_window_) {
    BsonWriter writer;
    writer.begin_document();
    watermarks_.save(writer);
    writer.end();
    state.emplace_back("watermarks", Document(writer.bytes()));
  }
  for (size_t i = 0; i < operators_.size(); ++i) {
    if (!operators_[i]->has_state()) continue;
    BsonWriter writer;
    writer.begin_document();
    operators_[i]->on_checkpoint(writer);
    writer.end();
    state.emplace_back(state_name(i), Document(writer.bytes()));
  }
  return state;
}

std::string Pipeline::state_name(size_t index) const {
  // Not the position: stages may be added before and behind a window between a checkpoint and the
  // next start.
  return std::string(operators_[index]->name());
}

Status Pipeline::restore(const State& state) { return restore(state, true); }
Status Pipeline::restore_bounds(const State& state) { return restore(state, false); }

void Pipeline::begin_replay(int64_t floor_ms) {
  replay_floor_ms_ = floor_ms;
  watermarks_.hold(true);
}

Status Pipeline::restore(const State& state, bool with_contents) {
  for (const auto& [name, document] : state) {
    if (name == "watermarks") {
      MR_RETURN_IF_ERROR(watermarks_.restore(document.value(), clock_->now_ms()));
      continue;
    }
    bool known = false;
    for (size_t i = 0; i < operators_.size() && !known; ++i) {
      if (!operators_[i]->has_state() || state_name(i) != name) continue;
      context_.eval.arena = &batch_.arena;
      MR_RETURN_IF_ERROR(with_contents ? operators_[i]->restore(document.value(), context_)
                                       : window_->restore_bounds(document.value(), context_));
      known = true;
    }
    if (!known) {
      return Status(
          ErrorCode::kStreamProcessorInvalidOptions,
          "the checkpoint holds the state of " + name + ", which the pipeline does not have");
    }
  }
  return {};
}

}  // namespace millrace::engine
