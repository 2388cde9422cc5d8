// $replaceRoot and $replaceWith: an expression's document takes the document's place.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/replaceRoot/
#include "engine/document/extended_json.h"
#include "engine/expression/limits.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class ReplaceRootOperator final : public PerDocumentOperator {
 public:
  // `path`: the expression, when it is only a field path.
  ReplaceRootOperator(std::string_view stage, ExpressionPtr expression, FieldPath path)
      : stage_(stage), expression_(std::move(expression)), path_(std::move(path)) {}

  std::string_view name() const override { return "ReplaceRootOperator"; }

  void dependencies(Dependencies& dependencies) const override {
    PathSet later = std::move(dependencies.fields);
    dependencies.fields = {};
    if (path_.size() == 0 || later.all || later.empty()) {
      expression_->add_dependencies(dependencies);
      return;
    }
    for (size_t i = path_.size(); i-- > 0;) {  // what is needed later stands below the path
      PathSet outer;
      outer.children.push_back({path_.parts[i], std::move(later)});
      later = std::move(outer);
    }
    dependencies.fields = std::move(later);
  }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    Value root = checked_size(expression_->evaluate(context.eval));
    if (!root.is_object()) {
      fail_evaluation(
          40228, std::string(stage_) + " must evaluate to an object, but resulting value was: " +
                     (root.is_missing() ? "MISSING" : to_json(root)) +
                     ". Type of resulting value: '" + std::string(root.type_name()) + "'");
    }
    document.body = root;
    return true;
  }

 private:
  std::string_view stage_;  // a literal: how a failure calls the expression
  ExpressionPtr expression_;
  FieldPath path_;
};

}  // namespace

Result<OperatorPtr> parse_replace_root_stage(std::string_view name, const Value& spec,
                                             StageContext& context) {
  bool with = name == "$replaceWith";
  Value expression = spec;
  if (!with) {
    if (!spec.is_object()) {
      return Status(40229, "expected an object as specification for $replaceRoot stage, got " +
                               std::string(spec.type_name()));
    }
    for (const Field& field : spec.as_object()) {
      if (field.name() != "newRoot")
        return Status(40415,
                      "'$replaceRoot." + std::string(field.name()) + "' is an unknown field");
    }
    expression = spec.as_object().get("newRoot");
    if (expression.is_missing())
      return Status(40414, "'$replaceRoot.newRoot' is missing but required");
  }
  MR_ASSIGN_OR_RETURN(ExpressionPtr root, parse_expression(expression, context.parse));
  FieldPath path;
  bool is_path = expression.is_string() && expression.as_string().starts_with('$') &&
                 !expression.as_string().starts_with("$$");
  if (is_path && context.parse.find_variable("CURRENT") < 0) {
    MR_ASSIGN_OR_RETURN(path,
                        parse_field_path(expression.as_string().substr(1), context.parse.names()));
  }
  std::string_view called = with ? "'replacement document'" : "'newRoot' expression";
  return OperatorPtr(
      std::make_unique<ReplaceRootOperator>(called, std::move(root), std::move(path)));
}

}  // namespace millrace::engine
