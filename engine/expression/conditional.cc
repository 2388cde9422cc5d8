// Conditional operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kConditionalExpressions = {
    ExpressionRow{"$cond",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/cond"},
    ExpressionRow{"$ifNull", {0, kAnyNumber}, nullptr, nullptr, "aggregation/ifNull"},
    ExpressionRow{"$switch", {0, kAnyNumber}, nullptr, nullptr, "aggregation/switch"},
};
// clang-format on
static_assert(sorted_and_unique(kConditionalExpressions));

}  // namespace

std::span<const ExpressionRow> conditional_expressions() { return kConditionalExpressions; }

}  // namespace millrace::engine
