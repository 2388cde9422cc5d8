// Set operators: arrays whose order and repetitions do not count. Results of $setUnion and
// $setIntersection come sorted, as MongoDB 6.0.5 has them; the manual leaves their order open.
#include <algorithm>
#include <numeric>

#include "engine/document/compare.h"
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

std::string type_text(const Value& v) { return std::string(v.type_name()); }

// Below this size looking at every element is quicker than sorting.
constexpr size_t kSmall = 8;

bool less(const Value& a, const Value& b) { return compare(a, b) < 0; }

// The elements sorted, the first of equal ones alone, in `arena`.
std::span<Value> sorted_set(const Value& array, Arena& arena) {
  auto elements = array.as_array().elements(arena);
  auto* copy = arena.allocate_array<Value>(elements.size());
  std::copy(elements.begin(), elements.end(), copy);
  std::stable_sort(copy, copy + elements.size(), less);
  auto* end = std::unique(copy, copy + elements.size(), equal);
  return {copy, static_cast<size_t>(end - copy)};
}

// Answers whether an array holds a value.
class Membership {
 public:
  Membership(const Value& array, Arena& arena) : elements_(array.as_array().elements(arena)) {
    if (elements_.size() <= kSmall) return;
    elements_ = sorted_set(array, arena);
    sorted_ = true;
  }
  bool has(const Value& v) const {
    if (sorted_) return std::binary_search(elements_.begin(), elements_.end(), v, less);
    return std::any_of(elements_.begin(), elements_.end(),
                       [&](const Value& element) { return equal(element, v); });
  }

 private:
  std::span<const Value> elements_;
  bool sorted_ = false;
};

Value eval_all_elements_true(EvalContext&, std::span<const Value> arguments) {
  if (!arguments[0].is_array()) {
    fail_evaluation(
        17040, "$allElementsTrue's argument must be an array, but is " + type_text(arguments[0]));
  }
  for (const Value& element : arguments[0].as_array()) {
    if (!element.truthy()) return Value::boolean(false);
  }
  return Value::boolean(true);
}

Value eval_any_element_true(EvalContext&, std::span<const Value> arguments) {
  if (!arguments[0].is_array()) {
    fail_evaluation(
        17041, "$anyElementTrue's argument must be an array, but is " + type_text(arguments[0]));
  }
  for (const Value& element : arguments[0].as_array()) {
    if (element.truthy()) return Value::boolean(true);
  }
  return Value::boolean(false);
}

// Keeps the order of the first array.
Value eval_set_difference(EvalContext& context, std::span<const Value> arguments) {
  const Value& from = arguments[0];
  const Value& taken = arguments[1];
  if (from.is_nullish() || taken.is_nullish()) return Value::null();
  if (!from.is_array())
    fail_evaluation(
        17048, "both operands of $setDifference must be arrays, the first is " + type_text(from));
  if (!taken.is_array())
    fail_evaluation(
        17049, "both operands of $setDifference must be arrays, the second is " + type_text(taken));
  Membership out(taken, *context.arena);
  // Elements that come first among equal ones, in the order in which they came.
  auto elements = from.as_array().elements(*context.arena);
  auto* order = context.arena->allocate_array<uint32_t>(elements.size());
  std::iota(order, order + elements.size(), 0u);
  std::stable_sort(order, order + elements.size(),
                   [&](uint32_t a, uint32_t b) { return less(elements[a], elements[b]); });
  auto* end = std::unique(order, order + elements.size(),
                          [&](uint32_t a, uint32_t b) { return equal(elements[a], elements[b]); });
  std::sort(order, end);
  ArrayBuilder kept(*context.arena, elements.size());
  for (auto* at = order; at != end; ++at) {
    if (!out.has(elements[*at])) kept.add(elements[*at]);
  }
  return kept.finish();
}

// Stops at the first difference: what follows is not looked at.
Value eval_set_equals(EvalContext& context, std::span<const Value> arguments) {
  std::span<Value> first;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].is_array()) {
      fail_evaluation(17044, "All operands of $setEquals must be arrays, number " +
                                 std::to_string(i + 1) + " is " + type_text(arguments[i]));
    }
    auto set = sorted_set(arguments[i], *context.arena);
    if (i == 0) first = set;
    if (!std::equal(first.begin(), first.end(), set.begin(), set.end(), equal))
      return Value::boolean(false);
  }
  return Value::boolean(true);
}

Result<ExpressionPtr> parse_set_equals(std::string_view name, const Value& operand,
                                       ParseContext& context) {
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {0, kAnyNumber}, context));
  if (arguments.size() < 2) {
    return Status(17045, "$setEquals needs two arguments or more, but has " +
                             std::to_string(arguments.size()));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Value* constant = arguments[i]->constant();
    if (constant == nullptr || constant->is_array() || context.failed_constant) continue;
    context.failed_constant =
        Status(5887502, "All operands of $setEquals must be arrays, number " +
                            std::to_string(i + 1) + " is " + type_text(*constant));
  }
  // The first constant is what the others are compared with.
  auto constant = std::find_if(arguments.begin(), arguments.end(),
                               [](const auto& e) { return e->constant() != nullptr; });
  if (constant != arguments.end()) std::rotate(arguments.begin(), constant, constant + 1);
  return make_ordered_call(eval_set_equals, std::move(arguments), context);
}

// Of equal elements the one of the first array is kept.
Value eval_set_intersection(EvalContext& context, std::span<const Value> arguments) {
  std::span<Value> common;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].is_nullish()) return Value::null();
    if (!arguments[i].is_array()) {
      fail_evaluation(17047, "All operands of $setIntersection must be arrays, one is " +
                                 type_text(arguments[i]));
    }
    auto set = sorted_set(arguments[i], *context.arena);
    if (i > 0) {
      auto* both = context.arena->allocate_array<Value>(std::min(set.size(), common.size()));
      auto* end =
          std::set_intersection(common.begin(), common.end(), set.begin(), set.end(), both, less);
      set = {both, static_cast<size_t>(end - both)};
    }
    common = set;
  }
  return Value::array(common);
}

Value is_subset(EvalContext& context, const Value& part, const Value& whole, int part_code) {
  if (!part.is_array())
    fail_evaluation(
        part_code, "both operands of $setIsSubset must be arrays, the first is " + type_text(part));
  if (!whole.is_array())
    fail_evaluation(
        17042, "both operands of $setIsSubset must be arrays, the second is " + type_text(whole));
  Membership members(whole, *context.arena);
  for (const Value& element : part.as_array()) {
    if (!members.has(element)) return Value::boolean(false);
  }
  return Value::boolean(true);
}

Value eval_set_is_subset(EvalContext& context, std::span<const Value> arguments) {
  return is_subset(context, arguments[0], arguments[1], 17046);
}
Value eval_set_is_subset_of_constant(EvalContext& context, std::span<const Value> arguments) {
  return is_subset(context, arguments[0], arguments[1], 17310);
}

// The server has codes of its own where the second operand alone is a constant.
Result<ExpressionPtr> parse_set_is_subset(std::string_view name, const Value& operand,
                                          ParseContext& context) {
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {2, 2}, context));
  const Value* whole = arguments[1]->constant();
  if (whole == nullptr || arguments[0]->constant() != nullptr)
    return make_call(eval_set_is_subset, std::move(arguments), true, context);
  if (!whole->is_array() && !context.failed_constant) {
    context.failed_constant = Status(
        17311, "both operands of $setIsSubset must be arrays, the second is " + type_text(*whole));
  }
  return make_call(eval_set_is_subset_of_constant, std::move(arguments), true, context);
}

Value eval_set_union(EvalContext& context, std::span<const Value> arguments) {
  ArrayBuilder all(*context.arena, 16);
  for (const Value& array : arguments) {
    if (array.is_nullish()) return Value::null();
    if (!array.is_array())
      fail_evaluation(17043,
                      "All operands of $setUnion must be arrays, one is " + type_text(array));
    for (const Value& element : array.as_array()) all.add(element);
  }
  return Value::array(sorted_set(all.finish(), *context.arena));
}

// clang-format off
constexpr std::array kSetExpressions = {
    //            name                arguments        evaluate                parse             manual page
    ExpressionRow{"$allElementsTrue", {1, 1},          eval_all_elements_true, nullptr,          "aggregation/allElementsTrue"},
    ExpressionRow{"$anyElementTrue",  {1, 1},          eval_any_element_true,  nullptr,          "aggregation/anyElementTrue"},
    ExpressionRow{"$setDifference",   {2, 2},          eval_set_difference,    nullptr,          "aggregation/setDifference"},
    ExpressionRow{"$setEquals",       {2, kAnyNumber}, nullptr,                parse_set_equals, "aggregation/setEquals"},
    ExpressionRow{"$setIntersection", {0, kAnyNumber}, eval_set_intersection,  nullptr,          "aggregation/setIntersection"},
    ExpressionRow{"$setIsSubset",     {1, 1},          nullptr,                parse_set_is_subset, "aggregation/setIsSubset"},
    ExpressionRow{"$setUnion",        {0, kAnyNumber}, eval_set_union,         nullptr,          "aggregation/setUnion"},
};
// clang-format on
static_assert(sorted_and_unique(kSetExpressions));

}  // namespace

std::span<const ExpressionRow> set_expressions() { return kSetExpressions; }

}  // namespace millrace::engine
