// Stages one behind the other, run over an input that ends.
#pragma once

#include <functional>
#include <vector>

#include "engine/stage/operator.h"

namespace millrace::commands {

class OperatorChain {
 public:
  OperatorChain() = default;
  explicit OperatorChain(std::vector<engine::OperatorPtr> operators)
      : operators_(std::move(operators)) {}

  // Receives documents that came out; they live as long as the batch.
  using Emit = std::function<void(engine::Batch& batch)>;

  // The batch's documents through all stages; what comes out stays in it.
  void push(engine::Batch& batch, engine::OperatorContext& context) {
    push_from(0, batch, context);
  }
  // The input has ended: what blocking stages held back, in one batch after the other.
  void finish(engine::Batch& batch, engine::OperatorContext& context, const Emit& emit) {
    for (size_t i = 0; i < operators_.size(); ++i) {
      batch.clear();
      operators_[i]->on_end(batch, context);
      push_from(i + 1, batch, context);
      if (!batch.documents.empty()) emit(batch);
    }
  }
  // Ready for another input.
  void reset() {
    for (auto& op : operators_) op->reset();
  }
  bool empty() const { return operators_.empty(); }
  std::vector<engine::OperatorPtr>& operators() { return operators_; }

 private:
  void push_from(size_t first, engine::Batch& batch, engine::OperatorContext& context) {
    for (size_t i = first; i < operators_.size() && !batch.documents.empty(); ++i)
      operators_[i]->on_batch(batch, context);
  }
  std::vector<engine::OperatorPtr> operators_;
};

}  // namespace millrace::commands
