#include "engine/expression/limits.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

void PerDocumentOperator::on_batch(Batch& batch, OperatorContext& context) {
  EvalContext& eval = context.eval;
  eval.arena = &batch.arena;
  size_t kept = 0;
  stats.input_count += static_cast<int64_t>(batch.documents.size());
  for (StreamDocument& document : batch.documents) {
    eval.root = document.body;
    eval.stream_meta = document.meta;
    Value body = document.body;
    Value meta = document.meta;
    try {
      if (!process(document, context)) continue;
      checked_depth(document.body);  // dotted paths nest it in each stage
    } catch (const EvaluationError& error) {
      document.body = body;
      document.meta = meta;
      ++stats.dlq_count;
      context.dead_letters->add(document, name(), error.status().message());
      continue;
    }
    if (&batch.documents[kept] != &document) batch.documents[kept] = document;
    ++kept;
  }
  batch.documents.resize(kept);
  stats.output_count += static_cast<int64_t>(kept);
}

}  // namespace millrace::engine
