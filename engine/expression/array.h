// Parse functions of the array operators that bind variables or take named arguments; their rows
// stand in array.cc.
#pragma once

#include "engine/expression/registry.h"

namespace millrace::engine {

// array_transform.cc
Result<ExpressionPtr> parse_filter(std::string_view name, const Value& operand,
                                   ParseContext& context);
Result<ExpressionPtr> parse_map(std::string_view name, const Value& operand, ParseContext& context);
Result<ExpressionPtr> parse_reduce(std::string_view name, const Value& operand,
                                   ParseContext& context);

// array_order.cc
Result<ExpressionPtr> parse_sort_array(std::string_view name, const Value& operand,
                                       ParseContext& context);
Result<ExpressionPtr> parse_zip(std::string_view name, const Value& operand, ParseContext& context);

}  // namespace millrace::engine
