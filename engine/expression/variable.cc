// $let, $literal and $expr.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kVariableExpressions = {
    ExpressionRow{"$expr",    {0, kAnyNumber}, nullptr, nullptr, "query/expr"},
    ExpressionRow{"$let",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/let"},
    ExpressionRow{"$literal", {0, kAnyNumber}, nullptr, nullptr, "aggregation/literal"},
};
// clang-format on
static_assert(sorted_and_unique(kVariableExpressions));

}  // namespace

std::span<const ExpressionRow> variable_expressions() { return kVariableExpressions; }

}  // namespace millrace::engine
