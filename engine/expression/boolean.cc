// Boolean operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kBooleanExpressions = {
    ExpressionRow{"$and", {0, kAnyNumber}, nullptr, nullptr, "aggregation/and"},
    ExpressionRow{"$not", {0, kAnyNumber}, nullptr, nullptr, "aggregation/not"},
    ExpressionRow{"$or",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/or"},
};
// clang-format on
static_assert(sorted_and_unique(kBooleanExpressions));

}  // namespace

std::span<const ExpressionRow> boolean_expressions() { return kBooleanExpressions; }

}  // namespace millrace::engine
