// $ceil, $floor, $round and $trunc. Doubles are rounded at a place by their exact decimal value, so
// that 1.255 at two places is 1.25.
#include <cmath>

#include "engine/expression/arithmetic.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

constexpr int kMinPlace = -20;
constexpr int kMaxPlace = 100;

using DoubleFunction = double (*)(double);
using DecimalFunction = Decimal128 (*)(Decimal128);

Value round_to_whole(EvalContext& context, const Value& v, std::string_view name,
                     DoubleFunction binary, DecimalFunction decimal) {
  switch (v.type()) {
    case Type::kInt32:
    case Type::kInt64:
      return v;
    case Type::kDouble:
      return Value::number(binary(v.as_double()));
    case Type::kDecimal:
      return Value::decimal(decimal(v.as_decimal()), *context.arena);
    default:
      if (v.is_nullish()) return Value::null();
      fail_not_numeric(name, v);
  }
}

int parse_place(const Value& v, std::string_view name) {
  if (!v.is_number())
    fail_evaluation(16004, "a " + std::string(v.type_name()) + " cannot become a long");
  if (v.is(Type::kDouble) && !(std::fabs(v.as_double()) < 9223372036854775808.0)) {
    fail_evaluation(31109, "a value out of range cannot become a long: " + shown(v));
  }
  auto place = whole_int64(v);
  if (!place || *place != static_cast<int32_t>(*place))
    fail_evaluation(51082, "the place to which " + std::string(name) +
                               " works must be a whole number of 32 bits");
  if (*place < kMinPlace || *place > kMaxPlace) {
    fail_evaluation(51083, std::string(name) + " works to places from -20 to 100, not " +
                               std::to_string(*place));
  }
  return static_cast<int>(*place);
}

Value round_integer(const Value& v, int place, bool toward_zero, std::string_view name) {
  if (place >= 0) return v;
  auto whole = decimal::to_int64_exact(
      decimal::quantize(decimal::from_int64(v.integer_value()), place, toward_zero));
  if (!whole)
    fail_evaluation(51080,
                    "the result of " + std::string(name) + " does not fit a long: " + shown(v));
  return v.is(Type::kInt32) ? Value::integer(*whole) : Value::int64(*whole);
}

Value round_at_place(EvalContext& context, std::span<const Value> arguments, bool toward_zero,
                     std::string_view name) {
  const Value& v = arguments[0];
  if (v.is_nullish()) return Value::null();
  if (!v.is_number())
    fail_evaluation(51081, std::string(name) + " only supports numeric types, not " +
                               std::string(v.type_name()));
  int place = 0;
  if (arguments.size() == 2) {
    if (arguments[1].is_nullish()) return Value::null();
    place = parse_place(arguments[1], name);
  }
  switch (v.type()) {
    case Type::kDouble: {
      double d = v.as_double();
      if (place == 0) return Value::number(toward_zero ? std::trunc(d) : std::nearbyint(d));
      if (!std::isfinite(d)) return v;
      return Value::number(
          decimal::to_double(decimal::quantize(decimal::from_double_exact(d), place, toward_zero)));
    }
    case Type::kDecimal:
      return Value::decimal(decimal::quantize(v.as_decimal(), place, toward_zero), *context.arena);
    default:
      return round_integer(v, place, toward_zero, name);
  }
}

}  // namespace

Value eval_ceil(EvalContext& context, std::span<const Value> arguments) {
  return round_to_whole(context, arguments[0], "$ceil", std::ceil, decimal::ceil);
}
Value eval_floor(EvalContext& context, std::span<const Value> arguments) {
  return round_to_whole(context, arguments[0], "$floor", std::floor, decimal::floor);
}
Value eval_round(EvalContext& context, std::span<const Value> arguments) {
  return round_at_place(context, arguments, false, "$round");
}
Value eval_trunc(EvalContext& context, std::span<const Value> arguments) {
  return round_at_place(context, arguments, true, "$trunc");
}

}  // namespace millrace::engine
