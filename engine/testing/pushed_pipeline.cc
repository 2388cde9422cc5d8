#include "engine/testing/pushed_pipeline.h"

namespace millrace::engine {

PushedPipeline::PushedPipeline(const Clock* clock) : parse_(memory_) {
  context_.clock = clock;
  context_.eval.clock = clock;
  context_.dead_letters = this;
}

PushedPipeline::~PushedPipeline() = default;

Result<std::unique_ptr<PushedPipeline>> PushedPipeline::build(const Value& stages,
                                                              const Clock* clock) {
  std::unique_ptr<PushedPipeline> pipeline(new PushedPipeline(clock));
  StageContext context{pipeline->parse_, pipeline->builder_, Place::kAggregate};
  MR_ASSIGN_OR_RETURN(pipeline->operators_,
                      pipeline->builder_.build(stages, Place::kAggregate, context));
  Dependencies everything;
  everything.fields.add_all();
  for (size_t i = pipeline->operators_.size(); i-- > 0;) {
    // Change streams forbid them: they would wait for an end that never comes.
    if (!pipeline->operators_[i]->stateless()) {
      return Status(ErrorCode::kStreamProcessorInvalidOptions,
                    "$source.config.pipeline may not hold a stage that collects documents");
    }
    pipeline->operators_[i]->dependencies(everything);
  }
  pipeline->context_.eval.variables.resize(pipeline->parse_.variable_count());
  return pipeline;
}

std::vector<Document> PushedPipeline::run(const Document& event) {
  failure_.clear();
  batch_.clear();
  context_.eval.arena = &batch_.arena;
  StreamDocument document;
  document.body = event.value();
  batch_.documents.push_back(document);
  for (const OperatorPtr& op : operators_) op->on_batch(batch_, context_);
  std::vector<Document> out;
  for (const StreamDocument& result : batch_.documents) out.emplace_back(result.body);
  return out;
}

void PushedPipeline::add(const StreamDocument&, std::string_view, std::string_view reason) {
  failure_ = "$source.config.pipeline failed: " + std::string(reason);
}

}  // namespace millrace::engine
