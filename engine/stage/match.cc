// $match: only the documents that satisfy a query.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/match/
#include "engine/match/match.h"

#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class MatchOperator final : public PerDocumentOperator {
 public:
  explicit MatchOperator(PredicatePtr predicate) : predicate_(std::move(predicate)) {}

  std::string_view name() const override { return "MatchOperator"; }
  void dependencies(Dependencies& dependencies) const override {
    predicate_->add_dependencies(dependencies);
  }
  bool only_filters() const override { return true; }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    return predicate_->matches(document.body, context.eval);
  }

 private:
  PredicatePtr predicate_;
};

}  // namespace

Result<OperatorPtr> parse_match_stage(std::string_view, const Value& spec, StageContext& context) {
  if (!spec.is_object())
    return Status(15959, "the match filter must be an expression in an object");
  MR_ASSIGN_OR_RETURN(PredicatePtr predicate, parse_predicate(spec, context.parse));
  return OperatorPtr(std::make_unique<MatchOperator>(std::move(predicate)));
}

}  // namespace millrace::engine
