// $sortArray and $zip.
#include <algorithm>
#include <optional>

#include "engine/document/compare.h"
#include "engine/expression/array.h"
#include "engine/expression/limits.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

// The order of $sortArray: by the whole element, or by fields of elements that are objects.
struct ElementOrder {
  struct Part {
    FieldPath path;
    bool descending;
  };
  bool descending = false;  // of the whole element, when there are no parts
  std::vector<Part> parts;

  // Unlike $sort this does not look into arrays on the way: what stands behind one counts as null,
  // as does a missing field.
  static Value field(const Value& element, const FieldPath& path) {
    Value v = element;
    for (std::string_view part : path.parts) {
      if (!v.is_object()) return Value::null();
      v = v.as_object().get(part);
    }
    return v.is_missing() ? Value::null() : v;
  }

  bool less(const Value& a, const Value& b) const {
    if (parts.empty()) {
      int order = compare(a, b);
      return descending ? order > 0 : order < 0;
    }
    for (const Part& part : parts) {
      if (int order = compare(field(a, part.path), field(b, part.path)))
        return part.descending ? order > 0 : order < 0;
    }
    return false;
  }
};

// 1 gives false, -1 gives true, anything else nothing.
std::optional<bool> parse_direction(const Value& v) {
  if (!v.is_number()) return std::nullopt;
  auto number = whole_int64(v);
  if (!number || (*number != 1 && *number != -1)) return std::nullopt;
  return *number == -1;
}

Result<ElementOrder> parse_order(const Value& spec, ParseContext& context) {
  ElementOrder order;
  if (spec.is_number()) {
    auto descending = parse_direction(spec);
    if (!descending)
      return Status(2942506, "sortBy of $sortArray must be 1 or -1 to sort whole elements");
    order.descending = *descending;
    return order;
  }
  if (!spec.is_object()) {
    return Status(2942507,
                  "sortBy of $sortArray must be 1 or -1 for whole elements, or {field: 1 or -1} "
                  "for fields of objects");
  }
  for (const Field& field : spec.as_object()) {
    auto descending = parse_direction(field.value);
    if (!descending) return Status(2942505, "the value of a field in sortBy must be 1 or -1");
    auto path = parse_field_path(field.name(), context.names());
    if (!path.ok()) return Status(2942505, "sortBy of $sortArray: " + path.status().message());
    order.parts.push_back({std::move(path).value(), *descending});
  }
  if (order.parts.empty()) return Status(2942505, "sortBy of $sortArray names no field");
  return order;
}

class SortArrayExpression final : public Expression {
 public:
  SortArrayExpression(ExpressionPtr input, ElementOrder order)
      : input_(std::move(input)), order_(std::move(order)) {}
  Value evaluate(EvalContext& context) const override {
    Value input = input_->evaluate(context);
    if (input.is_nullish()) return Value::null();
    if (!input.is_array()) {
      fail_evaluation(2942504, "the input of $sortArray must be an array, but is of type: " +
                                   std::string(input.type_name()));
    }
    auto elements = input.as_array().elements(*context.arena);
    auto* sorted = context.arena->allocate_array<Value>(elements.size());
    std::copy(elements.begin(), elements.end(), sorted);
    std::stable_sort(sorted, sorted + elements.size(),
                     [this](const Value& a, const Value& b) { return order_.less(a, b); });
    return Value::array({sorted, elements.size()});
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
  }

 private:
  ExpressionPtr input_;
  ElementOrder order_;
};

class ZipExpression final : public Expression {
 public:
  ZipExpression(std::vector<ExpressionPtr> inputs, bool longest,
                std::vector<ExpressionPtr> defaults)
      : inputs_(std::move(inputs)), longest_(longest), defaults_(std::move(defaults)) {}

  Value evaluate(EvalContext& context) const override {
    auto* columns = context.arena->allocate_array<std::span<const Value>>(inputs_.size());
    size_t rows = 0;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Value input = inputs_[i]->evaluate(context);
      if (input.is_nullish()) return Value::null();
      if (!input.is_array())
        fail_evaluation(34468, "$zip found an input that is not an array: " + shown(input));
      columns[i] = input.as_array().elements(*context.arena);
      rows = i == 0 ? columns[i].size()
                    : (longest_ ? std::max(rows, columns[i].size())
                                : std::min(rows, columns[i].size()));
    }
    Value* fill = evaluate_defaults(context);
    check_array_size(context, "$zip", rows * (inputs_.size() + 1));
    ArrayBuilder zipped(*context.arena, rows);
    for (size_t row = 0; row < rows; ++row) {
      ArrayBuilder cells(*context.arena, inputs_.size());
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const Value& cell = row < columns[i].size() ? columns[i][row] : fill[i];
        if (!cell.is_missing()) cells.add(cell);
      }
      zipped.add(cells.finish());
    }
    return checked_depth(zipped.finish());
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& input : inputs_) input->add_dependencies(dependencies);
    for (const auto& value : defaults_) value->add_dependencies(dependencies);
  }

 private:
  // What stands for the elements that a shorter input lacks. A default that is missing leaves its
  // place out, as in 6.0.5.
  Value* evaluate_defaults(EvalContext& context) const {
    auto* fill = context.arena->allocate_array<Value>(inputs_.size());
    for (size_t i = 0; i < inputs_.size(); ++i) {
      fill[i] = defaults_.empty() ? Value::null() : defaults_[i]->evaluate(context);
    }
    return fill;
  }

  std::vector<ExpressionPtr> inputs_;
  bool longest_;
  std::vector<ExpressionPtr> defaults_;  // empty: null for all
};

}  // namespace

Result<ExpressionPtr> parse_sort_array(std::string_view, const Value& operand,
                                       ParseContext& context) {
  if (!operand.is_object()) {
    return Status(2942500, "$sortArray requires an object as its argument, found: " +
                               std::string(operand.type_name()));
  }
  for (const Field& field : operand.as_object()) {
    if (field.name() != "input" && field.name() != "sortBy") {
      return Status(2942501, "$sortArray found an unknown argument: " + std::string(field.name()));
    }
  }
  ObjectView parts = operand.as_object();
  if (!parts.has("input")) return Status(2942502, "$sortArray requires 'input' to be specified");
  if (!parts.has("sortBy")) return Status(2942503, "$sortArray requires 'sortBy' to be specified");
  MR_ASSIGN_OR_RETURN(ExpressionPtr input, parse_expression(parts.get("input"), context));
  MR_ASSIGN_OR_RETURN(ElementOrder order, parse_order(parts.get("sortBy"), context));
  return ExpressionPtr(std::make_unique<SortArrayExpression>(std::move(input), std::move(order)));
}

Result<ExpressionPtr> parse_zip(std::string_view name, const Value& operand,
                                ParseContext& context) {
  if (!operand.is_object()) {
    return Status(34460, "$zip only supports an object as its argument, found " +
                             std::string(operand.type_name()));
  }
  std::vector<ExpressionPtr> inputs;
  std::vector<ExpressionPtr> defaults;
  bool longest = false;
  for (const Field& field : operand.as_object()) {
    if (field.name() == "inputs") {
      if (!field.value.is_array()) return Status(34461, "inputs must be an array of expressions");
      MR_ASSIGN_OR_RETURN(inputs, parse_arguments(name, field.value, {0, kAnyNumber}, context));
    } else if (field.name() == "defaults") {
      if (!field.value.is_array()) return Status(34462, "defaults must be an array of expressions");
      MR_ASSIGN_OR_RETURN(defaults, parse_arguments(name, field.value, {0, kAnyNumber}, context));
    } else if (field.name() == "useLongestLength") {
      if (!field.value.is(Type::kBool)) return Status(34463, "useLongestLength must be a bool");
      longest = field.value.as_bool();
    } else {
      return Status(34464, "$zip found an unknown argument: " + std::string(field.name()));
    }
  }
  if (inputs.empty()) return Status(34465, "$zip requires at least one input array");
  if (!defaults.empty() && !longest)
    return Status(34466, "defaults may only be given when useLongestLength is true");
  if (!defaults.empty() && defaults.size() != inputs.size())
    return Status(34467, "defaults and inputs must have the same length");
  return ExpressionPtr(
      std::make_unique<ZipExpression>(std::move(inputs), longest, std::move(defaults)));
}

}  // namespace millrace::engine
