#include "engine/sink/dynamic_option.h"

namespace millrace::engine {

Result<DynamicOption> parse_dynamic_option(const Options& options, std::string_view name,
                                           ParseContext& context) {
  Value value = options.get(name);
  if (value.is_missing()) return options.error(name, "is required");
  if (!value.is_string() && !value.is_object())
    return options.wrong_type(name, "a string or an expression");
  DynamicOption option;
  if (value.is_string() && !value.as_string().starts_with('$')) {
    option.fixed = value.as_string();
  } else {
    MR_ASSIGN_OR_RETURN(option.expression, parse_expression(value, context));
    const Value* constant = option.expression->constant();
    if (constant == nullptr) return option;
    if (!constant->is_string())
      return options.error(name, "must give a string, not " + std::string(constant->type_name()));
    option.fixed = constant->as_string();
    option.expression.reset();
  }
  if (option.fixed.empty()) return options.error(name, "must not be empty");
  return option;
}

Value evaluate_target(const Expression& expression, EvalContext& context, std::string_view what) {
  Value value = expression.evaluate(context);
  if (value.is_string() && !value.as_string().empty()) return value;
  fail_evaluation(ErrorCode::kTypeMismatch,
                  std::string(what) + " must give a string that is not empty, not " + shown(value));
}

std::string shown(const Value& value) {
  if (value.is_string()) return "'" + std::string(value.as_string()) + "'";
  return std::string(value.type_name());
}

}  // namespace millrace::engine
