// Dates to text and back.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kDateTextExpressions = {
    ExpressionRow{"$dateFromString", {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateFromString"},
    ExpressionRow{"$dateToString",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateToString"},
};
// clang-format on
static_assert(sorted_and_unique(kDateTextExpressions));

}  // namespace

std::span<const ExpressionRow> date_text_expressions() { return kDateTextExpressions; }

}  // namespace millrace::engine
