// Array operators whose arguments are all evaluated first, and the table of the family.
#include "engine/expression/array.h"

#include <algorithm>

#include "engine/document/compare.h"
#include "engine/expression/families.h"
#include "engine/expression/limits.h"
#include "engine/expression/number.h"

namespace millrace::engine {

namespace {

std::string type_text(const Value& v) { return std::string(v.type_name()); }

bool any_nullish(std::span<const Value> values) {
  return std::any_of(values.begin(), values.end(), [](const Value& v) { return v.is_nullish(); });
}

Value eval_array_elem_at(EvalContext&, std::span<const Value> arguments) {
  const Value& array = arguments[0];
  const Value& position = arguments[1];
  if (array.is_nullish() || position.is_nullish()) return Value::null();
  if (!array.is_array()) {
    fail_evaluation(28689,
                    "$arrayElemAt's first argument must be an array, but is " + type_text(array));
  }
  if (!position.is_number()) {
    fail_evaluation(
        28690, "$arrayElemAt's second argument must be a number, but is " + type_text(position));
  }
  auto index = whole_int32(position);
  if (!index)
    fail_evaluation(28691,
                    "$arrayElemAt's second argument must fit a 32-bit integer: " + shown(position));
  if (*index >= 0) return array.as_array().at(*index);
  int64_t from_start = static_cast<int64_t>(array.as_array().size()) + *index;
  return from_start < 0 ? Value() : array.as_array().at(from_start);
}

[[noreturn]] void fail_pair_form(int code, const Value& found) {
  fail_evaluation(code,
                  "$arrayToObject requires its elements to be all arrays or all objects; found " +
                      type_text(found) + " after the other kind");
}

// [key, value].
void add_pair_array(const Value& pair, ObjectBuilder& object) {
  if (!pair.is_array()) fail_pair_form(40396, pair);
  if (size_t size = pair.as_array().size(); size != 2) {
    fail_evaluation(40397, "$arrayToObject requires arrays of two elements, found one of size " +
                               std::to_string(size));
  }
  Value key = pair.as_array().at(0);
  if (!key.is_string()) {
    fail_evaluation(
        40395, "$arrayToObject requires the key of a pair to be a string, found " + type_text(key));
  }
  if (key.as_string().find('\0') != std::string_view::npos)
    fail_evaluation(4940400, "a field name cannot contain a null byte");
  object.set(key.as_string(), pair.as_array().at(1));
}

// {k: key, v: value}, in either order.
void add_pair_object(const Value& pair, ObjectBuilder& object) {
  if (!pair.is_object()) fail_pair_form(40391, pair);
  if (size_t size = pair.as_object().size(); size != 2) {
    fail_evaluation(
        40392, "$arrayToObject requires objects with the two keys 'k' and 'v', found one with " +
                   std::to_string(size));
  }
  Value key = pair.as_object().get("k");
  Value value = pair.as_object().get("v");
  if (key.is_missing() || value.is_missing()) {
    fail_evaluation(
        40393, "$arrayToObject requires objects with the keys 'k' and 'v', found " + shown(pair));
  }
  if (!key.is_string()) {
    fail_evaluation(
        40394, "$arrayToObject requires the value of 'k' to be a string, found " + type_text(key));
  }
  if (key.as_string().find('\0') != std::string_view::npos)
    fail_evaluation(4940401, "a field name cannot contain a null byte");
  object.set(key.as_string(), value);
}

Value eval_array_to_object(EvalContext& context, std::span<const Value> arguments) {
  const Value& pairs = arguments[0];
  if (pairs.is_nullish()) return Value::null();
  if (!pairs.is_array())
    fail_evaluation(40386, "$arrayToObject requires an array, found: " + type_text(pairs));
  ObjectBuilder object(*context.arena);
  Type form = Type::kMissing;
  for (const Value& pair : pairs.as_array()) {
    if (form == Type::kMissing) form = pair.type();
    if (form == Type::kArray) {
      add_pair_array(pair, object);
    } else if (form == Type::kObject) {
      add_pair_object(pair, object);
    } else {
      fail_evaluation(
          40398, "$arrayToObject cannot read its input: an element is of type " + type_text(pair));
    }
  }
  return object.finish();
}

Value eval_concat_arrays(EvalContext& context, std::span<const Value> arguments) {
  ArrayBuilder joined(*context.arena, 16);
  for (const Value& array : arguments) {
    if (array.is_nullish()) return Value::null();
    if (!array.is_array())
      fail_evaluation(28664, "$concatArrays only supports arrays, not " + type_text(array));
    if (array.is_tree())
      check_array_size(context, "$concatArrays", joined.size() + array.payload_size());
    for (const Value& element : array.as_array()) joined.add(element);
  }
  return joined.finish();
}

Value eval_in(EvalContext&, std::span<const Value> arguments) {
  if (!arguments[1].is_array()) {
    fail_evaluation(
        40081, "$in requires an array as its second argument, found: " + type_text(arguments[1]));
  }
  for (const Value& element : arguments[1].as_array()) {
    if (equal(arguments[0], element)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

// A bound of the search in $indexOfArray.
size_t search_bound(const Value& bound, const char* which) {
  auto index = whole_int32(bound);
  if (!index) {
    fail_evaluation(9711600, std::string("$indexOfArray requires a whole number as its ") + which +
                                 " index, found " + type_text(bound) + " " + shown(bound));
  }
  if (*index < 0) {
    fail_evaluation(9711601, std::string("$indexOfArray requires a ") + which +
                                 " index that is not negative, found: " + shown(bound));
  }
  return static_cast<size_t>(*index);
}

Value eval_index_of_array(EvalContext&, std::span<const Value> arguments) {
  const Value& array = arguments[0];
  if (array.is_nullish()) return Value::null();
  if (!array.is_array()) {
    fail_evaluation(
        40090, "$indexOfArray requires an array as its first argument, found: " + type_text(array));
  }
  if (arguments.size() == 1) return Value::int32(-1);  // the others failed: see OrderedCall
  size_t start = arguments.size() > 2 ? search_bound(arguments[2], "starting") : 0;
  size_t end = arguments.size() > 3 ? search_bound(arguments[3], "ending") : SIZE_MAX;
  size_t i = 0;
  for (const Value& element : array.as_array()) {
    if (i >= end) break;
    if (i >= start && equal(element, arguments[1])) return Value::int32(static_cast<int32_t>(i));
    ++i;
  }
  return Value::int32(-1);
}

Result<ExpressionPtr> parse_index_of_array(std::string_view name, const Value& operand,
                                           ParseContext& context) {
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {2, 4}, context));
  const Value* array = arguments[0]->constant();
  bool others_vary = std::any_of(arguments.begin(), arguments.end(),
                                 [](const auto& e) { return e->constant() == nullptr; });
  if (array != nullptr && others_vary && !array->is_nullish() && !array->is_array() &&
      !context.failed_constant) {
    context.failed_constant = Status(
        50809, "First operand of $indexOfArray must be an array. First argument is of type: " +
                   type_text(*array));
  }
  return make_ordered_call(eval_index_of_array, std::move(arguments), context);
}

Value eval_is_array(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(arguments[0].is_array());
}

// One argument of $range; `code` for a value that is no number, the next one for a number that is
// not whole.
int64_t range_argument(const Value& v, const char* what, int code) {
  if (!v.is_number())
    fail_evaluation(code,
                    std::string("$range requires a numeric ") + what + ", found " + type_text(v));
  auto number = whole_int32(v);
  if (!number) {
    fail_evaluation(code + 1, std::string("$range requires a ") + what +
                                  " that fits a 32-bit integer, found: " + shown(v));
  }
  return *number;
}

Value eval_range(EvalContext& context, std::span<const Value> arguments) {
  int64_t start = range_argument(arguments[0], "starting value", 34443);
  int64_t end = range_argument(arguments[1], "ending value", 34445);
  int64_t step = arguments.size() > 2 ? range_argument(arguments[2], "step value", 34447) : 1;
  if (step == 0) fail_evaluation(34449, "$range requires a step value other than zero");
  int64_t distance = step > 0 ? end - start : start - end;
  int64_t stride = step > 0 ? step : -step;
  if (distance <= 0) return Value::array({});
  int64_t count = (distance + stride - 1) / stride;
  check_array_size(context, "$range", static_cast<size_t>(count));
  auto* elements = context.arena->allocate_array<Value>(count);
  for (int64_t i = 0; i < count; ++i)
    elements[i] = Value::int32(static_cast<int32_t>(start + i * step));
  return Value::array({elements, static_cast<size_t>(count)});
}

Value eval_reverse_array(EvalContext& context, std::span<const Value> arguments) {
  const Value& array = arguments[0];
  if (array.is_nullish()) return Value::null();
  if (!array.is_array()) {
    fail_evaluation(34435, "$reverseArray's argument must be an array, but is " + type_text(array));
  }
  auto elements = array.as_array().elements(*context.arena);
  auto* reversed = context.arena->allocate_array<Value>(elements.size());
  std::reverse_copy(elements.begin(), elements.end(), reversed);
  return Value::array({reversed, elements.size()});
}

Value eval_size(EvalContext&, std::span<const Value> arguments) {
  if (!arguments[0].is_array()) {
    fail_evaluation(
        17124, "$size's argument must be an array, but is of type: " + type_text(arguments[0]));
  }
  return Value::integer(static_cast<int64_t>(arguments[0].as_array().size()));
}

// An argument of $slice; `code` for a value that is no number, the next one for a number that is
// not whole.
int64_t slice_argument(const Value& v, const char* which, int code) {
  if (!v.is_number()) {
    fail_evaluation(code,
                    std::string(which) +
                        " argument of $slice must be a number, but is of type: " + type_text(v));
  }
  auto number = whole_int32(v);
  if (!number)
    fail_evaluation(code + 1, std::string(which) +
                                  " argument of $slice must fit a 32-bit integer: " + shown(v));
  return *number;
}

// [array, n]: the first n, or the last -n. [array, position, n]: n from the position, which may
// count from the end.
Value eval_slice(EvalContext& context, std::span<const Value> arguments) {
  if (arguments.size() == 1) return Value::int32(0);  // the others failed: see OrderedCall
  if (any_nullish(arguments.first(2))) return Value::null();
  const Value& array = arguments[0];
  if (!array.is_array())
    fail_evaluation(
        28724, "First argument of $slice must be an array, but is of type: " + type_text(array));
  int64_t first = slice_argument(arguments[1], "Second", 28725);
  auto elements = array.as_array().elements(*context.arena);
  auto size = static_cast<int64_t>(elements.size());
  int64_t from;
  int64_t to;
  if (arguments.size() == 2) {
    from = first >= 0 ? 0 : std::max<int64_t>(0, size + first);
    to = first >= 0 ? std::min(size, first) : size;
  } else {
    if (arguments[2].is_nullish()) return Value::null();
    int64_t count = slice_argument(arguments[2], "Third", 28727);
    if (count <= 0)
      fail_evaluation(28729, "Third argument of $slice must be positive: " + std::to_string(count));
    from = first >= 0 ? std::min(size, first) : std::max<int64_t>(0, size + first);
    to = std::min(size, from + count);
  }
  return Value::array(elements.subspan(from, to - from));
}

// clang-format off
constexpr std::array kArrayExpressions = {
    //            name                    arguments        evaluate              parse           manual page
    ExpressionRow{"$arrayElemAt",         {2, 2},          eval_array_elem_at,   nullptr,        "aggregation/arrayElemAt"},
    ExpressionRow{"$arrayToObject",       {1, 1},          eval_array_to_object, nullptr,        "aggregation/arrayToObject"},
    ExpressionRow{"$concatArrays",        {0, kAnyNumber}, eval_concat_arrays,   nullptr,        "aggregation/concatArrays"},
    ExpressionRow{"$filter",              {1, 1},          nullptr,              parse_filter,   "aggregation/filter"},
    ExpressionRow{"$in",                  {2, 2},          eval_in,              nullptr,        "aggregation/in"},
    ExpressionRow{"$indexOfArray",        {1, 1},          nullptr,              parse_index_of_array, "aggregation/indexOfArray"},
    ExpressionRow{"$isArray",             {1, 1},          eval_is_array,        nullptr,        "aggregation/isArray"},
    ExpressionRow{"$map",                 {1, 1},          nullptr,              parse_map,      "aggregation/map"},
    ExpressionRow{"$range",               {2, 3},          eval_range,           nullptr,        "aggregation/range"},
    ExpressionRow{"$reduce",              {1, 1},          nullptr,              parse_reduce,   "aggregation/reduce"},
    ExpressionRow{"$reverseArray",        {1, 1},          eval_reverse_array,   nullptr,        "aggregation/reverseArray"},
    ExpressionRow{"$size",                {1, 1},          eval_size,            nullptr,        "aggregation/size"},
    ExpressionRow{"$slice",               {2, 3},          eval_slice,           nullptr,        "aggregation/slice"},
    ExpressionRow{"$sortArray",           {1, 1},          nullptr,              parse_sort_array, "aggregation/sortArray"},
    ExpressionRow{"$zip",                 {1, 1},          nullptr,              parse_zip,      "aggregation/zip"},
};
// clang-format on
static_assert(sorted_and_unique(kArrayExpressions));

}  // namespace

std::span<const ExpressionRow> array_expressions() { return kArrayExpressions; }

}  // namespace millrace::engine
