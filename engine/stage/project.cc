// $project: fields taken over, left out or computed.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/project/
#include "engine/stage/projection_operator.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
Result<OperatorPtr> parse_project_stage(std::string_view, const Value& spec,
                                        StageContext& context) {
  if (!spec.is_object()) return Status(15969, "$project specification must be an object");
  auto projection = Projection::parse_project(spec, context.parse);
  if (!projection.ok())
    return Status(projection.status().code(), "Invalid $project: " + projection.status().message());
  return OperatorPtr(
      std::make_unique<ProjectionOperator>("ProjectOperator", std::move(projection).value()));
}

}  // namespace millrace::engine
