// $percentile and $median in both forms: accumulators (accumulator_percentile.cc) and expressions
// over the numbers of one document. Source:
// https://www.mongodb.com/docs/manual/reference/operator/aggregation/percentile/
#pragma once

#include <string_view>

#include "engine/expression/expression.h"

namespace millrace::engine {

// {$percentile: {input: …, p: […], method: "approximate"}} and {$median: {input: …, method:
// "approximate"}} as expressions. Errors: 7436200 and 7436201 for an operand that is no object,
// 7750300 to 7750303 for p, 40413 to 40415, 14 and 2.
Result<ExpressionPtr> parse_percentile_expression(std::string_view name, const Value& operand,
                                                  ParseContext& context);

}  // namespace millrace::engine
