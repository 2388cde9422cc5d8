// Date operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kDateExpressions = {
    ExpressionRow{"$dateAdd",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateAdd"},
    ExpressionRow{"$dateDiff",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateDiff"},
    ExpressionRow{"$dateFromParts", {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateFromParts"},
    ExpressionRow{"$dateSubtract",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateSubtract"},
    ExpressionRow{"$dateToParts",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateToParts"},
    ExpressionRow{"$dateTrunc",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/dateTrunc"},
    ExpressionRow{"$dayOfMonth",    {0, kAnyNumber}, nullptr, nullptr, "aggregation/dayOfMonth"},
    ExpressionRow{"$dayOfWeek",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/dayOfWeek"},
    ExpressionRow{"$dayOfYear",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/dayOfYear"},
    ExpressionRow{"$hour",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/hour"},
    ExpressionRow{"$isoDayOfWeek",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/isoDayOfWeek"},
    ExpressionRow{"$isoWeek",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/isoWeek"},
    ExpressionRow{"$isoWeekYear",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/isoWeekYear"},
    ExpressionRow{"$millisecond",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/millisecond"},
    ExpressionRow{"$minute",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/minute"},
    ExpressionRow{"$month",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/month"},
    ExpressionRow{"$second",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/second"},
    ExpressionRow{"$week",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/week"},
    ExpressionRow{"$year",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/year"},
};
// clang-format on
static_assert(sorted_and_unique(kDateExpressions));

}  // namespace

std::span<const ExpressionRow> date_expressions() { return kDateExpressions; }

}  // namespace millrace::engine
