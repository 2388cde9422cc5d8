// The documents of closed windows on their way out of a window stage.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "engine/stage/operator.h"

namespace millrace::engine {

// Passes documents on in portions, so that neither many windows that close at once nor one of many
// groups need memory for all their documents; what is left at the end of a batch becomes the
// stage's output for it. Single-threaded.
class WindowOutput {
 public:
  // A batch begins: the output of the one before is over.
  void begin() {
    batch_.clear();
    count_ = 0;
  }
  // Time has passed, or the input has ended: as begin(), unless `batch` still holds output.
  void begin_unless_used(const Batch& batch) {
    if (batch.documents.empty()) begin();
    count_ = 0;
  }

  // To be filled. Documents stay until the next pass_on().
  Batch& batch() { return batch_; }
  // How many documents the portion may still get.
  size_t room(const OperatorContext& context) const {
    if (context.downstream == nullptr) return std::numeric_limits<uint32_t>::max();
    size_t portion = context.downstream->portion;
    return portion - std::min(portion, batch_.documents.size());
  }
  // True, and the batch empty, when it was full enough to go on.
  bool pass_on(OperatorContext& context) {
    if (room(context) > 0) return false;
    count_ += batch_.documents.size();
    context.downstream->pass_on(batch_);
    batch_.clear();
    return true;
  }

  // Appends the rest to the stage's batch. Returns how many documents there were since begin().
  int64_t hand_over(Batch& to) {
    count_ += batch_.documents.size();
    if (to.documents.empty()) {
      to.documents.swap(batch_.documents);
    } else {
      to.documents.insert(to.documents.end(), batch_.documents.begin(), batch_.documents.end());
    }
    batch_.documents.clear();
    return static_cast<int64_t>(count_);
  }

 private:
  Batch batch_;
  size_t count_ = 0;
};

}  // namespace millrace::engine
