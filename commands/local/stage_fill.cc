// $fill: short for $setWindowFields with $linearFill and $locf, and $addFields for constants.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/fill/ ; codes: 6.0.5.
#include "commands/local/aggregate_stages.h"
#include "commands/local/chain_operator.h"

namespace millrace::commands {

using engine::Arena;
using engine::ErrorCode;
using engine::ObjectBuilder;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::Value;

namespace {

Value object_of(Arena& arena, std::string_view name, Value value) {
  ObjectBuilder object(arena, 1);
  object.add(name, value);
  return object.finish();
}

Status wrong_type(std::string_view option, const Value& value, std::string_view expected) {
  return Status(ErrorCode::kTypeMismatch, "BSON field '$fill." + std::string(option) +
                                              "' is the wrong type '" +
                                              std::string(value.type_name()) +
                                              "', expected type '" + std::string(expected) + "'");
}

Status check_options(const Value& spec) {
  if (!spec.is_object()) {
    return Status(
        ErrorCode::kFailedToParse,
        "The $fill stage specification must be an object, found " + std::string(spec.type_name()));
  }
  for (const auto& field : spec.as_object()) {
    bool object =
        field.has_name("sortBy") || field.has_name("output") || field.has_name("partitionBy");
    if (!object && !field.has_name("partitionByFields")) {
      return Status(40415,
                    "BSON field '$fill." + std::string(field.name()) + "' is an unknown field.");
    }
    // A path as partitionBy is documented since 6.1 ("$path"); 6.0 takes only an expression object.
    if (object && !field.value.is_object()) return wrong_type(field.name(), field.value, "object");
    if (!object && !field.value.is_array()) return wrong_type(field.name(), field.value, "array");
    if (object) continue;
    for (const Value& name : field.value.as_array()) {
      if (!name.is_string()) return wrong_type(field.name(), name, "string");
    }
  }
  auto fields = spec.as_object();
  if (!fields.has("output"))
    return Status(40414, "BSON field '$fill.output' is missing but a required field");
  if (fields.has("partitionBy") && fields.has("partitionByFields"))
    return Status(6050204,
                  "Maximum one of 'partitionBy' and 'partitionByFields can be specified "
                  "in '$fill'");
  if (fields.get("output").as_object().empty()) {
    return Status(6050203,
                  "The output field in '$fill' must contain an object with at least one element");
  }
  return {};
}

// {method: …} or {value: …}.
Status add_output(const engine::Field& field, Arena& arena, ObjectBuilder& windows,
                  ObjectBuilder& constants) {
  if (!field.value.is_object()) {
    return Status(6050200,
                  "Each fill output specification must be an object with exactly one field");
  }
  for (const auto& option : field.value.as_object()) {
    if (!option.has_name("method") && !option.has_name("value")) {
      return Status(40415,
                    "BSON field '$fill." + std::string(option.name()) + "' is an unknown field.");
    }
  }
  auto options = field.value.as_object();
  Value method = options.get("method");
  if (options.empty()) return {};  // asks for nothing (6.0.5)
  if (method.is_missing() == !options.has("value")) {
    return Status(6050201,
                  "Each fill output specification must have exactly one of 'method' or 'value' "
                  "fields, not both");
  }
  std::string_view path = arena.copy("$" + std::string(field.name()));
  if (method.is_missing()) {
    engine::ArrayBuilder both(arena, 2);
    both.add(Value::string(path));
    both.add(options.get("value"));
    constants.add(field.name(), object_of(arena, "$ifNull", both.finish()));
    return {};
  }
  if (!method.is_string()) return wrong_type("method", method, "string");
  bool linear = method.as_string() == "linear";
  if (!linear && method.as_string() != "locf")
    return Status(6050202, "Method must be either locf or linear");
  windows.add(field.name(),
              object_of(arena, linear ? "$linearFill" : "$locf", Value::string(path)));
  return {};
}

}  // namespace

Result<OperatorPtr> parse_fill(const Value& spec, StageContext& context, AggregateBuilder&) {
  MR_RETURN_IF_ERROR(check_options(spec));
  auto fields = spec.as_object();
  Arena& arena = context.parse.constants();
  ObjectBuilder windows(arena);
  ObjectBuilder constants(arena);
  for (const auto& field : fields.get("output").as_object())
    MR_RETURN_IF_ERROR(add_output(field, arena, windows, constants));
  engine::ArrayBuilder stages(arena, 2);
  if (windows.size() > 0) {
    ObjectBuilder window(arena);
    Value partition = fields.get("partitionBy");
    if (Value names = fields.get("partitionByFields"); names.is_array()) {
      ObjectBuilder key(arena);
      for (const Value& name : names.as_array())
        key.add(name.as_string(), Value::string(arena.copy("$" + std::string(name.as_string()))));
      partition = key.finish();
    }
    window.add("partitionBy", partition);
    window.add("sortBy", fields.get("sortBy"));
    window.add("output", windows.finish());
    stages.add(object_of(arena, "$setWindowFields", window.finish()));
  }
  if (constants.size() > 0) stages.add(object_of(arena, "$addFields", constants.finish()));
  MR_ASSIGN_OR_RETURN(auto operators,
                      context.builder.build(stages.finish(), context.place, context));
  return OperatorPtr(std::make_unique<ChainOperator>("FillOperator", std::move(operators)));
}

}  // namespace millrace::commands
