// Bitwise operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kBitwiseExpressions = {
    ExpressionRow{"$bitAnd", {0, kAnyNumber}, nullptr, nullptr, "aggregation/bitAnd"},
    ExpressionRow{"$bitNot", {0, kAnyNumber}, nullptr, nullptr, "aggregation/bitNot"},
    ExpressionRow{"$bitOr",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/bitOr"},
    ExpressionRow{"$bitXor", {0, kAnyNumber}, nullptr, nullptr, "aggregation/bitXor"},
};
// clang-format on
static_assert(sorted_and_unique(kBitwiseExpressions));

}  // namespace

std::span<const ExpressionRow> bitwise_expressions() { return kBitwiseExpressions; }

}  // namespace millrace::engine
