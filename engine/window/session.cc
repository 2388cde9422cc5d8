// $sessionWindow: for each value of partitionBy, windows that last as long as documents follow each
// other by less than the gap. Source:
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-session/
#include <algorithm>
#include <queue>

#include "engine/stage/group_keys.h"
#include "engine/window/inner_pipeline.h"
#include "engine/window/window_geometry.h"
#include "engine/window/window_operator.h"
#include "engine/window/window_options.h"
#include "engine/window/windows.h"

namespace millrace::engine {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr uint32_t kNone = UINT32_MAX;

struct Session {
  uint32_t key = 0;         // in keys_
  uint32_t next = kNone;    // another session of the same key
  uint32_t generation = 0;  // counts the uses of this place
  bool open = false;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  WindowContent content;
};

class SessionWindowOperator final : public WindowStage {
 public:
  SessionWindowOperator(WindowOptions options, std::unique_ptr<InnerPipeline> pipeline)
      : options_(std::move(options)),
        pipeline_(std::move(pipeline)),
        keys_([this](std::vector<bool>& live) {
          for (const Session& session : sessions_) {
            if (session.open) live[session.key] = true;
          }
        }) {
    CollectingRules rules;
    rules.pieces_interleave = true;  // sessions that become one had documents by turns
    rules.bounds_known = false;
    pipeline_->plan(rules);
  }

  std::string_view name() const override { return "SessionWindowOperator"; }
  void dependencies(Dependencies& dependencies) const override {
    pipeline_->dependencies(dependencies);
    options_.partition_by->add_dependencies(dependencies);
  }
  void on_batch(Batch& batch, OperatorContext& context) override;
  void on_end(Batch& batch, OperatorContext& context) override;
  void on_tick(Batch& batch, OperatorContext& context) override;
  int64_t next_tick_ms() const override;
  void on_checkpoint(BsonWriter& state) const override;
  Status restore(const Value& state, OperatorContext&) override {
    return restore_from(state, true);
  }
  Status restore_bounds(const Value& state, OperatorContext&) override {
    return restore_from(state, false);
  }
  int64_t oldest_open_ms() const override;
  bool by_processing_time() const override { return options_.processing_time; }
  int64_t length_ms() const override { return options_.gap_ms; }
  int64_t state_bytes() const override;
  void add_stats(BsonWriter& stats) const override;

 private:
  Status restore_from(const Value& state, bool with_contents);
  // A session that may be over once time has passed `max_ms` and the gap; `max_ms` may have grown
  // since.
  struct Deadline {
    int64_t max_ms;
    uint32_t session;
    uint32_t generation;
    bool operator>(const Deadline& other) const { return max_ms > other.max_ms; }
  };

  void take(StreamDocument& document, Batch& batch, OperatorContext& context);
  uint32_t session_for(uint32_t key, int64_t time_ms);
  uint32_t open_session(uint32_t key, int64_t min_ms, int64_t max_ms);
  void release(uint32_t index);
  void absorb(uint32_t into, uint32_t from);
  void add(Session& session, StreamDocument& document, Batch& batch, OperatorContext& context);
  void reject(const StreamDocument& document, std::string_view reason, OperatorContext& context);
  void raise_watermark(int64_t watermark_ms, OperatorContext& context);
  void close_until(int64_t time_ms, OperatorContext& context);
  void close(uint32_t index, OperatorContext& context);
  int64_t wait_ms() const { return options_.gap_ms + options_.allowed_lateness_ms; }

  // Configuration.
  WindowOptions options_;
  std::unique_ptr<InnerPipeline> pipeline_;

  // State that a checkpoint saves.
  GroupKeys keys_;
  std::vector<Session> sessions_;
  int64_t watermark_ms_ = kNoWatermark;  // by processing time: the clock

  // State that it does not.
  std::vector<uint32_t> free_;    // places in sessions_
  std::vector<uint32_t> by_key_;  // key -> its first session, or kNone
  std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines_;
  int64_t content_bytes_ = 0;
  std::vector<StreamDocument> input_;
  Batch arrival_;
};

void SessionWindowOperator::on_batch(Batch& batch, OperatorContext& context) {
  output_.begin();
  input_.clear();
  input_.swap(batch.documents);
  stats.input_count += static_cast<int64_t>(input_.size());
  if (options_.processing_time) raise_watermark(context.clock->now_ms(), context);
  for (StreamDocument& document : input_) take(document, batch, context);
  if (!options_.processing_time) raise_watermark(batch.watermark_ms, context);
  stats.output_count += output_.hand_over(batch);
  stats.max_state_bytes = std::max(stats.max_state_bytes, state_bytes());
}

void SessionWindowOperator::take(StreamDocument& document, Batch& batch, OperatorContext& context) {
  if (!options_.processing_time) raise_watermark(document.watermark_ms, context);
  int64_t time = options_.processing_time ? watermark_ms_ : document.timestamp_ms;
  if (time > kMaxEventTimeMs || time < -kMaxEventTimeMs)
    return reject(document, kTimeRangeReason, context);
  context.eval.arena = &batch.arena;
  context.eval.root = document.body;
  context.eval.stream_meta = document.meta;
  uint32_t key;
  try {
    key = keys_.intern(GroupKeys::prepare(options_.partition_by->evaluate(context.eval)));
  } catch (const EvaluationError& error) {
    return reject(document, error.status().message(), context);
  }
  if (key >= by_key_.size()) by_key_.resize(std::max<size_t>(key + 1, keys_.id_limit()), kNone);
  uint32_t index = session_for(key, time);
  if (index == kNone) {
    bool late = watermark_ms_ != kNoWatermark &&
                time < watermark_ms_;  // lateness does not let a document begin a session
    if (late) return reject(document, kLateReason, context);
    index = open_session(key, time, time);
  }
  Session& session = sessions_[index];
  session.min_ms = std::min(session.min_ms, time);
  session.max_ms = std::max(session.max_ms, time);
  add(session, document, batch, context);
}

// The session of `key` that a document at `time_ms` joins; several become one, the oldest. kNone if
// there is none.
uint32_t SessionWindowOperator::session_for(uint32_t key, int64_t time_ms) {
  uint32_t joined = kNone;
  for (uint32_t i = by_key_[key]; i != kNone;) {
    uint32_t next = sessions_[i].next;
    const Session& session = sessions_[i];
    if (time_ms < session.max_ms + options_.gap_ms && time_ms > session.min_ms - options_.gap_ms) {
      if (joined == kNone) {
        joined = i;
      } else if (sessions_[i].min_ms < sessions_[joined].min_ms) {
        absorb(i, joined);
        joined = i;
      } else {
        absorb(joined, i);
      }
    }
    i = next;
  }
  return joined;
}

uint32_t SessionWindowOperator::open_session(uint32_t key, int64_t min_ms, int64_t max_ms) {
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(sessions_.size());
    sessions_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Session& session = sessions_[index];
  session.key = key;
  session.next = by_key_[key];
  session.open = true;
  session.min_ms = min_ms;
  session.max_ms = max_ms;
  session.content = pipeline_->make_content();
  content_bytes_ += session.content.bytes();
  by_key_[key] = index;
  deadlines_.push({max_ms, index, session.generation});
  return index;
}

void SessionWindowOperator::release(uint32_t index) {
  Session& session = sessions_[index];
  uint32_t* link = &by_key_[session.key];
  while (*link != index) link = &sessions_[*link].next;
  *link = session.next;
  content_bytes_ -= session.content.bytes();
  session.content = {};
  session.open = false;
  ++session.generation;
  free_.push_back(index);
}

void SessionWindowOperator::absorb(uint32_t into, uint32_t from) {
  Session& to = sessions_[into];
  const Session& other = sessions_[from];
  content_bytes_ -= to.content.bytes();
  pipeline_->merge(to.content, other.content);
  content_bytes_ += to.content.bytes();
  to.min_ms = std::min(to.min_ms, other.min_ms);
  to.max_ms = std::max(to.max_ms, other.max_ms);
  release(from);
}

void SessionWindowOperator::add(Session& session, StreamDocument& document, Batch& batch,
                                OperatorContext& context) {
  std::span<StreamDocument> documents(&document, 1);
  if (pipeline_->has_arrival_stages()) {
    arrival_.clear();
    arrival_.documents.push_back(document);
    arrival_.watermark_ms = watermark_ms_;
    pipeline_->arrive(arrival_, context);
    context.eval.arena = &batch.arena;
    documents = arrival_.documents;
    if (documents.empty()) return;
  }
  content_bytes_ -= session.content.bytes();
  pipeline_->add(session.content, documents, nullptr, source_type_, context);
  content_bytes_ += session.content.bytes();
}

void SessionWindowOperator::reject(const StreamDocument& document, std::string_view reason,
                                   OperatorContext& context) {
  ++stats.dlq_count;
  context.dead_letters->add(document, name(), reason);
}

void SessionWindowOperator::raise_watermark(int64_t watermark_ms, OperatorContext& context) {
  if (watermark_ms == kNoWatermark || watermark_ms <= watermark_ms_) return;
  watermark_ms_ = std::clamp(watermark_ms, -kMaxEventTimeMs, kMaxEventTimeMs);
  close_until(watermark_ms_ - wait_ms(), context);
}

// Closes all sessions whose last document is not after `time_ms`: ascending by last, then by first
// document.
void SessionWindowOperator::close_until(int64_t time_ms, OperatorContext& context) {
  std::vector<uint32_t> over;
  while (!deadlines_.empty() && deadlines_.top().max_ms <= time_ms) {
    Deadline deadline = deadlines_.top();
    deadlines_.pop();
    Session& session = sessions_[deadline.session];
    if (!session.open || session.generation != deadline.generation) continue;
    if (session.max_ms <= time_ms) {
      over.push_back(deadline.session);
    } else {
      deadlines_.push({session.max_ms, deadline.session, deadline.generation});
    }
  }
  std::sort(over.begin(), over.end(), [&](uint32_t a, uint32_t b) {
    const Session& left = sessions_[a];
    const Session& right = sessions_[b];
    return left.max_ms != right.max_ms ? left.max_ms < right.max_ms : left.min_ms < right.min_ms;
  });
  for (uint32_t index : over) close(index, context);
}

void SessionWindowOperator::close(uint32_t index, OperatorContext& context) {
  const Session& session = sessions_[index];
  if (!session.content.empty()) {
    WindowBounds bounds{session.min_ms, session.max_ms + options_.gap_ms, keys_.view(session.key)};
    const WindowContent* part = &session.content;
    pipeline_->close({&part, 1}, bounds, source_type_, watermark_ms_, output_, context);
  }
  release(index);
}

void SessionWindowOperator::on_end(Batch& batch, OperatorContext& context) {
  output_.begin_unless_used(batch);
  close_until(kNever, context);
  stats.output_count += output_.hand_over(batch);
}

void SessionWindowOperator::on_tick(Batch& batch, OperatorContext& context) {
  output_.begin_unless_used(batch);
  raise_watermark(options_.processing_time ? context.clock->now_ms() : batch.watermark_ms, context);
  stats.output_count += output_.hand_over(batch);
}

int64_t SessionWindowOperator::next_tick_ms() const {
  if (!options_.processing_time || free_.size() == sessions_.size()) return kNever;
  return deadlines_.top().max_ms + options_.gap_ms;
}

int64_t SessionWindowOperator::state_bytes() const {
  return content_bytes_ + pipeline_->shared_bytes() + keys_.bytes() +
         static_cast<int64_t>(sessions_.capacity() * sizeof(Session) +
                              deadlines_.size() * sizeof(Deadline) +
                              (by_key_.capacity() + free_.capacity()) * sizeof(uint32_t));
}

void SessionWindowOperator::add_stats(BsonWriter& stats) const {
  int64_t oldest = kNever;
  int64_t newest = std::numeric_limits<int64_t>::min();
  for (const Session& session : sessions_) {
    if (!session.open) continue;
    oldest = std::min(oldest, session.min_ms);
    newest = std::max(newest, session.min_ms);
  }
  if (oldest == kNever) return;
  stats.append("minOpenWindowStartTime", Value::date(oldest));
  stats.append("maxOpenWindowStartTime", Value::date(newest));
}

void SessionWindowOperator::on_checkpoint(BsonWriter& state) const {
  if (watermark_ms_ != kNoWatermark) state.append("watermark", Value::date(watermark_ms_));
  state.append("sequence", static_cast<int64_t>(pipeline_->sequence()));
  state.begin_array("sessions");
  size_t index = 0;
  for (const Session& session : sessions_) {
    if (!session.open) continue;
    state.begin_object(std::to_string(index++));
    state.append("partition", keys_.view(session.key));
    state.append("min", Value::date(session.min_ms));
    state.append("max", Value::date(session.max_ms));
    pipeline_->save(session.content, state);
    state.end();
  }
  state.end();
}

int64_t SessionWindowOperator::oldest_open_ms() const {
  int64_t oldest = kNever;
  for (const Session& session : sessions_) {
    if (session.open) oldest = std::min(oldest, session.min_ms);
  }
  return oldest;
}

Status SessionWindowOperator::restore_from(const Value& state, bool with_contents) {
  Status bad(ErrorCode::kInternalError, "the saved state of a session window is not readable");
  if (!state.is_object()) return bad;
  Value watermark = state.as_object().get("watermark");
  Value sequence = state.as_object().get("sequence");
  Value sessions = state.as_object().get("sessions");
  if (!sequence.is(Type::kInt64) || !sessions.is_array()) return bad;
  if (watermark.is(Type::kDate)) watermark_ms_ = watermark.as_date();
  pipeline_->set_sequence(static_cast<uint64_t>(sequence.as_int64()));
  for (const Value& element : sessions.as_array()) {
    if (!element.is_object()) return bad;
    Value min = element.as_object().get("min");
    Value max = element.as_object().get("max");
    if (!min.is(Type::kDate) || !max.is(Type::kDate)) return bad;
    uint32_t key = keys_.intern(GroupKeys::prepare(element.as_object().get("partition")));
    if (key >= by_key_.size()) by_key_.resize(std::max<size_t>(key + 1, keys_.id_limit()), kNone);
    Session& session = sessions_[open_session(key, min.as_date(), max.as_date())];
    if (!with_contents) continue;
    content_bytes_ -= session.content.bytes();
    MR_RETURN_IF_ERROR(pipeline_->load(session.content, element));
    content_bytes_ += session.content.bytes();
  }
  return {};
}

}  // namespace

Result<OperatorPtr> parse_session_window_stage(std::string_view name, const Value& spec,
                                               StageContext& context) {
  MR_ASSIGN_OR_RETURN(WindowOptions options,
                      parse_window_options(WindowKind::kSession, name, spec, context.parse));
  MR_ASSIGN_OR_RETURN(auto pipeline, InnerPipeline::build(options.pipeline, context));
  return OperatorPtr(
      std::make_unique<SessionWindowOperator>(std::move(options), std::move(pipeline)));
}

}  // namespace millrace::engine
