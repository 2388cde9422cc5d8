// Operators written in JavaScript.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kCustomExpressions = {
    ExpressionRow{"$function", {0, kAnyNumber}, nullptr, nullptr, "aggregation/function"},
};
// clang-format on
static_assert(sorted_and_unique(kCustomExpressions));

}  // namespace

std::span<const ExpressionRow> custom_expressions() { return kCustomExpressions; }

}  // namespace millrace::engine
