// $let, $literal and $expr.
#include "engine/expression/families.h"
#include "engine/expression/variable_name.h"

namespace millrace::engine {

namespace {

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

Status check_name(std::string_view name, bool may_start_upper) {
  if (name.empty())
    return Status(ErrorCode::kFailedToParse, "empty variable names are not allowed");
  if (is_ascii(name[0]) && !is_lower(name[0]) && !(may_start_upper && is_upper(name[0]))) {
    return Status(
        ErrorCode::kFailedToParse,
        "'" + std::string(name) +
            "' starts with a character that the name of a user variable may not start with");
  }
  for (char c : name) {
    if (!is_ascii(c) || is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '_') continue;
    return Status(ErrorCode::kFailedToParse,
                  "'" + std::string(name) +
                      "' contains a character that a variable name may not have: '" + c + "'");
  }
  return {};
}

}  // namespace

Status check_variable_name(std::string_view name) {
  return name == "CURRENT" ? Status() : check_name(name, false);
}
Status check_variable_read(std::string_view name) { return check_name(name, true); }

namespace {

Result<ExpressionPtr> parse_literal(std::string_view, const Value& operand, ParseContext& context) {
  return make_constant(operand, context);
}

// Public stream programs wrap expressions in $expr where it does nothing (stages-windows-time.md
// section 10).
Result<ExpressionPtr> parse_expr(std::string_view, const Value& operand, ParseContext& context) {
  return parse_expression(operand, context);
}

class LetExpression final : public Expression {
 public:
  struct Binding {
    size_t slot;
    ExpressionPtr value;
  };
  LetExpression(std::vector<Binding> bindings, ExpressionPtr in)
      : bindings_(std::move(bindings)), in_(std::move(in)) {}
  Value evaluate(EvalContext& context) const override {
    for (const Binding& binding : bindings_)
      context.variables[binding.slot] = binding.value->evaluate(context);
    return in_->evaluate(context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const Binding& binding : bindings_) binding.value->add_dependencies(dependencies);
    in_->add_dependencies(dependencies);
  }

 private:
  std::vector<Binding> bindings_;
  ExpressionPtr in_;
};

// The values are parsed before any of the names is bound: they see the variables outside.
Result<ExpressionPtr> parse_bindings(const Value& vars, const Value& in, ParseContext& context) {
  if (vars.is_array()) {  // its positions are the names, and no variable begins with a digit
    if (!vars.as_array().empty()) return check_variable_name("0");
    return parse_expression(in, context);
  }
  if (!vars.is_object()) return Status(10065, "invalid parameter: $let expects an object (vars)");
  std::vector<LetExpression::Binding> bindings;
  for (const Field& field : vars.as_object()) {
    MR_RETURN_IF_ERROR(check_variable_name(field.name()));
    MR_ASSIGN_OR_RETURN(ExpressionPtr value, parse_expression(field.value, context));
    bindings.push_back({0, std::move(value)});
  }
  size_t i = 0;
  for (const Field& field : vars.as_object())
    bindings[i++].slot = context.define_variable(field.name());
  auto body = parse_expression(in, context);
  context.end_variables(bindings.size());
  MR_RETURN_IF_ERROR(body.status());
  if (bindings.empty()) return std::move(body).value();
  return ExpressionPtr(
      std::make_unique<LetExpression>(std::move(bindings), std::move(body).value()));
}

Result<ExpressionPtr> parse_let(std::string_view, const Value& operand, ParseContext& context) {
  if (!operand.is_object()) return Status(16874, "$let only supports an object as its argument");
  for (const Field& field : operand.as_object()) {
    if (field.name() != "vars" && field.name() != "in") {
      return Status(16875, "Unrecognized parameter to $let: " + std::string(field.name()));
    }
  }
  ObjectView parts = operand.as_object();
  if (!parts.has("vars")) return Status(16876, "Missing 'vars' parameter to $let");
  if (!parts.has("in")) return Status(16877, "Missing 'in' parameter to $let");
  return parse_bindings(parts.get("vars"), parts.get("in"), context);
}

// clang-format off
constexpr std::array kVariableExpressions = {
    //            name        arguments  evaluate  parse          manual page
    ExpressionRow{"$const",   {1, 1},    nullptr,  parse_literal, "aggregation/literal"},
    ExpressionRow{"$expr",    {1, 1},    nullptr,  parse_expr,    "query/expr"},
    ExpressionRow{"$let",     {1, 1},    nullptr,  parse_let,     "aggregation/let"},
    ExpressionRow{"$literal", {1, 1},    nullptr,  parse_literal, "aggregation/literal"},
};
// clang-format on
static_assert(sorted_and_unique(kVariableExpressions));

}  // namespace

std::span<const ExpressionRow> variable_expressions() { return kVariableExpressions; }

}  // namespace millrace::engine
