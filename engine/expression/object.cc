// Object operators.
#include <array>

#include "engine/expression/families.h"
#include "engine/expression/limits.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

// Later objects win, field by field; a field keeps the place where it stood first. Null and missing
// are left out. A single argument that is an array stands for its elements.
Value eval_merge_objects(EvalContext& context, std::span<const Value> arguments) {
  if (arguments.size() == 1 && arguments[0].is_array())
    arguments = arguments[0].as_array().elements(*context.arena);
  ObjectBuilder merged(*context.arena);
  bool first = true;
  for (const Value& object : arguments) {
    if (object.is_nullish()) continue;
    if (!object.is_object()) {
      fail_evaluation(40400, "$mergeObjects requires objects, but " + shown(object) +
                                 " is of type " + std::string(object.type_name()));
    }
    for (const Field& field : object.as_object()) {
      if (first) {
        merged.add(field.name(), field.value);
      } else {
        merged.set(field.name(), field.value);
      }
    }
    first = false;
  }
  return merged.finish();
}

Value eval_object_to_array(EvalContext& context, std::span<const Value> arguments) {
  const Value& object = arguments[0];
  if (object.is_nullish()) return Value::null();
  if (!object.is_object()) {
    fail_evaluation(
        40390, "$objectToArray requires a document, found: " + std::string(object.type_name()));
  }
  ArrayBuilder pairs(*context.arena);
  for (const Field& field : object.as_object()) {
    auto* pair = context.arena->allocate_array<Field>(2);
    pair[0] = Field("k", Value::string(field.name()));
    pair[1] = Field("v", field.value);
    pairs.add(Value::object({pair, 2}));
  }
  return pairs.finish();
}

// The field of that very name, dots and dollars included.
class GetFieldExpression final : public Expression {
 public:
  GetFieldExpression(ExpressionPtr field, ExpressionPtr input, ParseContext& context)
      : field_(std::move(field)), input_(std::move(input)) {
    if (const Value* name = field_->constant()) name_ = context.names().intern(name->as_string());
  }
  Value evaluate(EvalContext& context) const override {
    Value input = input_ == nullptr ? context.root : input_->evaluate(context);
    std::string_view name = name_;
    if (name.data() == nullptr) {
      Value field = field_->evaluate(context);
      if (!field.is_string()) {
        fail_evaluation(3041704, "$getField requires 'field' to be a string, but it is of type " +
                                     std::string(field.type_name()));
      }
      name = field.as_string();
    }
    if (input.is_object()) return input.as_object().get(name);
    return input.is_nullish() && !input.is_missing() ? Value::null() : Value();
  }
  void add_dependencies(Dependencies& dependencies) const override {
    field_->add_dependencies(dependencies);
    if (input_ != nullptr) {
      input_->add_dependencies(dependencies);
    } else if (name_.data() != nullptr) {
      dependencies.fields.add(&name_, 1);
    } else {
      dependencies.fields.add_all();
    }
  }

 private:
  ExpressionPtr field_;
  ExpressionPtr input_;    // nullptr: the document
  std::string_view name_;  // of a constant field; no data when it is not constant
};

// True for {field: …}: an operand with named arguments, not an expression itself.
bool has_named_arguments(const Value& operand) {
  if (!operand.is_object()) return false;
  auto first = operand.as_object().begin();
  return first == operand.as_object().end() || !first->name().starts_with('$');
}

// {field: <expression>, input: <expression>}, or the field of $$CURRENT alone. The manual calls
// `input` optional; the server does not.
Result<ExpressionPtr> parse_get_field(std::string_view, const Value& operand,
                                      ParseContext& context) {
  Value field = operand;
  Value input;
  if (has_named_arguments(operand)) {
    for (const Field& argument : operand.as_object()) {
      if (argument.name() != "field" && argument.name() != "input") {
        return Status(3041701,
                      "$getField found an unknown argument: " + std::string(argument.name()));
      }
    }
    field = operand.as_object().get("field");
    input = operand.as_object().get("input");
    if (field.is_missing()) return Status(3041702, "$getField requires 'field' to be specified");
    if (input.is_missing()) return Status(3041703, "$getField requires 'input' to be specified");
  }
  MR_ASSIGN_OR_RETURN(ExpressionPtr name, parse_expression(field, context));
  if (name->constant() != nullptr && !name->constant()->is_string()) {
    return Status(3041704, "$getField requires 'field' to be a string, but it is of type " +
                               std::string(name->constant()->type_name()));
  }
  ExpressionPtr from;
  if (!input.is_missing() || context.find_variable("CURRENT") >= 0) {
    MR_ASSIGN_OR_RETURN(
        from, parse_expression(input.is_missing() ? Value::string("$$CURRENT") : input, context));
  }
  return ExpressionPtr(
      std::make_unique<GetFieldExpression>(std::move(name), std::move(from), context));
}

// Adds, replaces or, when the value is missing, removes one field.
class SetFieldExpression final : public Expression {
 public:
  SetFieldExpression(std::string_view name, ExpressionPtr input, ExpressionPtr value)
      : name_(name), input_(std::move(input)), value_(std::move(value)) {}
  Value evaluate(EvalContext& context) const override {
    Value input = input_->evaluate(context);
    if (input.is_nullish()) return Value::null();
    if (!input.is_object()) {
      fail_evaluation(4161105, "$setField requires 'input' to be an object, but it is of type " +
                                   std::string(input.type_name()));
    }
    Value value = value_ == nullptr ? Value() : value_->evaluate(context);
    ObjectBuilder object(*context.arena);
    bool found = false;
    for (const Field& field : input.as_object()) {
      bool is_it = field.has_name(name_);
      found = found || is_it;
      object.add(field.name(), is_it ? value : field.value);
    }
    if (!found) object.add(name_, value);
    return checked_depth(object.finish());
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
    if (value_ != nullptr) value_->add_dependencies(dependencies);
  }

 private:
  std::string_view name_;
  ExpressionPtr input_;
  ExpressionPtr value_;  // nullptr: $unsetField
};

// The name of the field: a string or {$literal: <string>}.
Result<std::string_view> parse_field_name(std::string_view name, const Value& spec,
                                          ParseContext& context) {
  Value field = spec;
  if (spec.is_object() && !spec.as_object().empty()) {
    Field first = *spec.as_object().begin();
    if (first.name() != "$literal" && first.name() != "$const")
      return Status(4161106, std::string(name) + " requires 'field' to be a constant");
    field = first.value;
  } else if (spec.is_array()) {
    return Status(4161106, std::string(name) + " requires 'field' to be a constant");
  } else if (spec.is_string() && spec.as_string().starts_with('$')) {
    return Status(4161108, "a field path is not allowed as 'field' of " + std::string(name) +
                               "; write {$literal: '" + std::string(spec.as_string()) +
                               "'} for a name with a dollar");
  }
  if (!field.is_string()) {
    return Status(4161107, std::string(name) +
                               " requires 'field' to be a string, but it is of type " +
                               std::string(field.type_name()));
  }
  if (field.as_string().find('\0') != std::string_view::npos)
    return Status(9534700, std::string(name) + " requires 'field' without zero bytes");
  return context.names().intern(field.as_string());
}

// $setField, and $unsetField, which has no value.
Result<ExpressionPtr> parse_set_field(std::string_view name, const Value& operand,
                                      ParseContext& context) {
  bool has_value = name == "$setField";
  if (!operand.is_object())
    return Status(4161100, std::string(name) + " only supports an object as its argument");
  ExpressionPtr input, value;
  for (const Field& argument : operand.as_object()) {
    if (argument.name() == "input") {
      MR_ASSIGN_OR_RETURN(input, parse_expression(argument.value, context));
    } else if (has_value && argument.name() == "value") {
      MR_ASSIGN_OR_RETURN(value, parse_expression(argument.value, context));
    } else if (argument.name() == "field") {
      MR_RETURN_IF_ERROR(parse_expression(argument.value, context).status());
    } else {
      return Status(4161101, std::string(name) +
                                 " found an unknown argument: " + std::string(argument.name()));
    }
  }
  ObjectView parts = operand.as_object();
  if (!parts.has("field"))
    return Status(4161102, std::string(name) + " requires 'field' to be specified");
  if (has_value && !parts.has("value"))
    return Status(4161103, std::string(name) + " requires 'value' to be specified");
  if (!parts.has("input"))
    return Status(4161109, std::string(name) + " requires 'input' to be specified");
  MR_ASSIGN_OR_RETURN(std::string_view field, parse_field_name(name, parts.get("field"), context));
  return ExpressionPtr(
      std::make_unique<SetFieldExpression>(field, std::move(input), std::move(value)));
}

// clang-format off
constexpr std::array kObjectExpressions = {
    //            name              arguments        evaluate              parse            manual page
    ExpressionRow{"$getField",      {1, 1},          nullptr,              parse_get_field, "aggregation/getField"},
    ExpressionRow{"$mergeObjects",  {0, kAnyNumber}, eval_merge_objects,   nullptr,         "aggregation/mergeObjects"},
    ExpressionRow{"$objectToArray", {1, 1},          eval_object_to_array, nullptr,         "aggregation/objectToArray"},
    ExpressionRow{"$setField",      {1, 1},          nullptr,              parse_set_field, "aggregation/setField"},
    ExpressionRow{"$unsetField",    {1, 1},          nullptr,              parse_set_field, "aggregation/unsetField"},
};
// clang-format on
static_assert(sorted_and_unique(kObjectExpressions));

}  // namespace

std::span<const ExpressionRow> object_expressions() { return kObjectExpressions; }

}  // namespace millrace::engine
