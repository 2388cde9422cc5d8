// $sort: all documents in order. Blocking: legal inside windows and in aggregate commands.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/sort/
#include <algorithm>
#include <numeric>

#include "engine/expression/sort_pattern.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class SortOperator final : public Operator {
 public:
  explicit SortOperator(SortPattern pattern) : pattern_(std::move(pattern)) {}

  std::string_view name() const override { return "SortOperator"; }
  void dependencies(Dependencies& dependencies) const override {
    pattern_.add_dependencies(dependencies);
  }
  bool stateless() const override { return false; }

  bool only_orders() const override { return true; }

  void on_batch(Batch& batch, OperatorContext& context) override {
    for (const StreamDocument& document : batch.documents) {
      StreamDocument kept = document;
      kept.body = deep_copy(document.body, arena_);
      kept.meta = deep_copy(document.meta, arena_);
      take(kept, arena_, context);
    }
    batch.documents.clear();
    stats.max_state_bytes = std::max(stats.max_state_bytes, state_bytes());
  }

  void on_end(Batch& batch, OperatorContext&) override {
    for (uint32_t i : order()) {
      StreamDocument& document = batch.documents.emplace_back(documents_[i]);
      document.body = deep_copy(document.body, batch.arena);
      document.meta = deep_copy(document.meta, batch.arena);
    }
    stats.output_count += static_cast<int64_t>(documents_.size());
  }

  void on_whole(Batch& batch, OperatorContext& context) override {
    for (const StreamDocument& document : batch.documents) take(document, batch.arena, context);
    batch.documents.clear();
    for (uint32_t i : order()) batch.documents.push_back(documents_[i]);
    stats.output_count += static_cast<int64_t>(documents_.size());
    reset();
  }

  void reset() override {
    documents_.clear();
    keys_.clear();
    arena_.reset();
  }
  int64_t state_bytes() const override {
    return static_cast<int64_t>(arena_.capacity_bytes() +
                                documents_.capacity() * sizeof(StreamDocument) +
                                keys_.capacity() * sizeof(Value));
  }

 private:
  // One whose values live as long as it is kept. Its key is computed in `arena`.
  void take(const StreamDocument& document, Arena& arena, OperatorContext& context) {
    ++stats.input_count;
    context.eval.arena = &arena;
    context.eval.root = document.body;
    context.eval.stream_meta = document.meta;
    size_t at = keys_.size();
    keys_.resize(at + pattern_.size());
    try {
      pattern_.sort_key(context.eval, &keys_[at]);
      documents_.push_back(document);
    } catch (const EvaluationError& error) {
      keys_.resize(at);
      ++stats.dlq_count;
      context.dead_letters->add(document, name(), error.status().message());
    }
  }
  // Places in documents_, sorted; equal ones as they came.
  std::vector<uint32_t> order() const {
    std::vector<uint32_t> order(documents_.size());
    std::iota(order.begin(), order.end(), 0);
    size_t width = pattern_.size();
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return pattern_.compare(&keys_[a * width], &keys_[b * width]) < 0;
    });
    return order;
  }

  SortPattern pattern_;
  Arena arena_;  // of what on_batch() keeps
  std::vector<StreamDocument> documents_;
  std::vector<Value> keys_;  // pattern_.size() per document
};

}  // namespace

Result<OperatorPtr> parse_sort_stage(std::string_view, const Value& spec, StageContext& context) {
  if (spec.is_object() && spec.as_object().empty())
    return Status(15976, "$sort stage must have at least one sort key");
  MR_ASSIGN_OR_RETURN(SortPattern pattern, SortPattern::parse(spec, context.parse));
  return OperatorPtr(std::make_unique<SortOperator>(std::move(pattern)));
}

}  // namespace millrace::engine
