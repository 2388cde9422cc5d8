// $addFields and its other name $set: the document with computed fields put into it.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/addFields/
#include "engine/stage/projection.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class AddFieldsOperator final : public PerDocumentOperator {
 public:
  AddFieldsOperator(std::string_view name, std::unique_ptr<Projection> projection)
      : name_(name), projection_(std::move(projection)) {}

  std::string_view name() const override { return name_; }
  void dependencies(Dependencies& dependencies) const override {
    projection_->dependencies(dependencies);
  }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    document.body = projection_->apply(context.eval);
    return true;
  }

 private:
  std::string_view name_;  // a literal
  std::unique_ptr<Projection> projection_;
};

}  // namespace

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
  return OperatorPtr(std::make_unique<AddFieldsOperator>(shown, std::move(projection).value()));
}

}  // namespace millrace::engine
