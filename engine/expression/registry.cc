#include "engine/expression/registry.h"

#include <unordered_map>

namespace millrace::engine {

const ExpressionRow* find_expression(std::string_view name) {
  static const auto* const kByName = [] {
    auto* map = new std::unordered_map<std::string_view, const ExpressionRow*>;
    for (auto family : expression_families()) {
      for (const ExpressionRow& row : family) map->emplace(row.name, &row);
    }
    return map;
  }();
  auto found = kByName->find(name);
  return found == kByName->end() ? nullptr : found->second;
}

Result<std::vector<ExpressionPtr>> parse_arguments(std::string_view name, const Value& operand,
                                                   Arity arity, ParseContext& context) {
  std::vector<ExpressionPtr> arguments;
  if (operand.is_array()) {
    for (const Value& element : operand.as_array()) {
      MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_expression(element, context));
      arguments.push_back(std::move(argument));
    }
  } else {
    MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_expression(operand, context));
    arguments.push_back(std::move(argument));
  }
  int n = static_cast<int>(arguments.size());
  if (n >= arity.min && (arity.max == kAnyNumber || n <= arity.max)) return arguments;
  std::string text = "Expression " + std::string(name);
  if (arity.min == arity.max) {
    return Status(16020, text + " takes exactly " + std::to_string(arity.min) + " arguments. " +
                             std::to_string(n) + " were passed in.");
  }
  if (arity.max == kAnyNumber) {
    return Status(28667, text + " takes at least " + std::to_string(arity.min) +
                             " arguments, but " + std::to_string(n) + " were passed in.");
  }
  return Status(28667, text + " takes at least " + std::to_string(arity.min) +
                           " arguments, and at most " + std::to_string(arity.max) + ", but " +
                           std::to_string(n) + " were passed in.");
}

Result<std::vector<ExpressionPtr>> parse_named_arguments(std::string_view name,
                                                         const Value& operand,
                                                         std::span<const NamedArgument> arguments,
                                                         int unknown_code, int missing_code,
                                                         ParseContext& context) {
  if (!operand.is_object()) {
    return Status(unknown_code, std::string(name) + " only supports an object as its argument");
  }
  std::vector<ExpressionPtr> parsed(arguments.size());
  for (const Field& field : operand.as_object()) {
    auto known = std::find_if(arguments.begin(), arguments.end(),
                              [&](const NamedArgument& a) { return a.name == field.name(); });
    if (known == arguments.end()) {
      return Status(unknown_code, "Unrecognized argument to " + std::string(name) + ": " +
                                      std::string(field.name()));
    }
    MR_ASSIGN_OR_RETURN(parsed[known - arguments.begin()], parse_expression(field.value, context));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].required && parsed[i] == nullptr) {
      return Status(missing_code, "Missing '" + std::string(arguments[i].name) + "' parameter to " +
                                      std::string(name));
    }
  }
  return parsed;
}

}  // namespace millrace::engine
