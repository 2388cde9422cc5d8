// Bitwise operators on ints and longs: a long when any operand is one.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/bitAnd/ (new in 6.3)
#include "engine/expression/arithmetic.h"
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

template <typename Combine>
Value combine_bits(std::span<const Value> arguments, std::string_view name, int64_t start,
                   Combine combine) {
  int64_t bits = start;
  bool ints = true;
  for (const Value& v : arguments) {
    if (v.is_nullish()) return Value::null();
    if (!v.is_integer()) {
      fail_evaluation(ErrorCode::kTypeMismatch, std::string(name) +
                                                    " only supports int and long operands, not " +
                                                    std::string(v.type_name()));
    }
    ints = ints && v.is(Type::kInt32);
    bits = combine(bits, v.integer_value());
  }
  return ints ? Value::int32(static_cast<int32_t>(bits)) : Value::int64(bits);
}

Value eval_bit_and(EvalContext&, std::span<const Value> arguments) {
  return combine_bits(arguments, "$bitAnd", -1, [](int64_t a, int64_t b) { return a & b; });
}
Value eval_bit_or(EvalContext&, std::span<const Value> arguments) {
  return combine_bits(arguments, "$bitOr", 0, [](int64_t a, int64_t b) { return a | b; });
}
Value eval_bit_xor(EvalContext&, std::span<const Value> arguments) {
  return combine_bits(arguments, "$bitXor", 0, [](int64_t a, int64_t b) { return a ^ b; });
}

Value eval_bit_not(EvalContext&, std::span<const Value> arguments) {
  const Value& v = arguments[0];
  if (v.is(Type::kInt32)) return Value::int32(~v.as_int32());
  if (v.is(Type::kInt64)) return Value::int64(~v.as_int64());
  if (v.is_nullish()) return Value::null();
  if (!v.is_number()) fail_not_numeric("$bitNot", v);
  fail_evaluation(ErrorCode::kTypeMismatch,
                  "$bitNot only supports int and long, not " + std::string(v.type_name()));
}

// clang-format off
constexpr std::array kBitwiseExpressions = {
    //            name       arguments        evaluate      parse    manual page
    ExpressionRow{"$bitAnd", {0, kAnyNumber}, eval_bit_and, nullptr, "aggregation/bitAnd"},
    ExpressionRow{"$bitNot", {1, 1},          eval_bit_not, nullptr, "aggregation/bitNot"},
    ExpressionRow{"$bitOr",  {0, kAnyNumber}, eval_bit_or,  nullptr, "aggregation/bitOr"},
    ExpressionRow{"$bitXor", {0, kAnyNumber}, eval_bit_xor, nullptr, "aggregation/bitXor"},
};
// clang-format on
static_assert(sorted_and_unique(kBitwiseExpressions));

}  // namespace

std::span<const ExpressionRow> bitwise_expressions() { return kBitwiseExpressions; }

}  // namespace millrace::engine
