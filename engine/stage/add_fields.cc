// $addFields and its other name $set: the document with computed fields put into it.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/addFields/
#include "engine/stage/projection_operator.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
Result<OperatorPtr> parse_add_fields_stage(std::string_view name, const Value& spec,
                                           StageContext& context) {
  std::string stage(name);
  if (!spec.is_object())
    return Status(40272,
                  stage + " specification must be an object, got " + std::string(spec.type_name()));
  auto projection = Projection::parse_add_fields(spec, context.parse);
  if (!projection.ok())
    return Status(projection.status().code(),
                  "Invalid " + stage + ": " + projection.status().message());
  std::string_view shown = name == "$set" ? "SetOperator" : "AddFieldsOperator";
  return OperatorPtr(std::make_unique<ProjectionOperator>(shown, std::move(projection).value()));
}

}  // namespace millrace::engine
