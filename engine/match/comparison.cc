// $eq $gt $gte $in $lt $lte $ne $nin.
#include "engine/match/comparison.h"

#include <algorithm>
#include <cmath>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/number.h"
#include "engine/match/registry.h"

namespace millrace::engine {
namespace {

constexpr int64_t kExactInDouble = int64_t{1} << 53;

}  // namespace

Comparison::Comparison(CompareOp op, Value constant)
    : op_(op), rank_(canonical_type(constant.type())), constant_(constant) {
  if (constant.is_integer()) {
    kind_ = Kind::kInteger;
    integer_ = constant.integer_value();
    number_ = static_cast<double>(integer_);
    small_integer_ = integer_ >= -kExactInDouble && integer_ <= kExactInDouble;
  } else if (constant.is(Type::kDouble) && !std::isnan(constant.as_double())) {
    kind_ = Kind::kDouble;
    number_ = constant.as_double();
  } else if (constant.is_string() && op == CompareOp::kEqual) {
    kind_ = Kind::kEqualString;
  }
}

bool Comparison::test_slowly(const Value& value) const {
  int rank = canonical_type(value.type());
  bool takes_equal = (static_cast<int>(op_) & static_cast<int>(CompareOp::kEqual)) != 0;
  if (rank != rank_ && !constant_.is(Type::kMinKey) && !constant_.is(Type::kMaxKey)) {
    // null stands for missing too, but not for undefined (MongoDB 8.0).
    return takes_equal && value.is_missing() && constant_.is(Type::kNull);
  }
  if (rank_ == canonical_type(Type::kInt32)) {
    bool value_nan = is_nan(value);
    bool constant_nan = is_nan(constant_);
    if (value_nan || constant_nan) return value_nan && constant_nan && takes_equal;
  }
  int c = compare(value, constant_);
  return holds(c, 0);
}

namespace {

// Equal to one of a list of values, or matching one of its regular expressions.
class InTest final : public ValueTest {
 public:
  InTest(std::vector<Value> values, std::vector<ValueTestPtr> patterns)
      : values_(std::move(values)), patterns_(std::move(patterns)) {
    std::sort(values_.begin(), values_.end(),
              [](const Value& a, const Value& b) { return compare(a, b) < 0; });
    has_null_ = std::any_of(values_.begin(), values_.end(),
                            [](const Value& v) { return v.is(Type::kNull); });
  }
  bool test(const Value& value, EvalContext& context) const override {
    if (value.is_missing()) return has_null_;
    auto found = std::lower_bound(values_.begin(), values_.end(), value,
                                  [](const Value& a, const Value& b) { return compare(a, b) < 0; });
    if (found != values_.end() && compare(*found, value) == 0) return true;
    return std::any_of(patterns_.begin(), patterns_.end(),
                       [&](const auto& p) { return p->test(value, context); });
  }

 private:
  std::vector<Value> values_;
  std::vector<ValueTestPtr> patterns_;
  bool has_null_ = false;
};

Result<std::optional<FieldCondition>> parse_comparison(const FieldOperator& field, CompareOp op,
                                                       QueryParse& parse) {
  if (field.operand.is(Type::kUndefined))
    return Status(ErrorCode::kBadValue, "cannot compare to undefined");
  if (field.operand.is(Type::kRegex) && op != CompareOp::kEqual) {
    return Status(ErrorCode::kBadValue, "Can't have RegEx as arg to predicate over field '" +
                                            std::string(field.path) + "'.");
  }
  FieldCondition condition;
  condition.test =
      std::make_unique<Comparison>(op, deep_copy(field.operand, parse.context.constants()));
  return std::optional(std::move(condition));
}

template <CompareOp op>
Result<std::optional<FieldCondition>> parse_order(const FieldOperator& field, QueryParse& parse) {
  return parse_comparison(field, op, parse);
}

Result<std::optional<FieldCondition>> parse_ne(const FieldOperator& field, QueryParse& parse) {
  if (field.operand.is(Type::kRegex))
    return Status(ErrorCode::kBadValue, "Can't have regex as arg to $ne.");
  MR_ASSIGN_OR_RETURN(auto condition, parse_comparison(field, CompareOp::kEqual, parse));
  condition->negated = true;
  return condition;
}

Result<std::optional<FieldCondition>> parse_in(const FieldOperator& field, QueryParse& parse) {
  if (!field.operand.is_array())
    return Status(ErrorCode::kBadValue, std::string(field.name) + " needs an array");
  std::vector<Value> values;
  std::vector<ValueTestPtr> patterns;
  for (const Value& element : field.operand.as_array()) {
    if (is_operator_document(element)) {
      return Status(ErrorCode::kBadValue, "cannot nest $ under " + std::string(field.name));
    }
    if (element.is(Type::kUndefined))
      return Status(ErrorCode::kBadValue, "cannot compare to undefined");
    if (element.is(Type::kRegex)) {
      RegexParts parts = element.as_regex();
      MR_ASSIGN_OR_RETURN(FieldCondition pattern,
                          make_regex_condition(parts.pattern, parts.options));
      patterns.push_back(std::move(pattern.test));
    } else {
      values.push_back(deep_copy(element, parse.context.constants()));
    }
  }
  FieldCondition condition;
  condition.test = std::make_unique<InTest>(std::move(values), std::move(patterns));
  return std::optional(std::move(condition));
}

Result<std::optional<FieldCondition>> parse_nin(const FieldOperator& field, QueryParse& parse) {
  MR_ASSIGN_OR_RETURN(auto condition, parse_in(field, parse));
  condition->negated = true;
  return condition;
}

// clang-format off
constexpr std::array kComparisonQueries = {
    //       name    query    field                                    manual page
    QueryRow{"$eq",  nullptr, parse_order<CompareOp::kEqual>,          "query/eq"},
    QueryRow{"$gt",  nullptr, parse_order<CompareOp::kGreater>,        "query/gt"},
    QueryRow{"$gte", nullptr, parse_order<CompareOp::kGreaterOrEqual>, "query/gte"},
    QueryRow{"$in",  nullptr, parse_in,                                "query/in"},
    QueryRow{"$lt",  nullptr, parse_order<CompareOp::kLess>,           "query/lt"},
    QueryRow{"$lte", nullptr, parse_order<CompareOp::kLessOrEqual>,    "query/lte"},
    QueryRow{"$ne",  nullptr, parse_ne,                                "query/ne"},
    QueryRow{"$nin", nullptr, parse_nin,                               "query/nin"},
};
// clang-format on
static_assert(sorted_and_unique(kComparisonQueries));

}  // namespace

std::span<const QueryRow> comparison_queries() { return kComparisonQueries; }

Result<FieldCondition> make_equality(const Value& value, QueryParse& parse) {
  if (value.is(Type::kRegex)) {
    RegexParts parts = value.as_regex();
    return make_regex_condition(parts.pattern, parts.options);
  }
  if (value.is(Type::kUndefined))
    return Status(ErrorCode::kBadValue, "cannot compare to undefined");
  FieldCondition condition;
  condition.test =
      std::make_unique<Comparison>(CompareOp::kEqual, deep_copy(value, parse.context.constants()));
  return condition;
}

}  // namespace millrace::engine
