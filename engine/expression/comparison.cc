// Comparison operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kComparisonExpressions = {
    ExpressionRow{"$cmp", {0, kAnyNumber}, nullptr, nullptr, "aggregation/cmp"},
    ExpressionRow{"$eq",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/eq"},
    ExpressionRow{"$gt",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/gt"},
    ExpressionRow{"$gte", {0, kAnyNumber}, nullptr, nullptr, "aggregation/gte"},
    ExpressionRow{"$lt",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/lt"},
    ExpressionRow{"$lte", {0, kAnyNumber}, nullptr, nullptr, "aggregation/lte"},
    ExpressionRow{"$ne",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/ne"},
};
// clang-format on
static_assert(sorted_and_unique(kComparisonExpressions));

}  // namespace

std::span<const ExpressionRow> comparison_expressions() { return kComparisonExpressions; }

}  // namespace millrace::engine
