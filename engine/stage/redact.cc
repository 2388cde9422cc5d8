// $redact: keeps, prunes or descends into each document and subdocument, as an expression on it
// says. Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/redact/
#include "engine/document/compare.h"
#include "engine/document/extended_json.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

// What $$KEEP, $$PRUNE and $$DESCEND stand for.
struct Decisions {
  Value keep;
  Value prune;
  Value descend;
};

class RedactOperator final : public PerDocumentOperator {
 public:
  // `current`: the variable that holds the subdocument under decision.
  RedactOperator(ExpressionPtr expression, size_t current, Decisions decisions)
      : expression_(std::move(expression)), current_(current), decisions_(decisions) {}

  std::string_view name() const override { return "RedactOperator"; }
  void dependencies(Dependencies& dependencies) const override {
    dependencies.fields.add_all();
    expression_->add_dependencies(dependencies);
  }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    document.body = redact_object(document.body, context.eval);
    return !document.body.is_missing();
  }

 private:
  // Missing when it is pruned.
  Value redact_object(const Value& object, EvalContext& context) {
    context.variables[current_] = object;
    Value decision = expression_->evaluate(context);
    if (decision.is_string()) {
      if (equal(decision, decisions_.keep)) return object;
      if (equal(decision, decisions_.prune)) return {};
      if (equal(decision, decisions_.descend)) return descend(object, context);
    }
    fail_evaluation(17053,
                    "$redact's expression must give $$KEEP, $$DESCEND or $$PRUNE, but gave " +
                        (decision.is_missing() ? "MISSING" : to_json(decision)));
  }

  Value descend(const Value& object, EvalContext& context) {
    ObjectBuilder result(*context.arena);
    for (const Field& field : object.as_object())
      result.add(field.name(), redact_value(field.value, context));
    return result.finish();
  }

  Value redact_value(const Value& value, EvalContext& context) {
    if (value.is_object()) return redact_object(value, context);
    if (!value.is_array()) return value;
    ArrayBuilder result(*context.arena);
    for (const Value& element : value.as_array()) {
      Value kept = redact_value(element, context);
      if (!kept.is_missing()) result.add(kept);
    }
    return result.finish();
  }

  ExpressionPtr expression_;
  size_t current_;
  Decisions decisions_;
};

// A decision as the expressions give it, e.g. of "$$KEEP".
Result<Value> decision(std::string_view variable, ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr expression, parse_expression(Value::string(variable), context));
  if (expression->constant() == nullptr)
    return Status(ErrorCode::kInternalError, "a decision of $redact is not constant");
  return *expression->constant();
}

}  // namespace

Result<OperatorPtr> parse_redact_stage(std::string_view, const Value& spec, StageContext& context) {
  Decisions decisions;
  MR_ASSIGN_OR_RETURN(decisions.keep, decision("$$KEEP", context.parse));
  MR_ASSIGN_OR_RETURN(decisions.prune, decision("$$PRUNE", context.parse));
  MR_ASSIGN_OR_RETURN(decisions.descend, decision("$$DESCEND", context.parse));
  size_t current = context.parse.define_variable("CURRENT");
  auto expression = parse_expression(spec, context.parse);
  context.parse.end_variables(1);
  if (!expression.ok()) return expression.status();
  return OperatorPtr(
      std::make_unique<RedactOperator>(std::move(expression).value(), current, decisions));
}

}  // namespace millrace::engine
