// The tables of expression operators: one row per operator at the foot of its family's file;
// registry.cc lists the families.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/expression/expression.h"

namespace millrace::engine {

inline constexpr int kAnyNumber = -1;

// How many arguments an operator takes. A single argument may be written without its array.
struct Arity {
  int min;
  int max;  // kAnyNumber: no limit
};

// Evaluates an operator whose arguments are all evaluated first, in order. `arguments` may hold
// missing values.
using EagerFunction = Value (*)(EvalContext& context, std::span<const Value> arguments);

// Parses the operand of an operator that has a form of its own (named arguments, lazy branches,
// variables). `name` is the operator with its dollar.
using ParseFunction = Result<ExpressionPtr> (*)(std::string_view name, const Value& operand,
                                                ParseContext& context);

struct ExpressionRow {
  std::string_view name;   // with the dollar, as the user types it
  Arity arity;             // of an eager operator
  EagerFunction evaluate;  // eager, or nullptr
  ParseFunction
      parse;  // own form, or nullptr; both nullptr: known to MongoDB, not supported here yet
  std::string_view manual;    // page under https://www.mongodb.com/docs/manual/reference/operator/
  bool deterministic = true;  // false: never folded ($rand, $currentDate)
  std::string_view unsupported_because;  // said after "not supported by Millrace"

  constexpr bool supported() const { return evaluate != nullptr || parse != nullptr; }
};

template <size_t N>
constexpr bool sorted_and_unique(const std::array<ExpressionRow, N>& rows) {
  for (size_t i = 1; i < N; ++i) {
    if (!(rows[i - 1].name < rows[i].name)) return false;
  }
  return true;
}

// One span per family file, each declared there as `std::span<const ExpressionRow>
// <family>_expressions()`.
std::span<const std::span<const ExpressionRow>> expression_families();

// The row of "$name", or nullptr.
const ExpressionRow* find_expression(std::string_view name);

// Helpers for ParseFunctions.

// The arguments of an eager-style operand: an array's elements, or the operand itself as the only
// one.
Result<std::vector<ExpressionPtr>> parse_arguments(std::string_view name, const Value& operand,
                                                   Arity arity, ParseContext& context);

// A node that evaluates `arguments` in order and calls `evaluate`; folded to a constant when they
// all are and `deterministic`. A fold that fails is noted in the context and refused with the whole
// expression.
ExpressionPtr make_call(EagerFunction evaluate, std::vector<ExpressionPtr> arguments,
                        bool deterministic, ParseContext& context);

// The same for an operator that looks at its arguments in order and may stop early. `evaluate` is
// also given the first arguments alone, when the evaluation of the next one failed; a null or false
// that it then returns stands, any other value does not count.
ExpressionPtr make_ordered_call(EagerFunction evaluate, std::vector<ExpressionPtr> arguments,
                                ParseContext& context);

// Puts the constants behind the other arguments, each kind in its order: what the server does with
// the operands of a commutative operator before it evaluates them.
void move_constants_last(std::vector<ExpressionPtr>& arguments);

// One named argument of an operand like {input: …, format: …}.
struct NamedArgument {
  std::string_view name;
  bool required;
};
// The named arguments in the order of `arguments`; those not given are nullptr. Errors:
// `unknown_code` for an unknown name, `missing_code` for a required one that is not there, with
// messages in the server's style.
Result<std::vector<ExpressionPtr>> parse_named_arguments(std::string_view name,
                                                         const Value& operand,
                                                         std::span<const NamedArgument> arguments,
                                                         int unknown_code, int missing_code,
                                                         ParseContext& context);

}  // namespace millrace::engine
