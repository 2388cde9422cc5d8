#include "commands/local/evaluation.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

Evaluation::Evaluation(const engine::Clock& clock)
    : eval_{&arena_, {}, {}, {}, &clock, clock.now_ms()}, clock_(clock) {}

Status Evaluation::bind(const Value& variables, bool literal) {
  if (variables.is_nullish()) return {};
  if (!variables.is_object())
    return Status(ErrorCode::kTypeMismatch,
                  "variables must be an object, not a " + std::string(variables.type_name()));
  for (const auto& field : variables.as_object()) {
    Value value = field.value;
    if (!literal) {
      MR_ASSIGN_OR_RETURN(auto expression, engine::parse_expression(field.value, parse_));
      ready();
      try {
        value = expression->evaluate(eval_);
      } catch (const engine::EvaluationError& error) {
        return error.status();
      }
    }
    char first = field.name().empty() ? '\0' : field.name()[0];
    bool current = literal && field.has_name("CURRENT");  // $merge's `let` may bind it anew
    if (!current && !(first >= 'a' && first <= 'z') && static_cast<unsigned char>(first) < 0x80) {
      return Status(ErrorCode::kFailedToParse,
                    "'" + std::string(field.name()) +
                        "' starts with an invalid character for a user variable name");
    }
    size_t slot = parse_.define_variable(field.name());
    ready();
    eval_.variables[slot] = engine::deep_copy(value, bound_);
  }
  return {};
}

bool Evaluation::rebind(const Value& variables) {
  if (!variables.is_object()) return false;
  for (const auto& field : variables.as_object()) {
    if (parse_.find_variable(field.name()) < 0) return false;
  }
  for (const auto& field : variables.as_object()) {
    eval_.variables[static_cast<size_t>(parse_.find_variable(field.name()))] =
        field.value;  // as long as the command is in memory
  }
  return true;
}

Result<engine::PredicatePtr> Evaluation::parse_predicate(const Value& query) {
  auto predicate = engine::parse_predicate(query, parse_);
  ready();
  return predicate;
}

namespace {

constexpr int kQueryFeatureNotAllowed = 224;

Status check_only_fields(const Value& query) {
  for (const auto& field : query.as_object()) {
    std::string_view name = field.name();
    if (name == "$expr" || name == "$jsonSchema" || name == "$text" || name == "$where") {
      bool feature = name == "$expr" || name == "$jsonSchema";
      return Status(feature ? kQueryFeatureNotAllowed : static_cast<int>(ErrorCode::kBadValue),
                    std::string(name) + " is not allowed in this context");
    }
    if (!name.starts_with('$') || !field.value.is_array()) continue;
    for (const Value& clause : field.value.as_array()) {
      if (clause.is_object()) MR_RETURN_IF_ERROR(check_only_fields(clause));
    }
  }
  return {};
}

}  // namespace

Result<engine::PredicatePtr> Evaluation::parse_field_predicate(const Value& query) {
  MR_RETURN_IF_ERROR(check_only_fields(query));
  return parse_predicate(query);
}

Result<bool> Evaluation::matches(const engine::Predicate& predicate, const Value& document) {
  eval_.root = document;
  eval_.arena = &arena_;
  try {
    return predicate.matches(document, eval_);
  } catch (const engine::EvaluationError& error) {
    return error.status();
  }
}

}  // namespace millrace::commands
