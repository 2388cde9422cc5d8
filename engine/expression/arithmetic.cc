// Arithmetic operators. int32 widens to int64 and int64 to double where a result does not fit; a
// decimal anywhere makes the result a decimal. Source:
// https://www.mongodb.com/docs/manual/reference/operator/aggregation-arithmetic/, and MongoDB 6.0.5
// for what it leaves open.
#include "engine/expression/arithmetic.h"

#include <cmath>
#include <limits>

#include "engine/expression/families.h"
#include "engine/expression/number.h"

namespace millrace::engine {

void fail_not_numeric(std::string_view name, const Value& v) {
  fail_evaluation(
      28765, std::string(name) + " only supports numeric types, not " + std::string(v.type_name()));
}

namespace {

constexpr int64_t kMinInt64 = std::numeric_limits<int64_t>::min();

std::string type_text(const Value& v) { return std::string(v.type_name()); }

// An int if `ints` and it fits one, else a long.
Value integer_result(int64_t v, bool ints) { return ints ? Value::integer(v) : Value::int64(v); }

// Milliseconds out of a number that is added to a date or taken from it: a double's half goes away
// from zero, a decimal's to the even number. nullopt for what 64 bits do not hold.
std::optional<int64_t> date_offset(const Value& v) {
  switch (v.type()) {
    case Type::kDouble: {
      constexpr double kLimit = 9223372036854775808.0;
      double d = v.as_double();
      if (!(d >= -kLimit && d < kLimit)) return std::nullopt;
      return std::llround(d);
    }
    case Type::kDecimal:
      return decimal::to_int64_exact(decimal::quantize(v.as_decimal(), 0, false));
    default:
      return v.integer_value();
  }
}

// The sum of any number of numbers and at most one date: added one after the other in the widest
// type met so far, and in milliseconds from the date on (MongoDB 8; 6.0.5 carried rounding errors
// along).
class Sum {
 public:
  void add(const Value& v) {
    if (v.is(Type::kDate)) {
      if (has_date_) fail_evaluation(16612, "an $add may have only one date");
      add_milliseconds(date_offset(total()));
      add_milliseconds(v.as_date());
      has_date_ = true;
      return;
    }
    if (!v.is_number())
      fail_evaluation(ErrorCode::kTypeMismatch,
                      "$add only supports numeric or date types, not " + type_text(v));
    if (has_date_) {
      add_milliseconds(date_offset(v));
      return;
    }
    widen(v.type());
    if (type_ == Type::kDecimal) {
      decimal_ = decimal::add(decimal_, to_decimal(v));
    } else if (type_ == Type::kDouble) {
      binary_ += v.to_double();
    } else if (int64_t sum; !__builtin_add_overflow(whole_, v.integer_value(), &sum)) {
      whole_ = sum;
    } else {
      type_ = Type::kDouble;
      binary_ = static_cast<double>(whole_) + v.to_double();
    }
  }

  Value result(Arena& arena) const {
    if (has_date_) return Value::date(milliseconds_);
    if (type_ == Type::kDecimal) return Value::decimal(decimal_, arena);
    return total();
  }

 private:
  Value total() const {
    if (type_ == Type::kDecimal) return Value::decimal(&decimal_);
    if (type_ == Type::kDouble) return Value::number(binary_);
    return integer_result(whole_, type_ == Type::kInt32);
  }
  void widen(Type type) {
    bool integer = type == Type::kInt32 || type == Type::kInt64;
    if (type_ == Type::kDecimal || (type_ == Type::kDouble && type != Type::kDecimal)) return;
    if (integer && (type == Type::kInt32 || type_ == Type::kInt64)) return;
    if (type == Type::kDecimal) {
      decimal_ =
          type_ == Type::kDouble ? decimal::from_double(binary_) : decimal::from_int64(whole_);
    } else if (type == Type::kDouble) {
      binary_ = static_cast<double>(whole_);
    }
    type_ = type;
  }
  void add_milliseconds(std::optional<int64_t> ms) {
    if (!ms || __builtin_add_overflow(milliseconds_, *ms, &milliseconds_))
      fail_evaluation(ErrorCode::kOverflow, "date overflow in $add");
  }

  Type type_ = Type::kInt32;  // the widest so far, which says where the sum is
  int64_t whole_ = 0;
  double binary_ = 0;
  Decimal128 decimal_{};
  int64_t milliseconds_ = 0;
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

Value subtract_from_date(const Value& date, const Value& v) {
  if (v.is(Type::kDate)) {
    return Value::int64(static_cast<int64_t>(static_cast<uint64_t>(date.as_date()) -
                                             static_cast<uint64_t>(v.as_date())));
  }
  if (!v.is_number())
    fail_evaluation(ErrorCode::kTypeMismatch, "can't $subtract " + type_text(v) + " from a date");
  auto offset = date_offset(v);
  int64_t ms;
  // The smallest offset cannot be negated, whatever the date is.
  if (!offset || *offset == std::numeric_limits<int64_t>::min() ||
      __builtin_sub_overflow(date.as_date(), *offset, &ms)) {
    fail_evaluation(ErrorCode::kOverflow, "date overflow in $subtract");
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
  if (a.is(Type::kDouble) || b.is(Type::kDouble))
    return Value::number(std::fmod(a.to_double(), b.to_double()));
  int64_t divisor = b.integer_value();
  int64_t remainder = divisor == -1 ? 0 : a.integer_value() % divisor;
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
