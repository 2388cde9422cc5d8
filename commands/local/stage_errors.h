// In a command a document that a stage cannot process fails the command; in a stream it becomes a
// dead letter. Stages know only dead letters: this makes errors of them again.
#pragma once

#include <exception>
#include <string>

#include "engine/stage/operator.h"

namespace millrace::commands {

class StageErrors final : public engine::DeadLetters {
 public:
  // Throws EvaluationError: the one that the stage is just handling, with its code, if there is
  // one.
  void add(const engine::StreamDocument&, std::string_view operator_name,
           std::string_view reason) override {
    if (auto current = std::current_exception()) std::rethrow_exception(current);
    engine::fail_evaluation(engine::ErrorCode::kOperationFailed,
                            std::string(operator_name) + ": " + std::string(reason));
  }
};

}  // namespace millrace::commands
