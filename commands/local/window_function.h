// The functions of $setWindowFields, each run over a whole partition at once.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/setWindowFields/
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "commands/local/window_bounds.h"

namespace millrace::commands {

// Used by one thread at a time.
class WindowFunction {
 public:
  virtual ~WindowFunction() = default;
  // One value per document; they live in `eval.arena`. Throws EvaluationError.
  virtual std::vector<engine::Value> run(const WindowPartition& partition,
                                         engine::EvalContext& eval) = 0;
};
using WindowFunctionPtr = std::unique_ptr<WindowFunction>;

// What a function is parsed from: {$name: operand, window: …}. `sort` outlives the function.
struct WindowFunctionSpec {
  std::string_view name;  // as the table has it
  engine::Value operand;
  engine::Value whole;  // the object that holds both
  const WindowSort& sort;
  engine::ParseContext& parse;
};
using WindowFunctionParser = engine::Result<WindowFunctionPtr> (*)(const WindowFunctionSpec&);

struct WindowFunctionRow {
  std::string_view name;
  WindowFunctionParser parse;
  std::string_view manual;
};
// Sorted by name.
std::span<const WindowFunctionRow> window_function_rows();

// {$sum: "$x", window: {…}}. Errors: 9 FailedToParse for an unknown function or option, those of
// the function.
engine::Result<WindowFunctionPtr> parse_window_function(std::string_view field,
                                                        const engine::Value& spec,
                                                        const WindowSort& sort,
                                                        engine::ParseContext& parse);

// Nothing but `window` may stand beside the function's name. Errors: 9 FailedToParse.
engine::Status check_beside_window(const WindowFunctionSpec& spec);
// The same, and the bounds that `window` says.
engine::Result<WindowBounds> window_bounds_of(const WindowFunctionSpec& spec);

// window_aggregate.cc: accumulators, covariance, derivative, integral.
engine::Result<WindowFunctionPtr> parse_window_accumulator(const WindowFunctionSpec& spec);
engine::Result<WindowFunctionPtr> parse_window_covariance(const WindowFunctionSpec& spec);
engine::Result<WindowFunctionPtr> parse_window_derivative(const WindowFunctionSpec& spec);
engine::Result<WindowFunctionPtr> parse_window_integral(const WindowFunctionSpec& spec);
// window_scaler.cc
engine::Result<WindowFunctionPtr> parse_window_scaler(const WindowFunctionSpec& spec);
// window_sequence.cc: those that look at a document's place.
engine::Result<WindowFunctionPtr> parse_window_rank(const WindowFunctionSpec& spec);
engine::Result<WindowFunctionPtr> parse_window_shift(const WindowFunctionSpec& spec);
engine::Result<WindowFunctionPtr> parse_window_exp_moving_avg(const WindowFunctionSpec& spec);
engine::Result<WindowFunctionPtr> parse_window_fill(const WindowFunctionSpec& spec);

// The value of `expression` in each document of the partition.
std::vector<engine::Value> evaluate_all(const engine::Expression& expression,
                                        const WindowPartition& partition,
                                        engine::EvalContext& eval);
// $add and its like, of two values.
engine::Value binary_operator(std::string_view name, const engine::Value& a, const engine::Value& b,
                              engine::EvalContext& eval);

}  // namespace millrace::commands
