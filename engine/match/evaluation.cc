// $expr $mod $options $regex, and $text and $where, which no stream processor may use.
#include "engine/document/decimal.h"
#include "engine/match/regex_match.h"
#include "engine/match/registry.h"

#include <cmath>

namespace millrace::engine {
namespace {

class ExprPredicate final : public Predicate {
 public:
  explicit ExprPredicate(ExpressionPtr expression) : expression_(std::move(expression)) {}
  bool matches(const Value&, EvalContext& context) const override {
    return expression_->evaluate(context).truthy();
  }
  void add_dependencies(Dependencies& dependencies) const override {
    expression_->add_dependencies(dependencies);
  }
  bool evaluates() const override { return true; }

 private:
  ExpressionPtr expression_;
};

Result<PredicatePtr> parse_expr(std::string_view, const Value& operand, QueryParse& parse) {
  if (!parse.whole_document)
    return Status(ErrorCode::kBadValue, "$expr can only be applied to the top-level document");
  MR_ASSIGN_OR_RETURN(ExpressionPtr expression, parse_expression(operand, parse.context));
  if (const Value* constant = expression->constant())
    return make_constant_predicate(constant->truthy());
  return PredicatePtr(std::make_unique<ExprPredicate>(std::move(expression)));
}

// The whole part of a number, if 64 bits hold it.
std::optional<int64_t> truncated(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  if (value.is(Type::kDecimal)) return decimal::to_int64_truncated(value.as_decimal());
  double d = value.as_double();
  if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0)) return std::nullopt;
  return static_cast<int64_t>(d);
}

class ModTest final : public ValueTest {
 public:
  ModTest(int64_t divisor, int64_t remainder) : divisor_(divisor), remainder_(remainder) {}
  bool test(const Value& value, EvalContext&) const override {
    if (!value.is_number()) return false;
    std::optional<int64_t> dividend = truncated(value);
    if (!dividend) return false;
    if (divisor_ == -1) return remainder_ == 0;  // the smallest long divided by -1 overflows
    return *dividend % divisor_ == remainder_;
  }

 private:
  int64_t divisor_;
  int64_t remainder_;
};

Result<int64_t> parse_mod_part(std::string_view what, const Value& value) {
  if (!value.is_number())
    return Status(ErrorCode::kBadValue, "malformed mod, " + std::string(what) + " not a number");
  std::optional<int64_t> whole = truncated(value);
  if (!whole)
    return Status(ErrorCode::kBadValue,
                  "malformed mod, " + std::string(what) + " does not fit 64 bits");
  return *whole;
}

Result<std::optional<FieldCondition>> parse_mod(const FieldOperator& field, QueryParse&) {
  if (!field.operand.is_array())
    return Status(ErrorCode::kBadValue, "malformed mod, needs to be an array");
  size_t count = field.operand.as_array().size();
  if (count < 2) return Status(ErrorCode::kBadValue, "malformed mod, not enough elements");
  if (count > 2) return Status(ErrorCode::kBadValue, "malformed mod, too many elements");
  MR_ASSIGN_OR_RETURN(int64_t divisor, parse_mod_part("divisor", field.operand.as_array().at(0)));
  MR_ASSIGN_OR_RETURN(int64_t remainder,
                      parse_mod_part("remainder", field.operand.as_array().at(1)));
  if (divisor == 0) return Status(ErrorCode::kBadValue, "divisor cannot be 0");
  FieldCondition condition;
  condition.test = std::make_unique<ModTest>(divisor, remainder);
  return std::optional(std::move(condition));
}

// A string or symbol in which the pattern is found, or the same regular expression as a value.
class RegexTest final : public ValueTest {
 public:
  RegexTest(std::string_view pattern, std::string_view options, std::unique_ptr<Regex> matcher)
      : pattern_(pattern), options_(options), matcher_(std::move(matcher)) {}
  bool test(const Value& value, EvalContext&) const override {
    if (value.is_string() || value.is(Type::kSymbol)) return found_in(*matcher_, value.as_string());
    if (!value.is(Type::kRegex)) return false;
    RegexParts parts = value.as_regex();
    return parts.pattern == pattern_ && parts.options == options_;
  }

 private:
  std::string pattern_;
  std::string options_;
  std::unique_ptr<Regex> matcher_;
};

Result<std::optional<FieldCondition>> parse_regex(const FieldOperator& field, QueryParse&) {
  std::string_view pattern;
  std::string_view options;
  if (field.operand.is(Type::kRegex)) {
    pattern = field.operand.as_regex().pattern;
    options = field.operand.as_regex().options;
  } else if (field.operand.is_string()) {
    pattern = field.operand.as_string();
  } else {
    return Status(ErrorCode::kBadValue, "$regex has to be a string");
  }
  Value given = field.siblings.get("$options");
  if (!given.is_missing()) {
    if (!given.is_string()) return Status(ErrorCode::kBadValue, "$options has to be a string");
    if (!options.empty()) return Status(51075, "options set in both $regex and $options");
    options = given.as_string();
  }
  MR_ASSIGN_OR_RETURN(FieldCondition condition, make_regex_condition(pattern, options));
  return std::optional(std::move(condition));
}

Result<std::optional<FieldCondition>> parse_options(const FieldOperator& field, QueryParse&) {
  if (!field.siblings.has("$regex")) return Status(ErrorCode::kBadValue, "$options needs a $regex");
  return std::optional<FieldCondition>();
}

Result<PredicatePtr> refuse_query(std::string_view name, const Value&, QueryParse& parse) {
  return Status(ErrorCode::kBadValue,
                std::string(name) + " is not allowed in " + std::string(parse.options.place));
}

Result<std::optional<FieldCondition>> refuse_field(const FieldOperator& field, QueryParse&) {
  return Status(ErrorCode::kBadValue, std::string(field.name) + " cannot be applied to a field");
}

// clang-format off
constexpr std::array kEvaluationQueries = {
    //       name       query         field          manual page
    QueryRow{"$expr",    parse_expr,   nullptr,       "query/expr"},
    QueryRow{"$mod",     nullptr,      parse_mod,     "query/mod"},
    QueryRow{"$options", nullptr,      parse_options, "query/regex"},
    QueryRow{"$regex",   nullptr,      parse_regex,   "query/regex"},
    QueryRow{"$text",    refuse_query, refuse_field,  "query/text"},
    QueryRow{"$where",   refuse_query, refuse_field,  "query/where"},
};
// clang-format on
static_assert(sorted_and_unique(kEvaluationQueries));

}  // namespace

std::span<const QueryRow> evaluation_queries() { return kEvaluationQueries; }

Result<FieldCondition> make_regex_condition(std::string_view pattern, std::string_view options) {
  MR_ASSIGN_OR_RETURN(auto matcher, compile_match_regex(pattern, options));
  FieldCondition condition;
  condition.test = std::make_unique<RegexTest>(pattern, options, std::move(matcher));
  return condition;
}

}  // namespace millrace::engine
