// Arithmetic operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kArithmeticExpressions = {
    ExpressionRow{"$abs",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/abs"},
    ExpressionRow{"$add",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/add"},
    ExpressionRow{"$ceil",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/ceil"},
    ExpressionRow{"$divide",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/divide"},
    ExpressionRow{"$exp",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/exp"},
    ExpressionRow{"$floor",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/floor"},
    ExpressionRow{"$ln",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/ln"},
    ExpressionRow{"$log",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/log"},
    ExpressionRow{"$log10",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/log10"},
    ExpressionRow{"$mod",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/mod"},
    ExpressionRow{"$multiply", {0, kAnyNumber}, nullptr, nullptr, "aggregation/multiply"},
    ExpressionRow{"$pow",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/pow"},
    ExpressionRow{"$round",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/round"},
    ExpressionRow{"$sigmoid",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/sigmoid"},
    ExpressionRow{"$sqrt",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/sqrt"},
    ExpressionRow{"$subtract", {0, kAnyNumber}, nullptr, nullptr, "aggregation/subtract"},
    ExpressionRow{"$trunc",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/trunc"},
};
// clang-format on
static_assert(sorted_and_unique(kArithmeticExpressions));

}  // namespace

std::span<const ExpressionRow> arithmetic_expressions() { return kArithmeticExpressions; }

}  // namespace millrace::engine
