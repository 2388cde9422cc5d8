// Regular expression operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kRegexExpressions = {
    ExpressionRow{"$regexFind",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/regexFind"},
    ExpressionRow{"$regexFindAll", {0, kAnyNumber}, nullptr, nullptr, "aggregation/regexFindAll"},
    ExpressionRow{"$regexMatch",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/regexMatch"},
};
// clang-format on
static_assert(sorted_and_unique(kRegexExpressions));

}  // namespace

std::span<const ExpressionRow> regex_expressions() { return kRegexExpressions; }

}  // namespace millrace::engine
