// Arithmetic operators. int32 widens to int64 and int64 to double where a result does not fit; a
// decimal anywhere makes the result a decimal. Source:
// https://www.mongodb.com/docs/manual/reference/operator/aggregation-arithmetic/, and MongoDB 6.0.5
// for what it leaves open.
#include "engine/expression/arithmetic.h"

#include <cmath>
#include <limits>

#include "engine/expression/accumulator_state.h"
#include "engine/expression/families.h"
#include "engine/expression/number.h"

namespace millrace::engine {

void fail_not_numeric(std::string_view name, const Value& v) {
  fail_evaluation(
      28765, std::string(name) + " only supports numeric types, not " + std::string(v.type_name()));
}

namespace {

using WideInteger = __int128;
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinInt64 = std::numeric_limits<int64_t>::min();

std::string type_text(const Value& v) { return std::string(v.type_name()); }

// An int if `ints` and it fits one, else a long.
Value integer_result(int64_t v, bool ints) { return ints ? Value::integer(v) : Value::int64(v); }

// The sum of any number of numbers and at most one date.
class Sum {
 public:
  void add(const Value& v) {
    switch (v.type()) {
      case Type::kInt32:
        whole_ += v.as_int32();
        binary_.add(static_cast<double>(v.as_int32()));
        plain_ += v.as_int32();
        break;
      case Type::kDate:
        if (has_date_) fail_evaluation(16612, "an $add may have only one date");
        has_date_ = true;
        [[fallthrough]];
      case Type::kInt64:
        whole_ += v.as_int64();
        binary_.add(v.as_int64());
        plain_ += static_cast<double>(v.as_int64());
        ints_ = false;
        break;
      case Type::kDouble:
        binary_.add(v.as_double());
        plain_ += v.as_double();
        has_double_ = true;
        break;
      case Type::kDecimal:
        decimal_ = decimal::add(decimal_, v.as_decimal());
        has_decimal_ = true;
        break;
      default:
        fail_evaluation(16554, "$add only supports numbers and dates, not " + type_text(v));
    }
  }

  Value result(Arena& arena) const {
    if (has_date_) return Value::date(milliseconds());
    if (has_decimal_) return Value::decimal(as_decimal(), arena);
    if (has_double_ || whole_ > kMaxInt64 || whole_ < kMinInt64) return Value::number(as_double());
    return integer_result(static_cast<int64_t>(whole_), ints_);
  }

 private:
  // Compensation turns infinities into NaN; then the plain sum is right.
  double as_double() const { return std::isnan(binary_.sum) ? plain_ : binary_.sum; }
  Decimal128 as_decimal() const {
    if (!has_double_) return decimal::add(decimal_, whole_decimal());
    if (!std::isfinite(binary_.sum))
      return decimal::add(decimal_, decimal::from_double_exact(plain_));
    auto exact = decimal::add(decimal::from_double_exact(binary_.sum),
                              decimal::from_double_exact(binary_.addend));
    return decimal::add(decimal_, exact);
  }
  Decimal128 whole_decimal() const {
    if (whole_ <= kMaxInt64 && whole_ >= kMinInt64)
      return decimal::from_int64(static_cast<int64_t>(whole_));
    return decimal::add(decimal::from_double_exact(binary_.sum),
                        decimal::from_double_exact(binary_.addend));
  }

  int64_t milliseconds() const {
    if (has_decimal_) {
      // What 64 bits do not hold is the smallest number of theirs (MongoDB 6.0.5).
      return decimal::to_int64_exact(decimal::quantize(as_decimal(), 0, false)).value_or(kMinInt64);
    }
    if (!has_double_) {
      if (whole_ > kMaxInt64 || whole_ < kMinInt64) fail_overflow();
      return static_cast<int64_t>(whole_);
    }
    // Two roundings, each half away from zero, as 6.0.5 has it: 1002.5 gives 1002.
    constexpr double kLimit = 9223372036854775808.0;
    int64_t ms;
    if (binary_.sum == kLimit && binary_.addend < 0) {  // the addend brings it back into range
      if (__builtin_add_overflow(kMaxInt64, std::llround(binary_.addend) + 1, &ms)) fail_overflow();
      return ms;
    }
    if (!(binary_.sum >= -kLimit && binary_.sum < kLimit)) fail_overflow();
    double first = std::round(binary_.sum);
    if (!(first >= -kLimit && first < kLimit)) fail_overflow();
    if (__builtin_add_overflow(static_cast<int64_t>(first),
                               std::llround((binary_.sum - first) + binary_.addend), &ms))
      fail_overflow();
    return ms;
  }
  [[noreturn]] static void fail_overflow() {
    fail_evaluation(ErrorCode::kOverflow, "date overflow in $add");
  }

  WideInteger whole_ = 0;  // of the integers, exact
  CompensatedSum binary_;  // of everything but decimals
  double plain_ = 0;
  Decimal128 decimal_ = decimal::from_int64(0);
  bool ints_ = true;
  bool has_double_ = false;
  bool has_decimal_ = false;
  bool has_date_ = false;
};

Value eval_add(EvalContext& context, std::span<const Value> arguments) {
  if (arguments.size() == 2) {
    const Value& a = arguments[0];
    const Value& b = arguments[1];
    if (a.is(Type::kDouble) && b.is(Type::kDouble))
      return Value::number(0.0 + a.as_double() + b.as_double());
    if (a.is(Type::kInt32) && b.is(Type::kInt32))
      return Value::integer(int64_t{a.as_int32()} + b.as_int32());
    if (a.is(Type::kDouble) && b.is(Type::kInt32))
      return Value::number(a.as_double() + b.as_int32());
    if (a.is(Type::kInt32) && b.is(Type::kDouble))
      return Value::number(a.as_int32() + b.as_double());
  }
  Sum sum;
  for (const Value& v : arguments) {
    if (v.is_nullish()) return Value::null();
    sum.add(v);
  }
  return sum.result(*context.arena);
}

// Milliseconds out of a number that is taken from a date. 31109 and 159 as 6.0.5 has them.
int64_t date_offset(const Value& v) {
  switch (v.type()) {
    case Type::kDouble: {
      double d = v.as_double();
      if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0)) {
        fail_evaluation(31109, "a value out of range cannot become a long: " + shown(v));
      }
      return static_cast<int64_t>(d);
    }
    case Type::kDecimal: {
      auto ms = decimal::to_int64_exact(decimal::quantize(v.as_decimal(), 0, false));
      if (!ms)
        fail_evaluation(ErrorCode::kDurationOverflow,
                        "$subtract cannot take " + shown(v) + " ms from a date");
      return *ms;
    }
    default:
      return v.integer_value();
  }
}

Value subtract_from_date(const Value& date, const Value& v) {
  if (v.is(Type::kDate)) {
    return Value::int64(static_cast<int64_t>(static_cast<uint64_t>(date.as_date()) -
                                             static_cast<uint64_t>(v.as_date())));
  }
  if (!v.is_number())
    fail_evaluation(ErrorCode::kTypeMismatch, "can't $subtract " + type_text(v) + " from a date");
  int64_t offset = date_offset(v);
  int64_t ms;
  // The smallest offset cannot be negated, whatever the date is (6.0.5).
  if (offset == std::numeric_limits<int64_t>::min() ||
      __builtin_sub_overflow(date.as_date(), offset, &ms)) {
    fail_evaluation(ErrorCode::kDurationOverflow, "date overflow in $subtract");
  }
  return Value::date(ms);
}

Value eval_subtract(EvalContext& context, std::span<const Value> arguments) {
  const Value& a = arguments[0];
  const Value& b = arguments[1];
  if (a.is(Type::kDouble) && b.is(Type::kDouble))
    return Value::number(a.as_double() - b.as_double());
  if (a.is_nullish() || b.is_nullish()) return Value::null();
  if (a.is_integer() && b.is_integer()) {
    int64_t difference;
    if (__builtin_sub_overflow(a.integer_value(), b.integer_value(), &difference))
      return Value::number(a.to_double() - b.to_double());
    return integer_result(difference, a.is(Type::kInt32) && b.is(Type::kInt32));
  }
  if (a.is(Type::kDate)) return subtract_from_date(a, b);
  if (!a.is_number() || !b.is_number()) {
    fail_evaluation(ErrorCode::kTypeMismatch,
                    "can't $subtract " + type_text(b) + " from " + type_text(a));
  }
  if (a.is(Type::kDecimal) || b.is(Type::kDecimal)) {
    return Value::decimal(decimal::subtract(to_decimal(a), to_decimal(b)), *context.arena);
  }
  return Value::number(a.to_double() - b.to_double());
}

// The product so far, in the widest type met. The double product runs along, because that is what
// an overflow falls back to.
class Product {
 public:
  void multiply(const Value& v) {
    if (v.is(Type::kDecimal) && kind_ != Kind::kDecimal) {
      decimal_ = is_integer() ? decimal::from_int64(whole_) : decimal::from_double(binary_);
      kind_ = Kind::kDecimal;
    }
    switch (kind_) {
      case Kind::kDecimal:
        decimal_ = decimal::multiply(decimal_, to_decimal(v));
        return;
      case Kind::kDouble:
        binary_ *= v.to_double();
        return;
      default:
        break;
    }
    binary_ *= v.to_double();
    if (v.is(Type::kDouble)) {
      kind_ = Kind::kDouble;
      return;
    }
    if (v.is(Type::kInt64)) kind_ = Kind::kInt64;
    if (__builtin_mul_overflow(whole_, v.integer_value(), &whole_)) kind_ = Kind::kDouble;
  }
  Value result(Arena& arena) const {
    switch (kind_) {
      case Kind::kDecimal:
        return Value::decimal(decimal_, arena);
      case Kind::kDouble:
        return Value::number(binary_);
      default:
        return integer_result(whole_, kind_ == Kind::kInt32);
    }
  }

 private:
  enum class Kind { kInt32, kInt64, kDouble, kDecimal };
  bool is_integer() const { return kind_ == Kind::kInt32 || kind_ == Kind::kInt64; }
  Kind kind_ = Kind::kInt32;
  int64_t whole_ = 1;
  double binary_ = 1;
  Decimal128 decimal_;
};

Value eval_multiply(EvalContext& context, std::span<const Value> arguments) {
  if (arguments.size() == 2) {
    const Value& a = arguments[0];
    const Value& b = arguments[1];
    if (a.is(Type::kDouble) && b.is(Type::kDouble))
      return Value::number(a.as_double() * b.as_double());
    if (a.is(Type::kInt32) && b.is(Type::kInt32))
      return Value::integer(int64_t{a.as_int32()} * b.as_int32());
    if (a.is(Type::kDouble) && b.is(Type::kInt32))
      return Value::number(a.as_double() * b.as_int32());
    if (a.is(Type::kInt32) && b.is(Type::kDouble))
      return Value::number(a.as_int32() * b.as_double());
  }
  Product product;
  for (const Value& v : arguments) {
    if (v.is_nullish()) return Value::null();
    if (!v.is_number())
      fail_evaluation(ErrorCode::kTypeMismatch,
                      "$multiply only supports numeric types, not " + type_text(v));
    product.multiply(v);
  }
  return product.result(*context.arena);
}

Value eval_divide(EvalContext& context, std::span<const Value> arguments) {
  const Value& a = arguments[0];
  const Value& b = arguments[1];
  if (a.is_number() && b.is_number()) [[likely]] {
    if (a.is(Type::kDecimal) || b.is(Type::kDecimal)) {
      Decimal128 divisor = to_decimal(b);
      if (decimal::is_zero(divisor)) fail_evaluation(ErrorCode::kBadValue, "can't $divide by zero");
      return Value::decimal(decimal::divide(to_decimal(a), divisor), *context.arena);
    }
    double divisor = b.to_double();
    if (divisor == 0) fail_evaluation(ErrorCode::kBadValue, "can't $divide by zero");
    return Value::number(a.to_double() / divisor);
  }
  if (a.is_nullish() || b.is_nullish()) return Value::null();
  fail_evaluation(ErrorCode::kTypeMismatch, "$divide only supports numeric types, not " +
                                                type_text(a) + " and " + type_text(b));
}

Value eval_mod(EvalContext& context, std::span<const Value> arguments) {
  const Value& a = arguments[0];
  const Value& b = arguments[1];
  if (a.is_nullish() || b.is_nullish()) return Value::null();
  if (!a.is_number() || !b.is_number()) {
    fail_evaluation(
        16611, "$mod only supports numeric types, not " + type_text(a) + " and " + type_text(b));
  }
  if (a.is(Type::kDecimal) || b.is(Type::kDecimal)) {
    Decimal128 divisor = to_decimal(b);
    if (decimal::is_zero(divisor)) fail_evaluation(5733415, "can't $mod by zero");
    return Value::decimal(decimal::modulo(to_decimal(a), divisor), *context.arena);
  }
  if (b.to_double() == 0) fail_evaluation(16610, "can't $mod by zero");
  // A whole double as divisor counts as the integer it is.
  std::optional<int64_t> divisor;
  if (b.is_integer()) {
    divisor = b.integer_value();
  } else if (auto small = whole_int32(b)) {
    divisor = *small;
  }
  if (a.is(Type::kDouble) || !divisor)
    return Value::number(std::fmod(a.to_double(), b.to_double()));
  int64_t remainder = *divisor == -1 ? 0 : a.integer_value() % *divisor;
  return integer_result(remainder, !a.is(Type::kInt64) && !b.is(Type::kInt64));
}

Value eval_abs(EvalContext& context, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  switch (v.type()) {
    case Type::kDouble:
      return Value::number(std::fabs(v.as_double()));
    case Type::kDecimal:
      return Value::decimal(decimal::absolute(v.as_decimal()), *context.arena);
    case Type::kInt32:
      return Value::integer(std::abs(int64_t{v.as_int32()}));
    case Type::kInt64:
      if (v.as_int64() == kMinInt64) fail_evaluation(28680, "the smallest long has no $abs");
      return Value::int64(std::abs(v.as_int64()));
    default:
      if (v.is_nullish()) return Value::null();
      fail_not_numeric("$abs", v);
  }
}

// clang-format off
constexpr std::array kArithmeticExpressions = {
    //            name         arguments        evaluate       parse          manual page
    ExpressionRow{"$abs",      {1, 1},          eval_abs,      nullptr,       "aggregation/abs"},
    ExpressionRow{"$add",      {0, kAnyNumber}, eval_add,      nullptr,       "aggregation/add"},
    ExpressionRow{"$ceil",     {1, 1},          eval_ceil,     nullptr,       "aggregation/ceil"},
    ExpressionRow{"$divide",   {2, 2},          eval_divide,   nullptr,       "aggregation/divide"},
    ExpressionRow{"$exp",      {1, 1},          eval_exp,      nullptr,       "aggregation/exp"},
    ExpressionRow{"$floor",    {1, 1},          eval_floor,    nullptr,       "aggregation/floor"},
    ExpressionRow{"$ln",       {1, 1},          eval_ln,       nullptr,       "aggregation/ln"},
    ExpressionRow{"$log",      {2, 2},          eval_log,      nullptr,       "aggregation/log"},
    ExpressionRow{"$log10",    {1, 1},          eval_log10,    nullptr,       "aggregation/log10"},
    ExpressionRow{"$mod",      {2, 2},          eval_mod,      nullptr,       "aggregation/mod"},
    ExpressionRow{"$multiply", {0, kAnyNumber}, eval_multiply, nullptr,       "aggregation/multiply"},
    ExpressionRow{"$pow",      {2, 2},          eval_pow,      nullptr,       "aggregation/pow"},
    ExpressionRow{"$round",    {1, 2},          eval_round,    nullptr,       "aggregation/round"},
    ExpressionRow{"$sigmoid",  {1, 1},          nullptr,       parse_sigmoid, "aggregation/sigmoid"},
    ExpressionRow{"$sqrt",     {1, 1},          eval_sqrt,     nullptr,       "aggregation/sqrt"},
    ExpressionRow{"$subtract", {2, 2},          eval_subtract, nullptr,       "aggregation/subtract"},
    ExpressionRow{"$trunc",    {1, 2},          eval_trunc,    nullptr,       "aggregation/trunc"},
};
// clang-format on
static_assert(sorted_and_unique(kArithmeticExpressions));

}  // namespace

std::span<const ExpressionRow> arithmetic_expressions() { return kArithmeticExpressions; }

}  // namespace millrace::engine
