// Arithmetic functions that stand in files of their own; their rows are in arithmetic.cc.
#pragma once

#include "engine/expression/registry.h"

namespace millrace::engine {

// rounding.cc
Value eval_ceil(EvalContext& context, std::span<const Value> arguments);
Value eval_floor(EvalContext& context, std::span<const Value> arguments);
Value eval_round(EvalContext& context, std::span<const Value> arguments);
Value eval_trunc(EvalContext& context, std::span<const Value> arguments);

// power.cc
Value eval_exp(EvalContext& context, std::span<const Value> arguments);
Value eval_ln(EvalContext& context, std::span<const Value> arguments);
Value eval_log(EvalContext& context, std::span<const Value> arguments);
Value eval_log10(EvalContext& context, std::span<const Value> arguments);
Value eval_pow(EvalContext& context, std::span<const Value> arguments);
Value eval_sqrt(EvalContext& context, std::span<const Value> arguments);
Result<ExpressionPtr> parse_sigmoid(std::string_view name, const Value& operand,
                                    ParseContext& context);

// 28765, for the functions of one number.
[[noreturn]] void fail_not_numeric(std::string_view name, const Value& v);

}  // namespace millrace::engine
