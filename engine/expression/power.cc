// Powers, roots and logarithms: double arithmetic, or decimal when an argument is one. $pow of
// integers is exact while it fits a long.
#include <cmath>

#include "engine/expression/arithmetic.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

// The sign of a number; 0 for NaN, which passes every check of range below.
int sign_of(const Value& v) {
  if (v.is(Type::kDecimal)) {
    Decimal128 d = v.as_decimal();
    if (decimal::is_nan(d) || decimal::is_zero(d)) return 0;
    return decimal::is_negative(d) ? -1 : 1;
  }
  double d = v.to_double();
  return d > 0 ? 1 : (d < 0 ? -1 : 0);
}
bool is_positive_or_nan(const Value& v) { return sign_of(v) > 0 || is_nan(v); }

// base^exponent for exponent >= 0, or nothing if it does not fit a long.
std::optional<int64_t> integer_power(int64_t base, int64_t exponent) {
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  int64_t result = 1;
  for (;;) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return std::nullopt;
    exponent >>= 1;
    if (exponent == 0) return result;
    if (__builtin_mul_overflow(base, base, &base)) return std::nullopt;
  }
}

Value power_of_integers(const Value& base, const Value& exponent) {
  int64_t b = base.integer_value();
  int64_t e = exponent.integer_value();
  std::optional<int64_t> result;
  if (e >= 0) {
    result = integer_power(b, e);
  } else if (b == 1 || b == -1) {
    result = e % 2 == 0 ? 1 : b;
  }
  if (!result) return Value::number(std::pow(static_cast<double>(b), static_cast<double>(e)));
  return base.is(Type::kInt32) && exponent.is(Type::kInt32) ? Value::integer(*result)
                                                            : Value::int64(*result);
}

// As MongoDB 8 has it, without the library's own functions for the bases 2 and 10: the last digit
// of exact powers is not exact.
Decimal128 decimal_logarithm(Decimal128 v, Decimal128 base) {
  return decimal::divide(decimal::ln(v), decimal::ln(base));
}

// A function of one number that works in doubles, or in decimals.
template <typename Binary, typename Decimal>
Value apply(EvalContext& context, const Value& v, Binary binary, Decimal decimal) {
  if (v.is(Type::kDecimal)) return Value::decimal(decimal(v.as_decimal()), *context.arena);
  return Value::number(binary(v.to_double()));
}

}  // namespace

Value eval_pow(EvalContext& context, std::span<const Value> arguments) {
  const Value& base = arguments[0];
  const Value& exponent = arguments[1];
  if (base.is_nullish() || exponent.is_nullish()) return Value::null();
  if (!base.is_number())
    fail_evaluation(28762, "$pow's base must be a number, not " + std::string(base.type_name()));
  if (!exponent.is_number())
    fail_evaluation(28763,
                    "$pow's exponent must be a number, not " + std::string(exponent.type_name()));
  // Among decimals -0 is a negative exponent, too.
  bool decimals = base.is(Type::kDecimal) || exponent.is(Type::kDecimal);
  bool negative = decimals && !is_nan(exponent) ? decimal::is_negative(to_decimal(exponent))
                                                : sign_of(exponent) < 0;
  if (negative && sign_of(base) == 0 && !is_nan(base)) {
    fail_evaluation(28764, "$pow cannot raise 0 to a negative exponent");
  }
  if (base.is(Type::kDecimal) || exponent.is(Type::kDecimal)) {
    return Value::decimal(decimal::power(to_decimal(base), to_decimal(exponent)), *context.arena);
  }
  if (base.is_integer() && exponent.is_integer()) return power_of_integers(base, exponent);
  return Value::number(std::pow(base.to_double(), exponent.to_double()));
}

Value eval_exp(EvalContext& context, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  if (v.is_nullish()) return Value::null();
  if (!v.is_number()) fail_not_numeric("$exp", v);
  return apply(
      context, v, [](double d) { return std::exp(d); }, decimal::exp);
}

Value eval_ln(EvalContext& context, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  if (v.is_nullish()) return Value::null();
  if (!v.is_number()) fail_not_numeric("$ln", v);
  if (is_nan(v)) return Value::number(std::nan(""));
  if (!is_positive_or_nan(v))
    fail_evaluation(28766, "$ln's argument must be a positive number, but is " + shown(v));
  return apply(
      context, v, [](double d) { return std::log(d); }, decimal::ln);
}

Value eval_log10(EvalContext& context, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  if (v.is_nullish()) return Value::null();
  if (!v.is_number()) fail_not_numeric("$log10", v);
  if (is_nan(v)) return Value::number(std::nan(""));
  if (!is_positive_or_nan(v))
    fail_evaluation(28761, "$log10's argument must be a positive number, but is " + shown(v));
  return apply(
      context, v, [](double d) { return std::log10(d); }, decimal::log10);
}

Value eval_log(EvalContext& context, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  const Value& base = arguments[1];
  if (v.is_nullish() || base.is_nullish()) return Value::null();
  if (!v.is_number())
    fail_evaluation(28756, "$log's argument must be a number, not " + std::string(v.type_name()));
  if (!base.is_number())
    fail_evaluation(28757, "$log's base must be a number, not " + std::string(base.type_name()));
  bool bad_base = !is_positive_or_nan(base) || base.to_double() == 1;
  // Beside a bad base a decimal too small for a double is none either (6.0.5).
  if (!is_positive_or_nan(v) || (bad_base && v.to_double() == 0))
    fail_evaluation(28758, "$log's argument must be a positive number, but is " + shown(v));
  if (bad_base) {
    fail_evaluation(28759,
                    "$log's base must be a positive number other than 1, but is " + shown(base));
  }
  if (is_nan(v) || is_nan(base)) return Value::number(std::nan(""));
  if (v.is(Type::kDecimal) || base.is(Type::kDecimal)) {
    return Value::decimal(decimal_logarithm(to_decimal(v), to_decimal(base)), *context.arena);
  }
  return Value::number(std::log(v.to_double()) / std::log(base.to_double()));
}

Value eval_sqrt(EvalContext& context, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  if (v.is_nullish()) return Value::null();
  if (!v.is_number()) fail_not_numeric("$sqrt", v);
  if (sign_of(v) < 0)
    fail_evaluation(28714, "$sqrt's argument must not be negative, but is " + shown(v));
  return apply(
      context, v, [](double d) { return std::sqrt(d); }, decimal::sqrt);
}

namespace {

// 1 / (1 + e^-x); null or missing gives `onNull`, or null without it.
class SigmoidExpression final : public Expression {
 public:
  SigmoidExpression(ExpressionPtr input, ExpressionPtr on_null)
      : input_(std::move(input)), on_null_(std::move(on_null)) {}
  Value evaluate(EvalContext& context) const override {
    Value v = input_->evaluate(context);
    if (v.is_nullish()) return on_null_ == nullptr ? Value::null() : on_null_->evaluate(context);
    if (!v.is_number())
      fail_evaluation(ErrorCode::kTypeMismatch,
                      "$sigmoid only supports numeric types, not " + std::string(v.type_name()));
    if (v.is(Type::kDecimal)) {
      Decimal128 one = decimal::from_int64(1);
      Decimal128 power = decimal::exp(decimal::negate(v.as_decimal()));
      return Value::decimal(decimal::divide(one, decimal::add(one, power)), *context.arena);
    }
    return Value::number(1 / (1 + std::exp(-v.to_double())));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
    if (on_null_ != nullptr) on_null_->add_dependencies(dependencies);
  }

 private:
  ExpressionPtr input_;
  ExpressionPtr on_null_;  // nullptr: null
};

bool is_named_form(const Value& operand) {
  if (!operand.is_object()) return false;
  auto first = operand.as_object().begin();
  return first != operand.as_object().end() && !first->name().starts_with('$');
}

}  // namespace

// {$sigmoid: <expression>} or {$sigmoid: {input: <expression>, onNull: <expression>}}.
Result<ExpressionPtr> parse_sigmoid(std::string_view name, const Value& operand,
                                    ParseContext& context) {
  static constexpr std::array<NamedArgument, 2> kArguments = {{{"input", true}, {"onNull", false}}};
  std::vector<ExpressionPtr> parts(2);
  if (is_named_form(operand)) {
    MR_ASSIGN_OR_RETURN(
        parts, parse_named_arguments(name, operand, kArguments,
                                     static_cast<int>(ErrorCode::kFailedToParse),
                                     static_cast<int>(ErrorCode::kFailedToParse), context));
  } else {
    // An array is no list of arguments here: it is a value, and not a number.
    MR_ASSIGN_OR_RETURN(parts[0], parse_expression(operand, context));
  }
  return ExpressionPtr(
      std::make_unique<SigmoidExpression>(std::move(parts[0]), std::move(parts[1])));
}

}  // namespace millrace::engine
