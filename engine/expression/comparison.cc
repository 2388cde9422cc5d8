// Comparison operators: MongoDB's order across types (engine/document/compare.h). A missing value
// is smaller than null and not equal to it.
#include "engine/document/compare.h"
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

Value eval_cmp(EvalContext&, std::span<const Value> arguments) {
  int order = compare(arguments[0], arguments[1]);
  return Value::int32(order < 0 ? -1 : (order > 0 ? 1 : 0));
}
Value eval_eq(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(compare(arguments[0], arguments[1]) == 0);
}
Value eval_ne(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(compare(arguments[0], arguments[1]) != 0);
}
Value eval_gt(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(compare(arguments[0], arguments[1]) > 0);
}
Value eval_gte(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(compare(arguments[0], arguments[1]) >= 0);
}
Value eval_lt(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(compare(arguments[0], arguments[1]) < 0);
}
Value eval_lte(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(compare(arguments[0], arguments[1]) <= 0);
}

// clang-format off
constexpr std::array kComparisonExpressions = {
    //            name     arguments  evaluate  parse    manual page
    ExpressionRow{"$cmp",  {2, 2},    eval_cmp, nullptr, "aggregation/cmp"},
    ExpressionRow{"$eq",   {2, 2},    eval_eq,  nullptr, "aggregation/eq"},
    ExpressionRow{"$gt",   {2, 2},    eval_gt,  nullptr, "aggregation/gt"},
    ExpressionRow{"$gte",  {2, 2},    eval_gte, nullptr, "aggregation/gte"},
    ExpressionRow{"$lt",   {2, 2},    eval_lt,  nullptr, "aggregation/lt"},
    ExpressionRow{"$lte",  {2, 2},    eval_lte, nullptr, "aggregation/lte"},
    ExpressionRow{"$ne",   {2, 2},    eval_ne,  nullptr, "aggregation/ne"},
};
// clang-format on
static_assert(sorted_and_unique(kComparisonExpressions));

}  // namespace

std::span<const ExpressionRow> comparison_expressions() { return kComparisonExpressions; }

}  // namespace millrace::engine
