// The stages that a change stream runs at its server ($source.config.pipeline), for a stand-in that
// has no server.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/clock.h"
#include "engine/runtime/stage_table.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

class PushedPipeline final : private DeadLetters {
 public:
  // Errors: those of the stages.
  static Result<std::unique_ptr<PushedPipeline>> build(const Value& stages, const Clock* clock);
  ~PushedPipeline() override;

  // What comes out for one change event: none, one, or more.
  std::vector<Document> run(const Document& event);
  // Why the last run failed, "" if it did not.
  const std::string& failure() const { return failure_; }

 private:
  explicit PushedPipeline(const Clock* clock);
  void add(const StreamDocument& document, std::string_view operator_name,
           std::string_view reason) override;

  CompiledMemory memory_;
  ParseContext parse_;
  StageListBuilder builder_;
  std::vector<OperatorPtr> operators_;
  OperatorContext context_;
  Batch batch_;
  std::string failure_;
};

}  // namespace millrace::engine
