// Sink options that are a literal string or an expression: the target of $merge, the topic of
// $emit.
#pragma once

#include <string>
#include <string_view>

#include "engine/connection/options.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

// Exactly one of the two is set.
struct DynamicOption {
  std::string fixed;
  ExpressionPtr expression;
};

// A string without a leading '$' stands for itself; "$path", "$$variable" and objects are
// expressions. One that is a constant string is fixed too. Errors: 420 for a missing or empty
// option, or one of another type; the expression's own.
Result<DynamicOption> parse_dynamic_option(const Options& options, std::string_view name,
                                           ParseContext& context);

// Throws EvaluationError unless the expression gives a string that is not empty. `what` names the
// option.
Value evaluate_target(const Expression& expression, EvalContext& context, std::string_view what);

// A value in a message: a string in quotes, or the type of anything else.
std::string shown(const Value& value);

}  // namespace millrace::engine
