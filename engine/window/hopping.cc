// $hoppingWindow: windows of one length that begin at a distance of their own: overlapping, or with
// gaps between them. Source:
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-hopping/
#include "engine/window/window_operator.h"

namespace millrace::engine {

Result<OperatorPtr> parse_hopping_window_stage(std::string_view name, const Value& spec,
                                               StageContext& context) {
  MR_ASSIGN_OR_RETURN(WindowOptions options,
                      parse_window_options(WindowKind::kHopping, name, spec, context.parse));
  MR_ASSIGN_OR_RETURN(auto pipeline, InnerPipeline::build(options.pipeline, context));
  return OperatorPtr(std::make_unique<FixedWindowOperator>(WindowKind::kHopping, std::move(options),
                                                           std::move(pipeline)));
}

}  // namespace millrace::engine
