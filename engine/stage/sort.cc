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

  void on_batch(Batch& batch, OperatorContext& context) override {
    context.eval.arena = &arena_;
    stats.input_count += static_cast<int64_t>(batch.documents.size());
    std::vector<Value> key(pattern_.size());
    for (const StreamDocument& document : batch.documents) {
      StreamDocument kept = document;
      kept.body = deep_copy(document.body, arena_);
      kept.meta = deep_copy(document.meta, arena_);
      context.eval.root = kept.body;
      try {
        pattern_.sort_key(context.eval, key.data());
      } catch (const EvaluationError& error) {
        ++stats.dlq_count;
        context.dead_letters->add(document, name(), error.status().message());
        continue;
      }
      documents_.push_back(kept);
      keys_.insert(keys_.end(), key.begin(), key.end());
    }
    batch.documents.clear();
    stats.max_state_bytes = std::max(stats.max_state_bytes, state_bytes());
  }

  void on_end(Batch& batch, OperatorContext&) override {
    std::vector<uint32_t> order(documents_.size());
    std::iota(order.begin(), order.end(), 0);
    size_t width = pattern_.size();
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return pattern_.compare(&keys_[a * width], &keys_[b * width]) < 0;
    });
    for (uint32_t i : order) {
      StreamDocument& document = batch.documents.emplace_back(documents_[i]);
      document.body = deep_copy(document.body, batch.arena);
      document.meta = deep_copy(document.meta, batch.arena);
    }
    stats.output_count += static_cast<int64_t>(order.size());
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
  SortPattern pattern_;
  Arena arena_;
  std::vector<StreamDocument> documents_;  // values in arena_
  std::vector<Value> keys_;                // pattern_.size() per document
};

}  // namespace

Result<OperatorPtr> parse_sort_stage(std::string_view, const Value& spec, StageContext& context) {
  MR_ASSIGN_OR_RETURN(SortPattern pattern, SortPattern::parse(spec, context.parse));
  return OperatorPtr(std::make_unique<SortOperator>(std::move(pattern)));
}

}  // namespace millrace::engine
