// $tumblingWindow: windows of one length, each beginning where the one before it ends.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-tumbling/
#include "engine/window/window_operator.h"

namespace millrace::engine {

Result<OperatorPtr> parse_tumbling_window_stage(std::string_view name, const Value& spec,
                                                StageContext& context) {
  MR_ASSIGN_OR_RETURN(WindowOptions options,
                      parse_window_options(WindowKind::kTumbling, name, spec, context.parse));
  MR_ASSIGN_OR_RETURN(auto pipeline, InnerPipeline::build(options.pipeline, context));
  return OperatorPtr(std::make_unique<FixedWindowOperator>(
      WindowKind::kTumbling, std::move(options), std::move(pipeline)));
}

}  // namespace millrace::engine
