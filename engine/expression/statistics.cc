// The expression forms of accumulators, over their arguments or over one array.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "engine/document/compare.h"
#include "engine/expression/accumulator.h"
#include "engine/expression/families.h"
#include "engine/expression/named_arguments.h"
#include "engine/expression/number.h"
#include "engine/expression/percentile.h"

namespace millrace::engine {
namespace {

// Runs the accumulator of $group over values of one document, so that both forms agree to the last
// bit.
class StatisticsExpression final : public Expression {
 public:
  StatisticsExpression(AccumulatorPtr accumulator, std::vector<ExpressionPtr> arguments)
      : accumulator_(std::move(accumulator)), arguments_(std::move(arguments)) {}

  Value evaluate(EvalContext& context) const override {
    // What may throw is done before there is a state to destroy.
    std::span<const Value> values = evaluate_arguments(context);
    void* state = context.arena->allocate(accumulator_->state_size());
    HeapBytes heap;
    accumulator_->init(state);
    for (const Value& v : values) accumulator_->add(state, v, heap);
    Value result = accumulator_->result(state, *context.arena);
    accumulator_->destroy(state, heap);
    return result;
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& argument : arguments_) argument->add_dependencies(dependencies);
  }

 private:
  // A single argument that is an array stands for its elements; among several an array is a value
  // like any other.
  std::span<const Value> evaluate_arguments(EvalContext& context) const {
    auto* values = context.arena->allocate_array<Value>(arguments_.size());
    for (size_t i = 0; i < arguments_.size(); ++i) values[i] = arguments_[i]->evaluate(context);
    if (arguments_.size() == 1 && values[0].is_array())
      return values[0].as_array().elements(*context.arena);
    return {values, arguments_.size()};
  }

  AccumulatorPtr accumulator_;
  std::vector<ExpressionPtr> arguments_;
};

Result<ExpressionPtr> parse_statistics(std::string_view name, const Value& operand,
                                       ParseContext& context) {
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {0, kAnyNumber}, context));
  if (name == "$max" || name == "$min") move_constants_last(arguments);
  // The accumulator's own argument is never evaluated: values are handed to add().
  MR_ASSIGN_OR_RETURN(AccumulatorPtr accumulator,
                      parse_accumulator(name, Value::string("$value"), context));
  bool constant = std::all_of(arguments.begin(), arguments.end(),
                              [](const auto& e) { return e->constant() != nullptr; });
  return fold_node(
      std::make_unique<StatisticsExpression>(std::move(accumulator), std::move(arguments)),
      constant, context);
}

const Value* array_argument(std::string_view name, const Value& array) {
  if (array.is_nullish()) return nullptr;
  if (!array.is_array()) {
    fail_evaluation(28689, std::string(name) + "'s argument must be an array, but is " +
                               std::string(array.type_name()));
  }
  return &array;
}

Value eval_first(EvalContext&, std::span<const Value> arguments) {
  const Value* array = array_argument("$first", arguments[0]);
  return array == nullptr ? Value::null() : array->as_array().at(0);
}

Value eval_last(EvalContext&, std::span<const Value> arguments) {
  const Value* array = array_argument("$last", arguments[0]);
  if (array == nullptr) return Value::null();
  size_t size = array->as_array().size();
  return size == 0 ? Value() : array->as_array().at(size - 1);
}

// The n values to take, from `elements`.
using TakeFunction = Value (*)(std::span<const Value> elements, size_t n, Arena& arena);

Value take_first(std::span<const Value> elements, size_t n, Arena&) {
  return Value::array(elements.first(std::min(n, elements.size())));
}
Value take_last(std::span<const Value> elements, size_t n, Arena&) {
  return Value::array(elements.last(std::min(n, elements.size())));
}

struct ByValue {
  bool operator()(const Value& a, const Value& b) const { return compare(a, b) < 0; }
};

// Null and missing do not count. Of equal values 6.0.5 keeps those that came first, and shows the
// greatest with the last of them in front.
template <bool kMin>
Value take_extremes(std::span<const Value> elements, size_t n, Arena& arena) {
  std::multiset<Value, ByValue> best;
  for (const Value& v : elements) {
    if (v.is_nullish()) continue;
    if (best.size() < n) {
      best.insert(v);
      continue;
    }
    auto worst = kMin ? std::prev(best.end()) : best.begin();
    int order = compare(v, *worst);
    if (kMin ? order >= 0 : order <= 0) continue;
    best.erase(worst);
    best.insert(v);
  }
  ArrayBuilder taken(arena, best.size());
  if constexpr (kMin) {
    for (const Value& v : best) taken.add(v);
  } else {
    for (auto at = best.rbegin(); at != best.rend(); ++at) taken.add(*at);
  }
  return taken.finish();
}

class TakeExpression final : public Expression {
 public:
  TakeExpression(TakeFunction take, ExpressionPtr input, ExpressionPtr n)
      : take_(take), input_(std::move(input)), n_(std::move(n)) {}
  Value evaluate(EvalContext& context) const override {
    size_t n = evaluate_n(context);
    Value input = input_->evaluate(context);
    if (!input.is_array())
      fail_evaluation(5788200,
                      "Input must be an array, but is of type " + std::string(input.type_name()));
    return take_(input.as_array().elements(*context.arena), n, *context.arena);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
    n_->add_dependencies(dependencies);
  }

 private:
  size_t evaluate_n(EvalContext& context) const {
    Value v = n_->evaluate(context);
    if (v.is(Type::kDouble) && !(std::fabs(v.as_double()) < 9223372036854775808.0)) {
      fail_evaluation(31109, "Value for 'n' is out of range: " + shown(v));
    }
    if (!v.is_number())
      fail_evaluation(5787902, "Value for 'n' must be a whole number, but is " + shown(v));
    auto n = whole_int64(v);
    // A decimal is whole as the double is that is nearest to it.
    if (!n && v.is(Type::kDecimal)) n = whole_int64(Value::number(v.to_double()));
    if (!n) fail_evaluation(5787903, "Value for 'n' must be a whole number, but is " + shown(v));
    if (*n <= 0)
      fail_evaluation(5787908, "'n' must be greater than 0, but is " + std::to_string(*n));
    return static_cast<size_t>(*n);
  }

  TakeFunction take_;
  ExpressionPtr input_;
  ExpressionPtr n_;
};

template <TakeFunction kTake, int kNotObject>
Result<ExpressionPtr> parse_take(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  if (!operand.is_object())
    return Status(kNotObject, "the argument of " + std::string(name) +
                                  " must be an object, but is " + shown(operand));
  for (const Field& field : operand.as_object()) {
    if (field.name() != "input" && field.name() != "n") {
      return Status(5787901,
                    "Unknown argument of " + std::string(name) + ": " + std::string(field.name()));
    }
  }
  ObjectView parts = operand.as_object();
  if (!parts.has("n")) return Status(5787906, std::string(name) + ": missing value for 'n'");
  if (!parts.has("input"))
    return Status(5787907, std::string(name) + ": missing value for 'input'");
  MR_ASSIGN_OR_RETURN(ExpressionPtr input, parse_expression(parts.get("input"), context));
  MR_ASSIGN_OR_RETURN(ExpressionPtr n, parse_expression(parts.get("n"), context));
  return ExpressionPtr(std::make_unique<TakeExpression>(kTake, std::move(input), std::move(n)));
}

// clang-format off
constexpr std::array kStatisticsExpressions = {
    //            name           arguments        evaluate    parse                             manual page
    ExpressionRow{"$avg",        {0, kAnyNumber}, nullptr,    parse_statistics,                 "aggregation/avg"},
    ExpressionRow{"$first",      {1, 1},          eval_first, nullptr,                          "aggregation/first"},
    ExpressionRow{"$firstN",     {1, 1},          nullptr,    parse_take<take_first, 5787801>,           "aggregation/firstN"},
    ExpressionRow{"$last",       {1, 1},          eval_last,  nullptr,                          "aggregation/last"},
    ExpressionRow{"$lastN",      {1, 1},          nullptr,    parse_take<take_last, 5787801>,            "aggregation/lastN"},
    ExpressionRow{"$max",        {0, kAnyNumber}, nullptr,    parse_statistics,                 "aggregation/max"},
    ExpressionRow{"$maxN",       {1, 1},          nullptr,    parse_take<take_extremes<false>, 5787900>, "aggregation/maxN"},
    ExpressionRow{"$median",     {1, 1},          nullptr,    parse_percentile_expression,      "aggregation/median"},
    ExpressionRow{"$min",        {0, kAnyNumber}, nullptr,    parse_statistics,                 "aggregation/min"},
    ExpressionRow{"$minN",       {1, 1},          nullptr,    parse_take<take_extremes<true>, 5787900>,  "aggregation/minN"},
    ExpressionRow{"$percentile", {1, 1},          nullptr,    parse_percentile_expression,      "aggregation/percentile"},
    ExpressionRow{"$stdDevPop",  {0, kAnyNumber}, nullptr,    parse_statistics,                 "aggregation/stdDevPop"},
    ExpressionRow{"$stdDevSamp", {0, kAnyNumber}, nullptr,    parse_statistics,                 "aggregation/stdDevSamp"},
    ExpressionRow{"$sum",        {0, kAnyNumber}, nullptr,    parse_statistics,                 "aggregation/sum"},
};
// clang-format on
static_assert(sorted_and_unique(kStatisticsExpressions));

}  // namespace

std::span<const ExpressionRow> statistics_expressions() { return kStatisticsExpressions; }

}  // namespace millrace::engine
