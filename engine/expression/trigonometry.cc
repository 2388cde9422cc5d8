// Trigonometry operators: double arithmetic, or decimal when the argument is one. NaN gives NaN; a
// value outside a function's range is an error (50989).
#include <cmath>
#include <limits>

#include "engine/expression/arithmetic.h"
#include "engine/expression/families.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

using DoubleFunction = double (*)(double);
using DecimalFunction = Decimal128 (*)(Decimal128);

// Where a function is defined. The bounds are whole numbers or infinities.
struct Range {
  double from;
  double to;
  bool open;  // the bounds themselves do not belong to it
  std::string_view text;
};
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Range kAll{-kInfinity, kInfinity, false, "[-inf,inf]"};
constexpr Range kFinite{-kInfinity, kInfinity, true, "(-inf,inf)"};
constexpr Range kUnit{-1, 1, false, "[-1,1]"};
constexpr Range kFromOne{1, kInfinity, false, "[1,inf]"};

bool contains(const Range& range, const Value& v) {
  if (v.is(Type::kDecimal)) {
    Decimal128 d = v.as_decimal();
    if (range.open && decimal::is_infinite(d)) return false;
    return decimal::compare(d, decimal::from_double_exact(range.from)) >= 0 &&
           decimal::compare(d, decimal::from_double_exact(range.to)) <= 0;
  }
  double d = v.to_double();
  return d >= range.from && d <= range.to && !(range.open && std::isinf(d));
}

Value apply(EvalContext& context, const Value& v, std::string_view name, const Range& range,
            DoubleFunction binary, DecimalFunction exact) {
  if (v.is_nullish()) return Value::null();
  if (!v.is_number()) fail_not_numeric(name, v);
  if (!is_nan(v) && !contains(range, v)) {
    fail_evaluation(50989, std::string(name) + " cannot be applied to " + shown(v) +
                               ", its argument must be in " + std::string(range.text));
  }
  if (v.is(Type::kDecimal)) return Value::decimal(exact(v.as_decimal()), *context.arena);
  return Value::number(binary(v.to_double()));
}

// clang-format off
#define MR_TRIGONOMETRIC(function, range)                                          \
  Value eval_##function(EvalContext& context, std::span<const Value> arguments) {  \
    return apply(context, arguments[0], "$" #function, range, std::function, decimal::function); \
  }
MR_TRIGONOMETRIC(sin, kFinite)
MR_TRIGONOMETRIC(cos, kFinite)
MR_TRIGONOMETRIC(tan, kFinite)
MR_TRIGONOMETRIC(asin, kUnit)
MR_TRIGONOMETRIC(acos, kUnit)
MR_TRIGONOMETRIC(atan, kAll)
MR_TRIGONOMETRIC(sinh, kAll)
MR_TRIGONOMETRIC(cosh, kAll)
MR_TRIGONOMETRIC(tanh, kAll)
MR_TRIGONOMETRIC(asinh, kAll)
MR_TRIGONOMETRIC(acosh, kFromOne)
MR_TRIGONOMETRIC(atanh, kUnit)
#undef MR_TRIGONOMETRIC
// clang-format on

Value eval_atan2(EvalContext& context, std::span<const Value> arguments) {
  const Value& y = arguments[0];
  if (y.is_nullish()) return Value::null();
  if (!y.is_number())
    fail_evaluation(51044, "$atan2 only supports numeric types, not " + std::string(y.type_name()));
  if (arguments.size() == 1) return Value::int32(0);  // the other failed: see OrderedCall
  const Value& x = arguments[1];
  if (x.is_nullish()) return Value::null();
  if (!x.is_number())
    fail_evaluation(51045, "$atan2 only supports numeric types, not " + std::string(x.type_name()));
  if (y.is(Type::kDecimal) || x.is(Type::kDecimal)) {
    return Value::decimal(decimal::atan2(to_decimal(y), to_decimal(x)), *context.arena);
  }
  return Value::number(std::atan2(y.to_double(), x.to_double()));
}

constexpr double kPi = 3.141592653589793;

double radians(double degrees) { return degrees * (kPi / 180); }
double degrees(double radians) { return radians * (180 / kPi); }
Decimal128 decimal_radians(Decimal128 degrees) {
  static const Decimal128 kFactor = *decimal::from_string("0.01745329251994329576923690768488613");
  return decimal::multiply(degrees, kFactor);
}
Decimal128 decimal_degrees(Decimal128 radians) {
  static const Decimal128 kFactor = *decimal::from_string("57.29577951308232087679815481410517");
  return decimal::multiply(radians, kFactor);
}

Value eval_degrees_to_radians(EvalContext& context, std::span<const Value> arguments) {
  return apply(context, arguments[0], "$degreesToRadians", kAll, radians, decimal_radians);
}
Value eval_radians_to_degrees(EvalContext& context, std::span<const Value> arguments) {
  return apply(context, arguments[0], "$radiansToDegrees", kAll, degrees, decimal_degrees);
}

// clang-format off
constexpr std::array kTrigonometryExpressions = {
    //            name                 arguments  evaluate                 parse    manual page
    ExpressionRow{"$acos",             {1, 1},    eval_acos,               nullptr, "aggregation/acos"},
    ExpressionRow{"$acosh",            {1, 1},    eval_acosh,              nullptr, "aggregation/acosh"},
    ExpressionRow{"$asin",             {1, 1},    eval_asin,               nullptr, "aggregation/asin"},
    ExpressionRow{"$asinh",            {1, 1},    eval_asinh,              nullptr, "aggregation/asinh"},
    ExpressionRow{"$atan",             {1, 1},    eval_atan,               nullptr, "aggregation/atan"},
    ExpressionRow{"$atan2",            {2, 2},    eval_atan2,              nullptr, "aggregation/atan2"},
    ExpressionRow{"$atanh",            {1, 1},    eval_atanh,              nullptr, "aggregation/atanh"},
    ExpressionRow{"$cos",              {1, 1},    eval_cos,                nullptr, "aggregation/cos"},
    ExpressionRow{"$cosh",             {1, 1},    eval_cosh,               nullptr, "aggregation/cosh"},
    ExpressionRow{"$degreesToRadians", {1, 1},    eval_degrees_to_radians, nullptr, "aggregation/degreesToRadians"},
    ExpressionRow{"$radiansToDegrees", {1, 1},    eval_radians_to_degrees, nullptr, "aggregation/radiansToDegrees"},
    ExpressionRow{"$sin",              {1, 1},    eval_sin,                nullptr, "aggregation/sin"},
    ExpressionRow{"$sinh",             {1, 1},    eval_sinh,               nullptr, "aggregation/sinh"},
    ExpressionRow{"$tan",              {1, 1},    eval_tan,                nullptr, "aggregation/tan"},
    ExpressionRow{"$tanh",             {1, 1},    eval_tanh,               nullptr, "aggregation/tanh"},
};
// clang-format on
static_assert(sorted_and_unique(kTrigonometryExpressions));

}  // namespace

std::span<const ExpressionRow> trigonometry_expressions() { return kTrigonometryExpressions; }

}  // namespace millrace::engine
