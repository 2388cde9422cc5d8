// Expression forms of accumulators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kStatisticsExpressions = {
    ExpressionRow{"$avg",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/avg"},
    ExpressionRow{"$first",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/first"},
    ExpressionRow{"$firstN",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/firstN"},
    ExpressionRow{"$last",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/last"},
    ExpressionRow{"$lastN",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/lastN"},
    ExpressionRow{"$max",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/max"},
    ExpressionRow{"$maxN",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/maxN"},
    ExpressionRow{"$median",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/median"},
    ExpressionRow{"$min",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/min"},
    ExpressionRow{"$minN",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/minN"},
    ExpressionRow{"$percentile", {0, kAnyNumber}, nullptr, nullptr, "aggregation/percentile"},
    ExpressionRow{"$stdDevPop",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/stdDevPop"},
    ExpressionRow{"$stdDevSamp", {0, kAnyNumber}, nullptr, nullptr, "aggregation/stdDevSamp"},
    ExpressionRow{"$sum",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/sum"},
};
// clang-format on
static_assert(sorted_and_unique(kStatisticsExpressions));

}  // namespace

std::span<const ExpressionRow> statistics_expressions() { return kStatisticsExpressions; }

}  // namespace millrace::engine
