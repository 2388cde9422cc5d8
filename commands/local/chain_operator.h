// Several stages as one: what a stage that is short for others is made of.
#pragma once

#include <string_view>
#include <vector>

#include "engine/stage/operator.h"

namespace millrace::commands {

class ChainOperator final : public engine::Operator {
 public:
  // `name` must outlive the operator.
  ChainOperator(std::string_view name, std::vector<engine::OperatorPtr> operators)
      : name_(name), operators_(std::move(operators)) {}
  std::string_view name() const override { return name_; }
  void dependencies(engine::Dependencies& dependencies) const override {
    for (auto op = operators_.rbegin(); op != operators_.rend(); ++op)
      (*op)->dependencies(dependencies);
  }
  bool stateless() const override { return false; }
  void on_batch(engine::Batch& batch, engine::OperatorContext& context) override {
    push_from(0, batch, context);
  }
  void on_end(engine::Batch& batch, engine::OperatorContext& context) override {
    for (size_t i = 0; i < operators_.size(); ++i) {
      engine::Batch work;
      operators_[i]->on_end(work, context);
      push_from(i + 1, work, context);
      for (const auto& document : work.documents)
        batch.documents.emplace_back().body = engine::deep_copy(document.body, batch.arena);
    }
  }
  void reset() override {
    for (auto& op : operators_) op->reset();
  }
  int64_t state_bytes() const override {
    int64_t bytes = 0;
    for (const auto& op : operators_) bytes += op->state_bytes();
    return bytes;
  }

 private:
  void push_from(size_t first, engine::Batch& batch, engine::OperatorContext& context) {
    for (size_t i = first; i < operators_.size() && !batch.documents.empty(); ++i)
      operators_[i]->on_batch(batch, context);
  }
  std::string_view name_;
  std::vector<engine::OperatorPtr> operators_;
};

}  // namespace millrace::commands
