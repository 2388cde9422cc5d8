// Object operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kObjectExpressions = {
    ExpressionRow{"$getField",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/getField"},
    ExpressionRow{"$mergeObjects",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/mergeObjects"},
    ExpressionRow{"$objectToArray", {0, kAnyNumber}, nullptr, nullptr, "aggregation/objectToArray"},
    ExpressionRow{"$setField",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/setField"},
    ExpressionRow{"$unsetField",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/unsetField"},
};
// clang-format on
static_assert(sorted_and_unique(kObjectExpressions));

}  // namespace

std::span<const ExpressionRow> object_expressions() { return kObjectExpressions; }

}  // namespace millrace::engine
