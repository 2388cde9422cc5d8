// Helpers of operators with named arguments, e.g. {$trim: {input: …, chars: …}}, whose nodes
// prepare constant arguments when parsed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/expression/expression.h"
#include "engine/expression/registry.h"

namespace millrace::engine {

// The arguments of one operator in a fixed order; those not given are nullptr.
class NamedArguments {
 public:
  NamedArguments() = default;
  explicit NamedArguments(std::vector<ExpressionPtr> expressions)
      : expressions_(std::move(expressions)) {}

  bool given(size_t i) const { return expressions_[i] != nullptr; }
  // Missing for an argument that was not given.
  Value evaluate(size_t i, EvalContext& context) const {
    return given(i) ? expressions_[i]->evaluate(context) : Value();
  }
  // nullptr if it was not given or depends on the document.
  const Value* constant(size_t i) const { return given(i) ? expressions_[i]->constant() : nullptr; }
  bool all_constant() const {
    return std::all_of(expressions_.begin(), expressions_.end(),
                       [](const auto& e) { return e == nullptr || e->constant() != nullptr; });
  }
  void add_dependencies(Dependencies& dependencies) const {
    for (const auto& expression : expressions_) {
      if (expression != nullptr) expression->add_dependencies(dependencies);
    }
  }

 private:
  std::vector<ExpressionPtr> expressions_;
};

// The node itself, or the constant it stands for when `constant`. An evaluation that fails is noted
// in the context, as make_call does.
inline ExpressionPtr fold_node(ExpressionPtr node, bool constant, ParseContext& context) {
  if (!constant) return node;
  Arena scratch;
  EvalContext evaluation;
  evaluation.arena = &scratch;
  try {
    return make_constant(node->evaluate(evaluation), context);
  } catch (const EvaluationError& error) {
    if (!context.failed_constant) context.failed_constant = error.status();
    return node;
  }
}

// The server's codes and texts for a malformed operand of one operator.
struct NamedArgumentErrors {
  int not_object;
  std::string not_object_message;
  int unknown;
  std::string unknown_message;  // the argument's name is appended
};
// An argument that must be there, with the server's code and text for its absence; code 0:
// optional.
struct ArgumentRule {
  std::string_view name;
  int missing_code = 0;
  std::string missing_message;
};
// The arguments of `operand` in the order of `rules`.
inline Result<NamedArguments> parse_arguments_by_rules(const Value& operand,
                                                       std::span<const ArgumentRule> rules,
                                                       const NamedArgumentErrors& errors,
                                                       ParseContext& context) {
  if (!operand.is_object()) return Status(errors.not_object, errors.not_object_message);
  std::vector<ExpressionPtr> parsed(rules.size());
  for (const Field& field : operand.as_object()) {
    auto rule = std::find_if(rules.begin(), rules.end(),
                             [&](const ArgumentRule& r) { return r.name == field.name(); });
    if (rule == rules.end())
      return Status(errors.unknown, errors.unknown_message + std::string(field.name()));
    MR_ASSIGN_OR_RETURN(parsed[rule - rules.begin()], parse_expression(field.value, context));
  }
  for (size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].missing_code != 0 && parsed[i] == nullptr)
      return Status(rules[i].missing_code, rules[i].missing_message);
  }
  return NamedArguments(std::move(parsed));
}

}  // namespace millrace::engine
