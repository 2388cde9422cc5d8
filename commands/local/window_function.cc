#include "commands/local/window_function.h"

#include <algorithm>
#include <array>

#include "engine/expression/registry.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::EvalContext;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

// clang-format off
constexpr std::array kFunctions = {
    WindowFunctionRow{"$addToSet",       parse_window_accumulator,    "aggregation/addToSet"},
    WindowFunctionRow{"$avg",            parse_window_accumulator,    "aggregation/avg"},
    WindowFunctionRow{"$bottom",         parse_window_accumulator,    "aggregation/bottom"},
    WindowFunctionRow{"$bottomN",        parse_window_accumulator,    "aggregation/bottomN"},
    WindowFunctionRow{"$concatArrays",   parse_window_accumulator,    "aggregation/concatArrays"},
    WindowFunctionRow{"$count",          parse_window_accumulator,    "aggregation/count-accumulator"},
    WindowFunctionRow{"$covariancePop",  parse_window_covariance,     "aggregation/covariancePop"},
    WindowFunctionRow{"$covarianceSamp", parse_window_covariance,     "aggregation/covarianceSamp"},
    WindowFunctionRow{"$denseRank",      parse_window_rank,           "aggregation/denseRank"},
    WindowFunctionRow{"$derivative",     parse_window_derivative,     "aggregation/derivative"},
    WindowFunctionRow{"$documentNumber", parse_window_rank,           "aggregation/documentNumber"},
    WindowFunctionRow{"$expMovingAvg",   parse_window_exp_moving_avg, "aggregation/expMovingAvg"},
    WindowFunctionRow{"$first",          parse_window_accumulator,    "aggregation/first"},
    WindowFunctionRow{"$firstN",         parse_window_accumulator,    "aggregation/firstN"},
    WindowFunctionRow{"$integral",       parse_window_integral,       "aggregation/integral"},
    WindowFunctionRow{"$last",           parse_window_accumulator,    "aggregation/last"},
    WindowFunctionRow{"$lastN",          parse_window_accumulator,    "aggregation/lastN"},
    WindowFunctionRow{"$linearFill",     parse_window_fill,           "aggregation/linearFill"},
    WindowFunctionRow{"$locf",           parse_window_fill,           "aggregation/locf"},
    WindowFunctionRow{"$max",            parse_window_accumulator,    "aggregation/max"},
    WindowFunctionRow{"$maxN",           parse_window_accumulator,    "aggregation/maxN"},
    WindowFunctionRow{"$median",         parse_window_accumulator,    "aggregation/median"},
    WindowFunctionRow{"$mergeObjects",   parse_window_accumulator,    "aggregation/mergeObjects"},
    WindowFunctionRow{"$min",            parse_window_accumulator,    "aggregation/min"},
    WindowFunctionRow{"$minMaxScaler",   parse_window_scaler,         "aggregation/minMaxScaler"},
    WindowFunctionRow{"$minN",           parse_window_accumulator,    "aggregation/minN"},
    WindowFunctionRow{"$percentile",     parse_window_accumulator,    "aggregation/percentile"},
    WindowFunctionRow{"$push",           parse_window_accumulator,    "aggregation/push"},
    WindowFunctionRow{"$rank",           parse_window_rank,           "aggregation/rank"},
    WindowFunctionRow{"$setUnion",       parse_window_accumulator,    "aggregation/setUnion"},
    WindowFunctionRow{"$shift",          parse_window_shift,          "aggregation/shift"},
    WindowFunctionRow{"$stdDevPop",      parse_window_accumulator,    "aggregation/stdDevPop"},
    WindowFunctionRow{"$stdDevSamp",     parse_window_accumulator,    "aggregation/stdDevSamp"},
    WindowFunctionRow{"$sum",            parse_window_accumulator,    "aggregation/sum"},
    WindowFunctionRow{"$top",            parse_window_accumulator,    "aggregation/top"},
    WindowFunctionRow{"$topN",           parse_window_accumulator,    "aggregation/topN"},
};
// clang-format on
static_assert(std::is_sorted(kFunctions.begin(), kFunctions.end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));

}  // namespace

std::span<const WindowFunctionRow> window_function_rows() { return kFunctions; }

Result<WindowFunctionPtr> parse_window_function(std::string_view field, const Value& spec,
                                                const WindowSort& sort,
                                                engine::ParseContext& parse) {
  if (!spec.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "The field '" + std::string(field) + "' must be an object");
  }
  for (const auto& part : spec.as_object()) {
    if (!part.name().starts_with('$')) continue;
    for (const WindowFunctionRow& row : kFunctions) {
      if (part.has_name(row.name)) return row.parse({row.name, part.value, spec, sort, parse});
    }
    return Status(ErrorCode::kFailedToParse,
                  "Unrecognized window function, " + std::string(part.name()));
  }
  std::string first =
      spec.as_object().empty() ? "" : ", " + std::string(spec.as_object().begin()->name());
  return Status(ErrorCode::kFailedToParse, "Expected a $-prefixed window function" + first);
}

Status check_beside_window(const WindowFunctionSpec& spec) {
  auto bad = [](std::string text) { return Status(ErrorCode::kFailedToParse, std::move(text)); };
  bool found = false;
  for (const auto& field : spec.whole.as_object()) {
    if (field.has_name("window")) continue;
    if (!field.name().starts_with('$'))
      return bad("Window function found an unknown argument: " + std::string(field.name()));
    if (found) return bad("Cannot specify two functions in window function spec");
    found = true;
  }
  return {};
}

Result<WindowBounds> window_bounds_of(const WindowFunctionSpec& spec) {
  MR_RETURN_IF_ERROR(check_beside_window(spec));
  return WindowBounds::parse(spec.whole.as_object().get("window"), spec.sort, spec.parse);
}

std::vector<Value> evaluate_all(const engine::Expression& expression,
                                const WindowPartition& partition, EvalContext& eval) {
  std::vector<Value> values;
  values.reserve(partition.documents.size());
  for (const Value& document : partition.documents) {
    eval.root = document;
    values.push_back(expression.evaluate(eval));
  }
  return values;
}

Value binary_operator(std::string_view name, const Value& a, const Value& b, EvalContext& eval) {
  std::array<Value, 2> both = {a, b};
  return engine::find_expression(name)->evaluate(eval, both);
}

}  // namespace millrace::commands
