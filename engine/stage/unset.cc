// $unset: the document without some fields.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/unset/
#include "engine/stage/projection_operator.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
Result<OperatorPtr> parse_unset_stage(std::string_view, const Value& spec, StageContext& context) {
  std::vector<std::string_view> paths;
  if (spec.is_string()) {
    paths.push_back(spec.as_string());
  } else if (spec.is_array()) {
    for (const Value& element : spec.as_array()) {
      if (!element.is_string())
        return Status(31120, "$unset specification must be a string or an array of strings");
      paths.push_back(element.as_string());
    }
    if (paths.empty()) return Status(31119, "$unset specification must name at least one field");
  } else {
    return Status(31002, "$unset specification must be a string or an array");
  }
  auto projection = Projection::parse_unset(paths, context.parse);
  if (!projection.ok())
    return Status(projection.status().code(), "Invalid $unset: " + projection.status().message());
  return OperatorPtr(
      std::make_unique<ProjectionOperator>("UnsetOperator", std::move(projection).value()));
}

}  // namespace millrace::engine
