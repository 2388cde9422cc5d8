// Window functions that look at a document's place or at its neighbours: $rank, $denseRank,
// $documentNumber, $shift, $expMovingAvg, $linearFill, $locf. Codes and texts: 6.0.5.
#include <cmath>

#include "commands/local/index_keys.h"
#include "commands/local/window_function.h"
#include "engine/document/compare.h"
#include "engine/expression/number.h"

namespace millrace::commands {

using engine::Decimal128;
using engine::ErrorCode;
using engine::EvalContext;
using engine::ExpressionPtr;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

namespace decimal = engine::decimal;

Status bad(std::string text) { return Status(ErrorCode::kFailedToParse, std::move(text)); }

class RankFunction final : public WindowFunction {
 public:
  explicit RankFunction(std::string_view name)
      : number_(name == "$documentNumber"), dense_(name == "$denseRank") {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext&) override {
    std::vector<Value> ranks;
    int64_t rank = 0;
    for (size_t i = 0; i < partition.documents.size(); ++i) {
      // A missing value and null are different ranks, though they sort as equals.
      bool tie = i > 0 && !number_ &&
                 engine::equal(partition.sort_values[i], partition.sort_values[i - 1]);
      if (!tie) rank = dense_ || number_ ? rank + 1 : static_cast<int64_t>(i) + 1;
      ranks.push_back(Value::integer(rank));
    }
    return ranks;
  }

 private:
  bool number_;
  bool dense_;
};

class ShiftFunction final : public WindowFunction {
 public:
  ShiftFunction(ExpressionPtr output, int64_t by, Value otherwise)
      : output_(std::move(output)), by_(by), otherwise_(otherwise) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*output_, partition, eval);
    std::vector<Value> shifted;
    auto count = static_cast<int64_t>(values.size());
    for (int64_t i = 0; i < count; ++i) {
      int64_t from = i + by_;
      shifted.push_back(from >= 0 && from < count ? values[static_cast<size_t>(from)] : otherwise_);
    }
    return shifted;
  }

 private:
  ExpressionPtr output_;
  int64_t by_;
  Value otherwise_;
};

// Computed with decimals whatever the input, and shown as a double as long as no decimal has come,
// in this partition or in one before it (6.0.5 and later).
class ExpMovingAvgFunction final : public WindowFunction {
 public:
  ExpMovingAvgFunction(ExpressionPtr input, Decimal128 alpha)
      : input_(std::move(input)), alpha_(alpha) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*input_, partition, eval);
    Decimal128 rest = decimal::subtract(decimal::from_int64(1), alpha_);
    Decimal128 average;
    bool any = false;
    for (Value& value : values) {
      if (value.is_number()) {
        any_decimal_ = any_decimal_ || value.is(Type::kDecimal);
        Decimal128 now = engine::to_decimal(value);
        average =
            any ? decimal::add(decimal::multiply(now, alpha_), decimal::multiply(average, rest))
                : now;
        any = true;
      }
      value = !any           ? Value::null()
              : any_decimal_ ? Value::decimal(average, *eval.arena)
                             : Value::number(decimal::to_double(average));
    }
    return values;
  }

 private:
  ExpressionPtr input_;
  Decimal128 alpha_;
  bool any_decimal_ = false;
};

class LocfFunction final : public WindowFunction {
 public:
  explicit LocfFunction(ExpressionPtr input) : input_(std::move(input)) {}
  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*input_, partition, eval);
    Value last = Value::null();
    for (Value& value : values) {
      if (!value.is_nullish()) last = value;
      value = last;
    }
    return values;
  }

 private:
  ExpressionPtr input_;
};

class LinearFillFunction final : public WindowFunction {
 public:
  explicit LinearFillFunction(ExpressionPtr input) : input_(std::move(input)) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*input_, partition, eval);
    const auto& places = partition.sort_values;
    std::vector<Value> filled(values.size(), Value::null());
    size_t known = values.size();  // the last document with a value; none: beyond the end
    for (size_t i = 0; i < values.size(); ++i) {
      bool gap = known < values.size() && known + 1 < i && !values[i].is_nullish();
      // Behind a gap the arithmetic comes first and has its own errors (6.0.5).
      if (!gap) check_value(values[i]);
      check_place(places[i], i == 0 ? nullptr : &places[i - 1]);
      if (values[i].is_nullish()) continue;
      filled[i] = values[i];
      for (size_t j = known + 1; known < values.size() && j < i; ++j) {
        filled[j] = between(places[known], values[known], places[i], values[i], places[j], eval);
      }
      known = i;
    }
    return filled;
  }

 private:
  static void check_value(const Value& value) {
    if (!value.is_nullish() && !value.is_number()) {
      engine::fail_evaluation(ErrorCode::kTypeMismatch,
                              "Value to be filled must be numeric or nullish, but found " +
                                  std::string(value.type_name()));
    }
  }
  static void check_place(const Value& place, const Value* before) {
    if (before != nullptr && engine::equal(place, *before))
      engine::fail_evaluation(6050106, "There can be no repeated values in the sort field");
    if (!place.is_number() && !place.is(Type::kDate)) {
      engine::fail_evaluation(
          ErrorCode::kTypeMismatch,
          "Sort value must be numeric or date, but found " + std::string(place.type_name()));
    }
    if (before != nullptr && before->is_number() != place.is_number()) {
      engine::fail_evaluation(6050107,
                              "Conflicting sort value types, previous and current types don't "
                              "match");
    }
  }
  static Value between(const Value& x1, const Value& y1, const Value& x2, const Value& y2,
                       const Value& x, EvalContext& eval) {
    Value slope = binary_operator("$divide", binary_operator("$subtract", y2, y1, eval),
                                  binary_operator("$subtract", x2, x1, eval), eval);
    Value rise =
        binary_operator("$multiply", binary_operator("$subtract", x, x1, eval), slope, eval);
    // Not as $add does it, which takes doubles and longs exactly (6.0.5).
    if (y1.is(Type::kDecimal) || rise.is(Type::kDecimal)) {
      return Value::decimal(decimal::add(engine::to_decimal(y1), engine::to_decimal(rise)),
                            *eval.arena);
    }
    if (y1.is(Type::kDouble) || rise.is(Type::kDouble))
      return Value::number(y1.to_double() + rise.to_double());
    return binary_operator("$add", y1, rise, eval);
  }
  ExpressionPtr input_;
};

}  // namespace

Result<WindowFunctionPtr> parse_window_rank(const WindowFunctionSpec& spec) {
  if (spec.whole.as_object().size() > 1)
    return Status(5371601, "Rank style window functions take no other arguments");
  if (!spec.operand.is_object() || !spec.operand.as_object().empty())
    return Status(5371603, "(None) must be specified with '{}' as the value");
  if (!spec.sort.single()) {
    return Status(5371602, std::string(spec.name) +
                               " must be specified with a top level sortBy expression with exactly "
                               "one element");
  }
  return WindowFunctionPtr(std::make_unique<RankFunction>(spec.name));
}

Result<WindowFunctionPtr> parse_window_shift(const WindowFunctionSpec& spec) {
  for (const auto& field : spec.whole.as_object()) {
    if (field.has_name("window")) return bad("$shift does not accept a 'window' field");
    if (!field.has_name("$shift"))
      return bad("Window function found an unknown argument: " + std::string(field.name()));
  }
  if (!spec.operand.is_object()) return bad("Argument to $shift must be an object");
  if (!spec.sort.given) return bad("'$shift' requires a sortBy");
  ExpressionPtr output;
  Value by;
  Value otherwise = Value::null();
  for (const auto& field : spec.operand.as_object()) {
    if (field.has_name("output")) {
      MR_ASSIGN_OR_RETURN(output, engine::parse_expression(field.value, spec.parse));
    } else if (field.has_name("by")) {
      by = field.value;
    } else if (field.has_name("default")) {
      MR_ASSIGN_OR_RETURN(auto constant, engine::parse_expression(field.value, spec.parse));
      if (constant->constant() == nullptr)
        return bad("'$shift:default' expression must yield a constant value.");
      otherwise = *constant->constant();
    } else {
      return bad("Unknown argument in $shift");
    }
  }
  if (by.is_missing()) return bad("$shift requires 'by' as an integer value.");
  auto distance = engine::whole_int32(by);
  if (!distance)
    return bad("'$shift:by' field must be an integer, but found  by: " + shell_text(by));
  if (output == nullptr) return bad("$shift requires an 'output' expression.");
  return WindowFunctionPtr(
      std::make_unique<ShiftFunction>(std::move(output), *distance, otherwise));
}

namespace {

Result<Decimal128> read_alpha(const Value& n, const Value& alpha) {
  if (!n.is_missing()) {
    if (!n.is_number())
      return bad("'N' field must be an integer, but found type " + std::string(n.type_name()));
    auto whole = engine::whole_int64(n);
    if (!whole) {
      return bad("'N' field must be an integer, but found  N: " + shell_text(n) +
                 ". To use a non-integer, use the 'alpha' argument instead");
    }
    if (*whole <= 0) return bad("'N' must be greater than zero. Got " + std::to_string(*whole));
    return decimal::divide(decimal::from_int64(2),
                           decimal::add(decimal::from_int64(*whole), decimal::from_int64(1)));
  }
  if (!alpha.is_number()) return bad("'alpha' must be a number");
  if (!(alpha.to_double() > 0 && alpha.to_double() < 1))
    return bad("'alpha' must be between 0 and 1 (exclusive), found alpha: " + shell_text(alpha));
  return engine::to_decimal(alpha);
}

}  // namespace

Result<WindowFunctionPtr> parse_window_exp_moving_avg(const WindowFunctionSpec& spec) {
  if (spec.whole.as_object().size() != 1 || !spec.operand.is_object())
    return bad("$expMovingAvg must have exactly one argument that is an object");
  if (!spec.sort.given) return bad("$expMovingAvg requires an explicit 'sortBy'");
  auto fields = spec.operand.as_object();
  bool one_of = fields.has("N") != fields.has("alpha");
  if (fields.size() != 2 || !fields.has("input") || !one_of) {
    return bad(
        "$expMovingAvg sub object must have exactly two fields: An 'input' field, and either an "
        "'N' field or an 'alpha' field");
  }
  MR_ASSIGN_OR_RETURN(auto alpha, read_alpha(fields.get("N"), fields.get("alpha")));
  MR_ASSIGN_OR_RETURN(auto input, engine::parse_expression(fields.get("input"), spec.parse));
  return WindowFunctionPtr(std::make_unique<ExpMovingAvgFunction>(std::move(input), alpha));
}

Result<WindowFunctionPtr> parse_window_fill(const WindowFunctionSpec& spec) {
  std::string name(spec.name);
  bool linear = spec.name == "$linearFill";
  for (const auto& field : spec.whole.as_object()) {
    if (field.has_name("window")) return bad("'window' field is not allowed in " + name);
    if (!field.has_name(spec.name))
      return bad("Window function found an unknown argument: " + std::string(field.name()));
  }
  if (linear && !spec.sort.single()) {
    return Status(605001, name +
                              " must be specified with a top level sortBy expression with exactly "
                              "one element");
  }
  MR_ASSIGN_OR_RETURN(auto input, engine::parse_expression(spec.operand, spec.parse));
  if (linear) return WindowFunctionPtr(std::make_unique<LinearFillFunction>(std::move(input)));
  return WindowFunctionPtr(std::make_unique<LocfFunction>(std::move(input)));
}

}  // namespace millrace::commands
