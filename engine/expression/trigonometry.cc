// Trigonometry operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kTrigonometryExpressions = {
    ExpressionRow{"$acos",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/acos"},
    ExpressionRow{"$acosh",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/acosh"},
    ExpressionRow{"$asin",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/asin"},
    ExpressionRow{"$asinh",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/asinh"},
    ExpressionRow{"$atan",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/atan"},
    ExpressionRow{"$atan2",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/atan2"},
    ExpressionRow{"$atanh",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/atanh"},
    ExpressionRow{"$cos",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/cos"},
    ExpressionRow{"$cosh",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/cosh"},
    ExpressionRow{"$degreesToRadians", {0, kAnyNumber}, nullptr, nullptr, "aggregation/degreesToRadians"},
    ExpressionRow{"$radiansToDegrees", {0, kAnyNumber}, nullptr, nullptr, "aggregation/radiansToDegrees"},
    ExpressionRow{"$sin",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/sin"},
    ExpressionRow{"$sinh",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/sinh"},
    ExpressionRow{"$tan",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/tan"},
    ExpressionRow{"$tanh",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/tanh"},
};
// clang-format on
static_assert(sorted_and_unique(kTrigonometryExpressions));

}  // namespace

std::span<const ExpressionRow> trigonometry_expressions() { return kTrigonometryExpressions; }

}  // namespace millrace::engine
