// $minMaxScaler: where a number stands between the least and the greatest of its window.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/minMaxScaler/
#include <set>

#include "commands/local/window_function.h"
#include "engine/document/compare.h"
#include "engine/expression/number.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::EvalContext;
using engine::ExpressionPtr;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

Status bad(std::string text) { return Status(ErrorCode::kFailedToParse, std::move(text)); }

struct ScalerArguments {
  ExpressionPtr input;
  Value min = Value::int32(0);
  Value max = Value::int32(1);
};

class MinMaxScalerFunction final : public WindowFunction {
 public:
  MinMaxScalerFunction(WindowBounds bounds, ScalerArguments arguments)
      : bounds_(std::move(bounds)), arguments_(std::move(arguments)) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*arguments_.input, partition, eval);
    for (const Value& value : values) check(value);
    Value width = binary_operator("$subtract", arguments_.max, arguments_.min, eval);
    auto before = [](const Value& a, const Value& b) { return engine::compare(a, b) < 0; };
    std::multiset<Value, decltype(before)> window(before);
    std::vector<Value> results;
    results.reserve(values.size());
    size_t first = 0;
    size_t last = 0;
    for (const auto& [from, to] : bounds_.intervals(partition, eval)) {
      while (last < to) window.insert(values[last++]);
      while (first < from) window.erase(window.find(values[first++]));
      results.push_back(
          scale(values[results.size()], *window.begin(), *window.rbegin(), width, eval));
    }
    return results;
  }

 private:
  void check(const Value& value) const {
    if (value.is_number()) return;
    int code = !bounds_.from_start() ? 10487000 : bounds_.range() ? 10487004 : 10487001;
    engine::fail_evaluation(code, "$minMaxScaler needs numbers as input, not a value of type " +
                                      std::string(value.type_name()));
  }
  Value scale(const Value& value, const Value& least, const Value& greatest, const Value& width,
              EvalContext& eval) const {
    Value range = binary_operator("$subtract", greatest, least, eval);
    if (!range.truthy()) {
      return range.is(Type::kDecimal) || arguments_.min.is(Type::kDecimal)
                 ? Value::decimal(engine::to_decimal(arguments_.min), *eval.arena)
                 : Value::number(arguments_.min.to_double());
    }
    Value part =
        binary_operator("$divide", binary_operator("$subtract", value, least, eval), range, eval);
    return binary_operator("$add", binary_operator("$multiply", part, width, eval), arguments_.min,
                           eval);
  }

  WindowBounds bounds_;
  ScalerArguments arguments_;
};

Result<Value> read_limit(const engine::Field& field, engine::ParseContext& parse) {
  MR_ASSIGN_OR_RETURN(auto expression, engine::parse_expression(field.value, parse));
  const Value* value = expression->constant();
  if (value == nullptr || !value->is_number()) {
    return bad("'" + std::string(field.name()) + "' of $minMaxScaler must be a constant number");
  }
  return engine::deep_copy(*value, parse.constants());
}

// {input: …, min: …, max: …}, or the input alone.
Result<ScalerArguments> read_arguments(const Value& operand, engine::ParseContext& parse) {
  ScalerArguments arguments;
  bool alone = !operand.is_object() || (!operand.as_object().empty() &&
                                        operand.as_object().begin()->name().starts_with('$'));
  if (alone) {
    MR_ASSIGN_OR_RETURN(arguments.input, engine::parse_expression(operand, parse));
    return arguments;
  }
  auto fields = operand.as_object();
  for (const auto& field : fields) {
    if (field.has_name("input")) {
      MR_ASSIGN_OR_RETURN(arguments.input, engine::parse_expression(field.value, parse));
    } else if (field.has_name("min")) {
      MR_ASSIGN_OR_RETURN(arguments.min, read_limit(field, parse));
    } else if (field.has_name("max")) {
      MR_ASSIGN_OR_RETURN(arguments.max, read_limit(field, parse));
    } else {
      return Status(40415, "BSON field '$minMaxScaler." + std::string(field.name()) +
                               "' is an unknown field.");
    }
  }
  if (arguments.input == nullptr)
    return Status(40414, "BSON field '$minMaxScaler.input' is missing but a required field");
  if (fields.has("min") != fields.has("max"))
    return bad("$minMaxScaler needs both 'min' and 'max', or neither");
  if (engine::compare(arguments.min, arguments.max) >= 0)
    return bad("'max' of $minMaxScaler must be greater than 'min'");
  return arguments;
}

}  // namespace

Result<WindowFunctionPtr> parse_window_scaler(const WindowFunctionSpec& spec) {
  MR_ASSIGN_OR_RETURN(auto bounds, window_bounds_of(spec));
  MR_ASSIGN_OR_RETURN(auto arguments, read_arguments(spec.operand, spec.parse));
  if (!bounds.has_current())
    return bad("the window of $minMaxScaler must have the document itself in it");
  return WindowFunctionPtr(
      std::make_unique<MinMaxScalerFunction>(std::move(bounds), std::move(arguments)));
}

}  // namespace millrace::commands
