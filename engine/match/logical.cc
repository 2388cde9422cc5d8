// $alwaysFalse $alwaysTrue $and $comment $nor $not $or $sampleRate.
#include "engine/match/registry.h"

namespace millrace::engine {
namespace {

Result<std::vector<PredicatePtr>> parse_clauses(std::string_view name, const Value& operand,
                                                QueryParse& parse) {
  if (!operand.is_array())
    return Status(ErrorCode::kBadValue, std::string(name) + " must be an array");
  if (operand.as_array().empty())
    return Status(ErrorCode::kBadValue, std::string(name) + " must be a nonempty array");
  std::vector<PredicatePtr> clauses;
  for (const Value& element : operand.as_array()) {
    if (!element.is_object())
      return Status(ErrorCode::kBadValue, std::string(name) + " entries need to be full objects");
    MR_ASSIGN_OR_RETURN(PredicatePtr clause, parse_query(element, parse));
    clauses.push_back(std::move(clause));
  }
  return clauses;
}

Result<PredicatePtr> parse_and(std::string_view name, const Value& operand, QueryParse& parse) {
  MR_ASSIGN_OR_RETURN(auto clauses, parse_clauses(name, operand, parse));
  return make_and(std::move(clauses));
}

Result<PredicatePtr> parse_or(std::string_view name, const Value& operand, QueryParse& parse) {
  MR_ASSIGN_OR_RETURN(auto clauses, parse_clauses(name, operand, parse));
  return make_or(std::move(clauses));
}

Result<PredicatePtr> parse_nor(std::string_view name, const Value& operand, QueryParse& parse) {
  MR_ASSIGN_OR_RETURN(auto clauses, parse_clauses(name, operand, parse));
  return make_not(make_or(std::move(clauses)));
}

Result<std::optional<FieldCondition>> parse_not(const FieldOperator& field, QueryParse& parse) {
  if (field.operand.is(Type::kRegex)) {
    MR_ASSIGN_OR_RETURN(FieldCondition condition, make_equality(field.operand, parse));
    condition.negated = true;
    return std::optional(std::move(condition));
  }
  if (!field.operand.is_object())
    return Status(ErrorCode::kBadValue, "$not needs a regex or a document");
  if (field.operand.as_object().empty())
    return Status(ErrorCode::kBadValue, "$not cannot be empty");
  MR_ASSIGN_OR_RETURN(FieldCondition condition,
                      parse_field_operators(field.path, field.operand, parse));
  condition.negated = !condition.negated;
  return std::optional(std::move(condition));
}

Result<PredicatePtr> parse_comment(std::string_view, const Value&, QueryParse&) {
  return make_constant_predicate(true);
}

Result<PredicatePtr> parse_always(std::string_view name, const Value& operand, QueryParse&) {
  MR_ASSIGN_OR_RETURN(int64_t one, parse_integer(name, operand, ErrorCode::kFailedToParse));
  if (one != 1)
    return Status(ErrorCode::kFailedToParse, std::string(name) + " must be an integer value of 1");
  return make_constant_predicate(name == "$alwaysTrue");
}

class SamplePredicate final : public Predicate {
 public:
  explicit SamplePredicate(double rate) : rate_(rate) {}
  bool matches(const Value&, EvalContext& context) const override {
    return std::uniform_real_distribution<double>(0, 1)(context.random) < rate_;
  }
  void add_dependencies(Dependencies&) const override {}

 private:
  double rate_;
};

Result<PredicatePtr> parse_sample_rate(std::string_view, const Value& operand, QueryParse&) {
  if (!operand.is_number())
    return Status(ErrorCode::kBadValue, "argument to $sampleRate must be a numeric type");
  double rate = operand.to_double();
  if (!(rate >= 0 && rate <= 1))
    return Status(ErrorCode::kBadValue, "numeric argument to $sampleRate must be in [0, 1]");
  if (rate == 0 || rate == 1) return make_constant_predicate(rate == 1);
  return PredicatePtr(std::make_unique<SamplePredicate>(rate));
}

// clang-format off
constexpr std::array kLogicalQueries = {
    //       name            query              field      manual page
    QueryRow{"$alwaysFalse", parse_always,      nullptr,   "query"},
    QueryRow{"$alwaysTrue",  parse_always,      nullptr,   "query"},
    QueryRow{"$and",         parse_and,         nullptr,   "query/and"},
    QueryRow{"$comment",     parse_comment,     nullptr,   "query/comment"},
    QueryRow{"$nor",         parse_nor,         nullptr,   "query/nor"},
    QueryRow{"$not",         nullptr,           parse_not, "query/not"},
    QueryRow{"$or",          parse_or,          nullptr,   "query/or"},
    QueryRow{"$sampleRate",  parse_sample_rate, nullptr,   "aggregation/sampleRate"},
};
// clang-format on
static_assert(sorted_and_unique(kLogicalQueries));

}  // namespace

std::span<const QueryRow> logical_queries() { return kLogicalQueries; }

}  // namespace millrace::engine
