// Every family of expression operators and accumulators, each defined in the file of its name. A
// new family is one line here and one in families.cc.
#pragma once

#include "engine/expression/registry.h"

namespace millrace::engine {

std::span<const ExpressionRow> arithmetic_expressions();
std::span<const ExpressionRow> array_expressions();
std::span<const ExpressionRow> bitwise_expressions();
std::span<const ExpressionRow> boolean_expressions();
std::span<const ExpressionRow> comparison_expressions();
std::span<const ExpressionRow> conditional_expressions();
std::span<const ExpressionRow> custom_expressions();
std::span<const ExpressionRow> date_expressions();
std::span<const ExpressionRow> date_text_expressions();
std::span<const ExpressionRow> miscellaneous_expressions();
std::span<const ExpressionRow> object_expressions();
std::span<const ExpressionRow> regex_expressions();
std::span<const ExpressionRow> set_expressions();
std::span<const ExpressionRow> statistics_expressions();
std::span<const ExpressionRow> string_expressions();
std::span<const ExpressionRow> trigonometry_expressions();
std::span<const ExpressionRow> type_expressions();
std::span<const ExpressionRow> variable_expressions();
std::span<const ExpressionRow> vector_expressions();

}  // namespace millrace::engine
