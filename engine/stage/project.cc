// $project: fields taken over, left out or computed.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/project/
#include "engine/stage/projection.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class ProjectOperator final : public PerDocumentOperator {
 public:
  explicit ProjectOperator(std::unique_ptr<Projection> projection)
      : projection_(std::move(projection)) {}

  std::string_view name() const override { return "ProjectOperator"; }
  void dependencies(Dependencies& dependencies) const override {
    projection_->dependencies(dependencies);
  }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    document.body = projection_->apply(context.eval);
    return true;
  }

 private:
  std::unique_ptr<Projection> projection_;
};

}  // namespace

Result<OperatorPtr> parse_project_stage(std::string_view, const Value& spec,
                                        StageContext& context) {
  if (!spec.is_object()) return Status(15969, "$project specification must be an object");
  auto projection = Projection::parse_project(spec, context.parse);
  if (!projection.ok())
    return Status(projection.status().code(), "Invalid $project: " + projection.status().message());
  return OperatorPtr(std::make_unique<ProjectOperator>(std::move(projection).value()));
}

}  // namespace millrace::engine
