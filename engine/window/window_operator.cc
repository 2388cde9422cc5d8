#include "engine/window/window_operator.h"

#include <algorithm>

namespace millrace::engine {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();

// Takes what was reported already.
class IgnoreLetters final : public DeadLetters {
 public:
  void add(const StreamDocument&, std::string_view, std::string_view) override {}
};

int64_t clamp_time(int64_t ms) { return std::clamp(ms, -kMaxEventTimeMs, kMaxEventTimeMs); }

}  // namespace

FixedWindowOperator::FixedWindowOperator(WindowKind kind, WindowOptions options,
                                         std::unique_ptr<InnerPipeline> pipeline)
    : name_(kind == WindowKind::kTumbling ? "TumblingWindowOperator" : "HoppingWindowOperator"),
      options_(std::move(options)),
      geometry_(options_.interval_ms, options_.hop_ms, options_.offset_ms),
      pipeline_(std::move(pipeline)),
      next_window_(kFirst),
      close_at_ms_(kNever) {
  // Panes are shared where that changes no result: accumulators that depend on the order of arrival
  // see it only in a window of their own.
  CollectingRules rules;
  rules.pieces_interleave = false;
  pipeline_->plan(rules);
  by_slice_ = !geometry_.overlaps() || !pipeline_->keeps_groups() ||
              (!pipeline_->order_sensitive_group() && !pipeline_->reads_meta_on_add());
  if (geometry_.overlaps() && by_slice_ && pipeline_->keeps_groups())
    merger_ = std::make_unique<PaneMerger>(*pipeline_);
}

// C of the specification's reference algorithm: windows with end <= C are closed.
int64_t FixedWindowOperator::closed_until() const {
  if (watermark_ms_ == kNoWatermark) return idle_closed_end_ms_;
  return std::max(watermark_ms_ - options_.allowed_lateness_ms, idle_closed_end_ms_);
}

void FixedWindowOperator::on_batch(Batch& batch, OperatorContext& context) {
  output_.begin();
  input_.clear();
  input_.swap(batch.documents);
  context.eval.arena = &batch.arena;
  stats.input_count += static_cast<int64_t>(input_.size());
  int64_t now = context.clock->now_ms();
  if (options_.processing_time) {
    raise_watermark(now, context);
  } else if (!input_.empty() || batch.consumed > 0) {
    last_input_ms_ = now;
  }
  take(input_, batch, context);
  if (!options_.processing_time) raise_watermark(batch.watermark_ms, context);
  stats.output_count += output_.hand_over(batch);
  stats.max_state_bytes = std::max(stats.max_state_bytes, state_bytes());
}

void FixedWindowOperator::take(std::span<StreamDocument> documents, Batch& batch,
                               OperatorContext& context) {
  size_t begin = 0;  // of the run: documents of one slice that are not added yet
  auto flush = [&](size_t end) {
    if (end > begin) add_run(documents.subspan(begin, end - begin), batch, context);
  };
  for (size_t i = 0; i < documents.size(); ++i) {
    const StreamDocument& document = documents[i];
    int64_t time = options_.processing_time ? watermark_ms_ : document.timestamp_ms;
    if (!options_.processing_time && document.watermark_ms > watermark_ms_) {
      if (document.watermark_ms >= close_at_ms_) {
        flush(i);
        begin = i;
      }
      raise_watermark(document.watermark_ms, context);
    }
    if (time >= slice_.begin_ms && time < slice_.end_ms && !late_slice_) continue;
    flush(i);
    begin = i;
    if (time > kMaxEventTimeMs || time < -kMaxEventTimeMs) {
      reject(document, kTimeRangeReason, context);
      begin = i + 1;
    } else if (!move_to(time)) {
      if (late_slice_) reject(document, kLateReason, context);
      begin = i + 1;
    } else {
      plan_next_close();
    }
  }
  flush(documents.size());
}

// Makes the slice of `time_ms` the current one. False when there is no open window over it: late,
// or in a gap.
bool FixedWindowOperator::move_to(int64_t time_ms) {
  slice_ = geometry_.slice_at(time_ms);
  late_slice_ = false;
  if (slice_.first_window > slice_.last_window) {
    slice_.end_ms = slice_.begin_ms;  // a gap: the next document is looked at anew
    return false;
  }
  int64_t closed = closed_until();
  if (closed != kNoWatermark && geometry_.end(slice_.last_window) <= closed) {
    late_slice_ = true;
    return false;
  }
  if (closed != kNoWatermark) next_window_ = std::max(next_window_, geometry_.first_open(closed));
  // A window exists from its first document on, and closes from then on.
  if (by_slice_) {
    content(slice_.number);
  } else {
    for (int64_t k = std::max(slice_.first_window, next_window_); k <= slice_.last_window; ++k)
      content(k);
  }
  return true;
}

WindowContent& FixedWindowOperator::content(int64_t number) {
  auto at = contents_.lower_bound(number);
  if (at == contents_.end() || at->first != number)
    at = contents_.emplace_hint(at, number, pipeline_->make_content());
  return at->second;
}

void FixedWindowOperator::reject(const StreamDocument& document, std::string_view reason,
                                 OperatorContext& context) {
  ++stats.dlq_count;
  context.dead_letters->add(document, name(), reason);
}

void FixedWindowOperator::add_run(std::span<StreamDocument> run, Batch& batch,
                                  OperatorContext& context) {
  if (!pipeline_->has_arrival_stages()) return add_to_contents(run, context);
  arrival_.clear();
  arrival_.documents.assign(run.begin(), run.end());
  arrival_.watermark_ms = watermark_ms_;
  pipeline_->arrive(arrival_, context);
  context.eval.arena = &batch.arena;
  add_to_contents(arrival_.documents, context);
}

void FixedWindowOperator::add_to_contents(std::span<StreamDocument> run, OperatorContext& context) {
  if (run.empty()) return;
  if (by_slice_) {
    WindowBounds bounds{geometry_.start(slice_.last_window), geometry_.end(slice_.last_window), {}};
    const WindowBounds* known = geometry_.overlaps() ? nullptr : &bounds;
    WindowContent& to = content(slice_.number);
    if (shares_panes() && merger_->has_merged(slice_.number)) {
      WindowContent late = pipeline_->make_content();
      pipeline_->add(late, run, known, source_type_, context);
      pipeline_->merge(to, late);
      pipeline_->merge(merger_->back(), late);
      return;
    }
    pipeline_->add(to, run, known, source_type_, context);
    return;
  }
  // A window each; what fails is reported once.
  IgnoreLetters ignore;
  DeadLetters* letters = context.dead_letters;
  for (int64_t k = std::max(slice_.first_window, next_window_); k <= slice_.last_window; ++k) {
    WindowBounds bounds{geometry_.start(k), geometry_.end(k), {}};
    std::vector<StreamDocument> copies(run.begin(),
                                       run.end());  // each window gives them its own metadata
    pipeline_->add(content(k), copies, &bounds, source_type_, context);
    context.dead_letters = &ignore;
  }
  context.dead_letters = letters;
}

std::optional<int64_t> FixedWindowOperator::oldest_window() const {
  int64_t oldest = contents_.empty() ? kNever : contents_.begin()->first;
  if (shares_panes()) oldest = std::min(oldest, merger_->oldest());
  if (oldest == kNever) return std::nullopt;
  return std::max(by_slice_ ? geometry_.first_window(oldest) : oldest, next_window_);
}

void FixedWindowOperator::plan_next_close() {
  auto oldest = oldest_window();
  close_at_ms_ = oldest ? geometry_.end(*oldest) + options_.allowed_lateness_ms : kNever;
}

void FixedWindowOperator::raise_watermark(int64_t watermark_ms, OperatorContext& context) {
  if (watermark_ms == kNoWatermark || watermark_ms <= watermark_ms_) return;
  watermark_ms_ = clamp_time(watermark_ms);
  if (watermark_ms_ >= close_at_ms_) {
    close_until(closed_until(), context);
    slice_.end_ms = slice_.begin_ms;  // its windows may be closed now
  } else if (geometry_.end(slice_.last_window) <= closed_until()) {
    slice_.end_ms = slice_.begin_ms;
  }
}

int64_t FixedWindowOperator::close_until(int64_t until, OperatorContext& context) {
  int64_t last_end = kNoWatermark;
  for (auto window = oldest_window(); window && geometry_.end(*window) <= until;
       window = oldest_window()) {
    close(*window, context);
    last_end = geometry_.end(*window);
    next_window_ = *window + 1;
    int64_t first_needed = by_slice_ ? geometry_.first_slice(next_window_) : next_window_;
    contents_.erase(contents_.begin(), contents_.lower_bound(first_needed));
    if (shares_panes()) merger_->drop_before(first_needed);
  }
  if (closed_until() != kNoWatermark)
    next_window_ = std::max(next_window_, geometry_.first_open(closed_until()));
  plan_next_close();
  return last_end;
}

void FixedWindowOperator::close(int64_t window, OperatorContext& context) {
  std::vector<const WindowContent*> parts;
  int64_t first = by_slice_ ? geometry_.first_slice(window) : window;
  int64_t last = by_slice_ ? geometry_.last_slice(window) : window;
  if (shares_panes()) {
    parts = merger_->window(contents_, first, last);
  } else {
    for (auto at = contents_.lower_bound(first); at != contents_.end() && at->first <= last; ++at) {
      if (geometry_.overlaps() && by_slice_) pipeline_->trim(at->second, context);
      if (!at->second.empty()) parts.push_back(&at->second);
    }
  }
  if (parts.empty()) return;
  WindowBounds bounds{geometry_.start(window), geometry_.end(window), {}};
  pipeline_->close(parts, bounds, source_type_, watermark_ms_, output_, context);
}

// Every window that is still open closes, as at the end of a bounded input.
void FixedWindowOperator::on_end(Batch& batch, OperatorContext& context) {
  output_.begin_unless_used(batch);
  context.eval.arena = &batch.arena;
  idle_closed_end_ms_ = std::max(idle_closed_end_ms_, close_until(kNever, context));
  stats.output_count += output_.hand_over(batch);
}

void FixedWindowOperator::on_tick(Batch& batch, OperatorContext& context) {
  output_.begin_unless_used(batch);
  context.eval.arena = &batch.arena;
  int64_t now = context.clock->now_ms();
  if (options_.processing_time) {
    raise_watermark(now, context);
  } else {
    raise_watermark(batch.watermark_ms, context);
    int64_t idle = now - last_input_ms_;
    if (options_.idle_timeout_ms && last_input_ms_ != kNoWatermark &&
        watermark_ms_ != kNoWatermark && idle >= *options_.idle_timeout_ms) {
      int64_t last_end = close_until(clamp_time(watermark_ms_ + idle), context);
      idle_closed_end_ms_ = std::max(idle_closed_end_ms_, last_end);
      next_window_ = std::max(next_window_, geometry_.first_open(closed_until()));
      slice_.end_ms = slice_.begin_ms;
    }
  }
  stats.output_count += output_.hand_over(batch);
}

int64_t FixedWindowOperator::next_tick_ms() const {
  auto oldest = oldest_window();
  if (!oldest) return kNever;
  if (options_.processing_time) return geometry_.end(*oldest);
  if (!options_.idle_timeout_ms || last_input_ms_ == kNoWatermark || watermark_ms_ == kNoWatermark)
    return kNever;
  return last_input_ms_ +
         std::max(geometry_.end(*oldest) - watermark_ms_, *options_.idle_timeout_ms);
}

int64_t FixedWindowOperator::state_bytes() const {
  int64_t bytes = pipeline_->shared_bytes();
  for (const auto& [number, content] : contents_)
    bytes += content.bytes() + 64;  // 64: the map's node
  if (shares_panes()) bytes += merger_->bytes();
  return bytes;
}

void FixedWindowOperator::add_stats(BsonWriter& stats) const {
  auto oldest = oldest_window();
  if (!oldest) return;
  int64_t newest = *oldest;
  if (!contents_.empty()) {
    int64_t last = contents_.rbegin()->first;
    newest = std::max(newest, by_slice_ ? geometry_.last_window(last) : last);
  }
  stats.append("minOpenWindowStartTime", Value::date(geometry_.start(*oldest)));
  stats.append("maxOpenWindowStartTime", Value::date(geometry_.start(newest)));
}

void FixedWindowOperator::on_checkpoint(BsonWriter& state) const {
  if (watermark_ms_ != kNoWatermark) state.append("watermark", Value::date(watermark_ms_));
  if (idle_closed_end_ms_ != kNoWatermark)
    state.append("idleClosedEnd", Value::date(idle_closed_end_ms_));
  state.append("nextWindow", next_window_);
  state.append("sequence", static_cast<int64_t>(pipeline_->sequence()));
  state.begin_array("contents");
  size_t index = 0;
  for (const auto& [number, content] : contents_) {
    state.begin_object(std::to_string(index++));
    state.append("number", number);
    pipeline_->save(content, state);
    state.end();
  }
  state.end();
  if (shares_panes()) merger_->save(state);
}

int64_t FixedWindowOperator::oldest_open_ms() const {
  auto oldest = oldest_window();
  return oldest ? geometry_.start(*oldest) : kNever;
}

Status FixedWindowOperator::restore_from(const Value& state, bool with_contents,
                                         OperatorContext& context) {
  Status bad(ErrorCode::kInternalError, "the saved state of a window stage is not readable");
  if (!state.is_object()) return bad;
  ObjectView fields = state.as_object();
  Value watermark = fields.get("watermark");
  Value idle_closed_end = fields.get("idleClosedEnd");
  Value next_window = fields.get("nextWindow");
  Value sequence = fields.get("sequence");
  Value contents = fields.get("contents");
  if (!next_window.is(Type::kInt64) || !sequence.is(Type::kInt64) || !contents.is_array())
    return bad;
  if (watermark.is(Type::kDate)) watermark_ms_ = watermark.as_date();
  if (idle_closed_end.is(Type::kDate)) idle_closed_end_ms_ = idle_closed_end.as_date();
  next_window_ = next_window.as_int64();
  pipeline_->set_sequence(static_cast<uint64_t>(sequence.as_int64()));
  last_input_ms_ = context.clock->now_ms();  // silence counts from the restart
  if (!with_contents) return {};
  for (const Value& element : contents.as_array()) {
    if (!element.is_object()) return bad;
    Value number = element.as_object().get("number");
    if (!number.is(Type::kInt64)) return bad;
    MR_RETURN_IF_ERROR(pipeline_->load(content(number.as_int64()), element));
  }
  if (shares_panes()) MR_RETURN_IF_ERROR(merger_->restore(fields.get("merged"), contents_));
  plan_next_close();
  return {};
}

}  // namespace millrace::engine
