// Set operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kSetExpressions = {
    ExpressionRow{"$allElementsTrue", {0, kAnyNumber}, nullptr, nullptr, "aggregation/allElementsTrue"},
    ExpressionRow{"$anyElementTrue",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/anyElementTrue"},
    ExpressionRow{"$setDifference",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/setDifference"},
    ExpressionRow{"$setEquals",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/setEquals"},
    ExpressionRow{"$setIntersection", {0, kAnyNumber}, nullptr, nullptr, "aggregation/setIntersection"},
    ExpressionRow{"$setIsSubset",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/setIsSubset"},
    ExpressionRow{"$setUnion",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/setUnion"},
};
// clang-format on
static_assert(sorted_and_unique(kSetExpressions));

}  // namespace

std::span<const ExpressionRow> set_expressions() { return kSetExpressions; }

}  // namespace millrace::engine
