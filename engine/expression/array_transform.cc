// $map, $filter and $reduce: an expression applied to each element, which it sees as a variable.
#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "engine/expression/array.h"
#include "engine/expression/limits.h"
#include "engine/expression/number.h"
#include "engine/expression/variable_name.h"

namespace millrace::engine {
namespace {

constexpr size_t kNoSlot = std::numeric_limits<size_t>::max();

// Bounds what one evaluation may cost: loops within loops over long arrays would otherwise hold
// their thread for ever. One stands in each loop and counts for all loops around it. The number of
// steps is what ends most of them, because it does not depend on the machine; the time is for steps
// that are long by themselves.
class LoopSteps {
 public:
  LoopSteps() {
    if (work_.loops++ == 0) work_ = {.loops = 1};
  }
  LoopSteps(const LoopSteps&) = delete;
  LoopSteps& operator=(const LoopSteps&) = delete;
  ~LoopSteps() { --work_.loops; }

  // Before each element. Errors: 50 when the evaluation takes too long, 146 when it has filled the
  // arena.
  void next(const EvalContext& context) {
    check_memory(context, 0);
    if (++work_.steps % kStepsPerLook == 0) look();
  }

 private:
  static constexpr uint64_t kMaxSteps = 50'000'000;
  static constexpr auto kMaxTime = std::chrono::seconds(10);
  static constexpr uint64_t kStepsPerLook = 64;

  struct Work {
    int loops = 0;
    uint64_t steps = 0;
    std::chrono::steady_clock::time_point started;
  };

  static void look() {
    auto now = std::chrono::steady_clock::now();
    if (work_.steps == kStepsPerLook) work_.started = now;
    if (work_.steps > kMaxSteps || now - work_.started > kMaxTime) {
      constexpr int kMaxTimeExpired = 50;
      fail_evaluation(kMaxTimeExpired, "the loops of one evaluation took more than " +
                                           std::to_string(kMaxSteps) + " steps or " +
                                           std::to_string(kMaxTime.count()) + " seconds");
    }
  }

  static thread_local Work work_;
};
thread_local LoopSteps::Work LoopSteps::work_;

// The variables of one loop.
struct LoopSlots {
  size_t element = kNoSlot;
  size_t value = kNoSlot;  // $reduce only
  size_t index = kNoSlot;

  void set(EvalContext& context, const Value& v, size_t i) const {
    context.variables[element] = v;
    context.variables[index] = Value::integer(static_cast<int64_t>(i));
  }
};

// Names one optional argument gives to a variable, or `otherwise`. Errors: 9 for a name that no
// variable may have.
Result<std::string> variable_name(const Value& operand, std::string_view argument,
                                  std::string_view otherwise) {
  Value given = operand.as_object().get(argument);
  if (given.is_missing()) return std::string(otherwise);
  std::string name(given.is_string() ? given.as_string() : "");
  MR_RETURN_IF_ERROR(check_variable_name(name));
  return name;
}

// Parses `body` where the loop's variables are bound: the element under `as`, the running value
// under `valueAs` (when `has_value`), the index under `arrayIndexAs` or, without it, as $$IDX.
Result<ExpressionPtr> parse_loop_body(std::string_view name, const Value& operand,
                                      const Value& body, bool has_value, LoopSlots& slots,
                                      ParseContext& context) {
  MR_ASSIGN_OR_RETURN(std::string element, variable_name(operand, "as", "this"));
  MR_ASSIGN_OR_RETURN(std::string index, variable_name(operand, "arrayIndexAs", "IDX"));
  std::string value;
  if (has_value) {
    MR_ASSIGN_OR_RETURN(value, variable_name(operand, "valueAs", "value"));
  }
  if (element == index || (has_value && (value == element || value == index))) {
    return Status(has_value           ? 9298401
                  : name == "$filter" ? 9375802
                                      : 9375801,
                  std::string(name) + " gives one name to two variables");
  }
  slots.index = context.define_variable(index);
  if (has_value) slots.value = context.define_variable(value);
  slots.element = context.define_variable(element);
  auto parsed = parse_expression(body, context);
  context.end_variables(has_value ? 3 : 2);
  return parsed;
}

// The operand of one operator: an object with known fields. `missing_code` of a required one.
struct LoopArgument {
  std::string_view name;
  int missing_code;  // 0: optional
};
Status check_loop_operand(std::string_view name, const Value& operand,
                          std::span<const LoopArgument> arguments, int not_object, int unknown) {
  if (!operand.is_object()) {
    return Status(not_object, std::string(name) +
                                  " only supports an object as its argument, found: " +
                                  std::string(operand.type_name()));
  }
  for (const Field& field : operand.as_object()) {
    if (std::none_of(arguments.begin(), arguments.end(),
                     [&](const LoopArgument& a) { return a.name == field.name(); })) {
      return Status(unknown, "Unrecognized parameter to " + std::string(name) + ": " +
                                 std::string(field.name()));
    }
  }
  for (const LoopArgument& argument : arguments) {
    if (argument.missing_code != 0 && !operand.as_object().has(argument.name)) {
      return Status(argument.missing_code, "Missing '" + std::string(argument.name) +
                                               "' parameter to " + std::string(name));
    }
  }
  return {};
}

class MapExpression final : public Expression {
 public:
  MapExpression(ExpressionPtr input, ExpressionPtr in, LoopSlots slots)
      : input_(std::move(input)), in_(std::move(in)), slots_(slots) {}
  Value evaluate(EvalContext& context) const override {
    Value input = input_->evaluate(context);
    if (input.is_nullish()) return Value::null();
    if (!input.is_array())
      fail_evaluation(16883,
                      "input to $map must be an array, not " + std::string(input.type_name()));
    ArrayBuilder mapped(*context.arena, input.is_tree() ? input.payload_size() : 8);
    size_t i = 0;
    LoopSteps steps;
    for (const Value& element : input.as_array()) {
      steps.next(context);
      slots_.set(context, element, i++);
      Value v = in_->evaluate(context);
      mapped.add(v.is_missing() ? Value::null() : v);
    }
    return checked_depth(mapped.finish());
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
    in_->add_dependencies(dependencies);
  }

 private:
  ExpressionPtr input_;
  ExpressionPtr in_;
  LoopSlots slots_;
};

class FilterExpression final : public Expression {
 public:
  FilterExpression(ExpressionPtr input, ExpressionPtr condition, ExpressionPtr limit,
                   LoopSlots slots)
      : input_(std::move(input)),
        condition_(std::move(condition)),
        limit_(std::move(limit)),
        slots_(slots) {}
  Value evaluate(EvalContext& context) const override {
    Value input = input_->evaluate(context);
    if (input.is_nullish()) return Value::null();
    if (!input.is_array())
      fail_evaluation(28651,
                      "input to $filter must be an array, not " + std::string(input.type_name()));
    if (input.as_array().empty()) return input;  // whatever the limit
    size_t limit = limit_ == nullptr ? SIZE_MAX : evaluate_limit(context);
    ArrayBuilder kept(*context.arena);
    size_t i = 0;
    LoopSteps steps;
    for (const Value& element : input.as_array()) {
      steps.next(context);
      slots_.set(context, element, i++);
      if (!condition_->evaluate(context).truthy()) continue;
      kept.add(element);
      if (kept.size() == limit) break;
    }
    return kept.finish();
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
    condition_->add_dependencies(dependencies);
    if (limit_ != nullptr) limit_->add_dependencies(dependencies);
  }

 private:
  size_t evaluate_limit(EvalContext& context) const {
    Value limit = limit_->evaluate(context);
    if (limit.is_nullish()) return SIZE_MAX;
    auto number = whole_int32(limit);
    if (!number)
      fail_evaluation(327391, "$filter: limit must be a whole number of 32 bits: " + shown(limit));
    if (*number < 1)
      fail_evaluation(327392, "$filter: limit must be greater than 0: " + std::to_string(*number));
    return static_cast<size_t>(*number);
  }

  ExpressionPtr input_;
  ExpressionPtr condition_;
  ExpressionPtr limit_;  // nullptr: none
  LoopSlots slots_;
};

// Where a $reduce works: in the batch's arena, until the values that it has passed over fill it.
// Then in arenas of its own, from one to the other with the current value alone, so that memory
// stays within a few times the largest value.
class RollingArena {
 public:
  explicit RollingArena(EvalContext& context)
      : context_(context), home_(context.arena), limit_(home_->capacity_bytes() + kStepBytes) {}
  RollingArena(const RollingArena&) = delete;
  RollingArena& operator=(const RollingArena&) = delete;
  ~RollingArena() { context_.arena = home_; }

  Value keep(const Value& value) {
    if (context_.arena->capacity_bytes() <= limit_) [[likely]]
      return value;
    auto& next = context_.arena == own_[0].get() ? own_[1] : own_[0];
    if (next == nullptr) next = std::make_unique<Arena>();
    next->reset();
    Value moved = copy(value, *next);
    context_.arena = next.get();
    limit_ = 4 * next->capacity_bytes() + kStepBytes;
    return moved;
  }
  // Requires: what keep() has returned last. Ends the work.
  Value take_home(const Value& value) {
    if (context_.arena == home_) return value;
    context_.arena = home_;
    return copy(value, *home_);
  }

 private:
  static constexpr size_t kStepBytes = 64 << 20;

  // A value may hold one part in many places, and be larger than its memory.
  static Value copy(const Value& value, Arena& to) {
    const Field holder("", value);
    if (bson_size(Value::object({&holder, 1})) > kMaxTreeBytes)
      fail_evaluation(ErrorCode::kExceededMemoryLimit, "$reduce's value is larger than 64 MB");
    return deep_copy(value, to);
  }

  EvalContext& context_;
  Arena* home_;
  size_t limit_;
  std::unique_ptr<Arena> own_[2];
};

class ReduceExpression final : public Expression {
 public:
  ReduceExpression(ExpressionPtr input, ExpressionPtr initial, ExpressionPtr in, LoopSlots slots)
      : input_(std::move(input)), initial_(std::move(initial)), in_(std::move(in)), slots_(slots) {}
  Value evaluate(EvalContext& context) const override {
    Value input = input_->evaluate(context);
    if (input.is_nullish()) return Value::null();
    if (!input.is_array())
      fail_evaluation(40080, "$reduce requires that 'input' is an array, found: " + shown(input));
    Value value = initial_->evaluate(context);
    RollingArena arena(context);
    size_t i = 0;
    LoopSteps steps;
    for (const Value& element : input.as_array()) {
      steps.next(context);
      slots_.set(context, element, i++);
      context.variables[slots_.value] = value;
      value = arena.keep(checked_depth(in_->evaluate(context)));
    }
    return arena.take_home(value);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
    initial_->add_dependencies(dependencies);
    in_->add_dependencies(dependencies);
  }

 private:
  ExpressionPtr input_;
  ExpressionPtr initial_;
  ExpressionPtr in_;
  LoopSlots slots_;
};

}  // namespace

Result<ExpressionPtr> parse_map(std::string_view name, const Value& operand,
                                ParseContext& context) {
  static constexpr std::array<LoopArgument, 4> kArguments = {
      {{"input", 16880}, {"in", 16882}, {"as", 0}, {"arrayIndexAs", 0}}};
  MR_RETURN_IF_ERROR(check_loop_operand(name, operand, kArguments, 16878, 16879));
  MR_ASSIGN_OR_RETURN(ExpressionPtr input,
                      parse_expression(operand.as_object().get("input"), context));
  LoopSlots slots;
  MR_ASSIGN_OR_RETURN(
      ExpressionPtr in,
      parse_loop_body("$map", operand, operand.as_object().get("in"), false, slots, context));
  return ExpressionPtr(std::make_unique<MapExpression>(std::move(input), std::move(in), slots));
}

Result<ExpressionPtr> parse_filter(std::string_view name, const Value& operand,
                                   ParseContext& context) {
  static constexpr std::array<LoopArgument, 5> kArguments = {
      {{"input", 28648}, {"cond", 28650}, {"as", 0}, {"limit", 0}, {"arrayIndexAs", 0}}};
  MR_RETURN_IF_ERROR(check_loop_operand(name, operand, kArguments, 28646, 28647));
  ObjectView parts = operand.as_object();
  MR_ASSIGN_OR_RETURN(ExpressionPtr input, parse_expression(parts.get("input"), context));
  ExpressionPtr limit;
  if (parts.has("limit")) {
    MR_ASSIGN_OR_RETURN(limit, parse_expression(parts.get("limit"), context));
  }
  LoopSlots slots;
  MR_ASSIGN_OR_RETURN(
      ExpressionPtr condition,
      parse_loop_body("$filter", operand, parts.get("cond"), false, slots, context));
  return ExpressionPtr(std::make_unique<FilterExpression>(std::move(input), std::move(condition),
                                                          std::move(limit), slots));
}

Result<ExpressionPtr> parse_reduce(std::string_view name, const Value& operand,
                                   ParseContext& context) {
  static constexpr std::array<LoopArgument, 6> kArguments = {{{"input", 40077},
                                                              {"initialValue", 40078},
                                                              {"in", 40079},
                                                              {"as", 0},
                                                              {"valueAs", 0},
                                                              {"arrayIndexAs", 0}}};
  MR_RETURN_IF_ERROR(check_loop_operand(name, operand, kArguments, 40075, 40076));
  ObjectView parts = operand.as_object();
  MR_ASSIGN_OR_RETURN(ExpressionPtr input, parse_expression(parts.get("input"), context));
  MR_ASSIGN_OR_RETURN(ExpressionPtr initial, parse_expression(parts.get("initialValue"), context));
  LoopSlots slots;
  MR_ASSIGN_OR_RETURN(ExpressionPtr in,
                      parse_loop_body("$reduce", operand, parts.get("in"), true, slots, context));
  return ExpressionPtr(std::make_unique<ReduceExpression>(std::move(input), std::move(initial),
                                                          std::move(in), slots));
}

}  // namespace millrace::engine
