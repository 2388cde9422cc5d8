// $validate: documents that do not satisfy a query are dropped, or go to the dead letter queue.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-validate/
#include "engine/match/match.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class ValidateOperator final : public PerDocumentOperator {
 public:
  ValidateOperator(PredicatePtr validator, bool to_dead_letters)
      : validator_(std::move(validator)), to_dead_letters_(to_dead_letters) {}

  std::string_view name() const override { return "ValidateOperator"; }
  void dependencies(Dependencies& dependencies) const override {
    validator_->add_dependencies(dependencies);
  }
  bool only_filters() const override { return true; }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    if (validator_->matches(document.body, context.eval)) return true;
    if (to_dead_letters_) {
      fail_evaluation(ErrorCode::kDocumentValidationFailure,
                      "Input document found to be invalid in $validate stage");
    }
    return false;
  }

 private:
  PredicatePtr validator_;
  bool to_dead_letters_;
};

Status invalid(std::string message) {
  return {ErrorCode::kStreamProcessorInvalidOptions, std::move(message)};
}

// "discard" or "dlq". The service knows no other; those of collection validation ("error", "warn",
// "errorAndLog") are refused too.
Result<bool> parse_action(const Value& action) {
  if (action.is_missing()) return false;
  if (action.is_string() && action.as_string() == "dlq") return true;
  if (action.is_string() && action.as_string() == "discard") return false;
  return invalid("$validate.validationAction must be \"discard\" or \"dlq\"");
}

}  // namespace

Result<OperatorPtr> parse_validate_stage(std::string_view, const Value& spec,
                                         StageContext& context) {
  if (!spec.is_object()) return invalid("$validate must be given an object");
  for (const Field& field : spec.as_object()) {
    // logAttributes only decorates the service's own log records, of which there are none here.
    if (field.name() != "validator" && field.name() != "validationAction" &&
        field.name() != "logAttributes") {
      return invalid("$validate has no option '" + std::string(field.name()) + "'");
    }
  }
  ObjectView options = spec.as_object();
  Value validator = options.get("validator");
  if (!validator.is_object())
    return invalid("$validate.validator is required and must be a query document");
  MR_ASSIGN_OR_RETURN(bool to_dead_letters, parse_action(options.get("validationAction")));
  MR_ASSIGN_OR_RETURN(PredicatePtr predicate,
                      parse_predicate(validator, context.parse, {"$validate"}));
  return OperatorPtr(std::make_unique<ValidateOperator>(std::move(predicate), to_dead_letters));
}

}  // namespace millrace::engine
