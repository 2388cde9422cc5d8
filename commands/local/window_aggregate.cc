// Window functions over a window of documents: the accumulators of $group, covariance, derivative,
// integral. A window whose start moves is kept up to date by taking values out again, where 6.0.5
// does so too with the same steps, so that rounding agrees; else it is computed afresh.
#include <cmath>
#include <limits>
#include <set>

#include "commands/local/window_function.h"
#include "engine/document/compare.h"
#include "engine/expression/accumulator.h"
#include "engine/expression/number.h"

namespace millrace::commands {

using engine::Accumulator;
using engine::AccumulatorPtr;
using engine::Arena;
using engine::ErrorCode;
using engine::EvalContext;
using engine::ExpressionPtr;
using engine::HeapBytes;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

namespace decimal = engine::decimal;

Status bad(std::string text) { return Status(ErrorCode::kFailedToParse, std::move(text)); }

// The values of a window as it moves over a partition.
class WindowState {
 public:
  virtual ~WindowState() = default;
  virtual void add(const Value& value, EvalContext& eval) = 0;
  // Takes the oldest value out, which is this one. Requires: can_remove().
  virtual void remove(const Value& /*value*/, EvalContext& /*eval*/) {}
  virtual bool can_remove() const { return true; }
  virtual Value result(EvalContext& eval) = 0;
  virtual void reset() = 0;
};
using WindowStatePtr = std::unique_ptr<WindowState>;

class AccumulatorState final : public WindowState {
 public:
  explicit AccumulatorState(const Accumulator& accumulator)
      : accumulator_(accumulator), memory_((accumulator.state_size() + 7) / 8) {
    accumulator_.init(memory_.data());
  }
  ~AccumulatorState() override { accumulator_.destroy(memory_.data(), heap_); }
  AccumulatorState(const AccumulatorState&) = delete;
  AccumulatorState& operator=(const AccumulatorState&) = delete;
  void add(const Value& value, EvalContext&) override {
    ++heap_.arrival;
    accumulator_.add(memory_.data(), value, heap_);
  }
  bool can_remove() const override { return false; }
  Value result(EvalContext& eval) override {
    return accumulator_.result(memory_.data(), *eval.arena);
  }
  void reset() override {
    accumulator_.destroy(memory_.data(), heap_);
    std::fill(memory_.begin(), memory_.end(), 0);
    accumulator_.init(memory_.data());
  }

 private:
  const Accumulator& accumulator_;
  std::vector<uint64_t> memory_;
  HeapBytes heap_;
};

AccumulatorPtr make_accumulator(std::string_view name, engine::ParseContext& parse) {
  return std::move(engine::parse_accumulator(name, Value::null(), parse)).value();
}

// The least integer of a type.
bool is_least(const Value& value) {
  if (value.is(Type::kInt32)) return value.as_int32() == std::numeric_limits<int32_t>::min();
  return value.is(Type::kInt64) && value.as_int64() == std::numeric_limits<int64_t>::min();
}

// Requires: !is_least(value).
Value negated(const Value& value, Arena& arena) {
  switch (value.type()) {
    case Type::kInt32:
      return Value::int32(-value.as_int32());
    case Type::kInt64:
      return Value::int64(-value.as_int64());
    case Type::kDouble:
      return Value::number(-value.as_double());
    default:
      return Value::decimal(decimal::negate(value.as_decimal()), arena);
  }
}

// $sum, and $avg with `average`. What has left is added with the other sign; infinities and NaN
// are only counted.
class RemovableSum final : public WindowState {
 public:
  RemovableSum(const Accumulator& sum, bool average) : sum_(sum), average_(average) {}
  void add(const Value& value, EvalContext& eval) override { update(value, 1, eval); }
  void remove(const Value& value, EvalContext& eval) override { update(value, -1, eval); }
  Value result(EvalContext& eval) override {
    if (!average_) return total(eval);
    if (count_ == 0) return Value::null();
    Value sum = total(eval);
    if (!engine::is_finite(sum)) return sum;
    if (sum.is(Type::kDecimal)) {
      return Value::decimal(decimal::divide(sum.as_decimal(), decimal::from_int64(count_)),
                            *eval.arena);
    }
    return Value::number(sum.to_double() / static_cast<double>(count_));
  }
  void reset() override {
    sum_.reset();
    count_ = nan_ = positive_ = negative_ = decimals_ = doubles_ = 0;
  }

 private:
  void update(const Value& value, int64_t sign, EvalContext& eval) {
    if (!value.is_number()) return;
    count_ += sign;
    if (value.is(Type::kDecimal)) decimals_ += sign;
    if (value.is(Type::kDouble)) doubles_ += sign;
    if (sign < 0 && is_least(value)) {  // it has no opposite of its type; in two parts on 6.0.5 too
      bool small = value.is(Type::kInt32);
      sum_.add(small ? Value::int32(std::numeric_limits<int32_t>::max())
                     : Value::int64(std::numeric_limits<int64_t>::max()),
               eval);
      sum_.add(Value::int32(1), eval);
    } else if (engine::is_finite(value)) {
      sum_.add(sign > 0 ? value : negated(value, *eval.arena), eval);
    } else if (engine::is_nan(value)) {
      nan_ += sign;
    } else {
      (value.to_double() > 0 ? positive_ : negative_) += sign;
    }
  }
  Value special(double value, EvalContext& eval) const {
    if (decimals_ == 0) return Value::number(value);
    return Value::decimal(decimal::from_double(value), *eval.arena);
  }
  Value total(EvalContext& eval) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (nan_ > 0 || (positive_ > 0 && negative_ > 0))
      return special(std::numeric_limits<double>::quiet_NaN(), eval);
    if (positive_ > 0) return special(kInfinity, eval);
    if (negative_ > 0) return special(-kInfinity, eval);
    Value sum = sum_.result(eval);
    if (sum.is(Type::kDecimal) && decimals_ == 0) {  // they have left: longs keep their digits
      auto whole = decimal::to_int64_exact(decimal::quantize(sum.as_decimal(), 0, false));
      if (doubles_ == 0 && whole) return Value::integer(*whole);
      sum = Value::number(decimal::to_double(sum.as_decimal()));
    }
    if (sum.is(Type::kDouble) && doubles_ == 0) {
      double d = sum.as_double();
      if (d >= -9223372036854775808.0 && d < 9223372036854775808.0)
        return Value::integer(std::llround(d));
    }
    return sum.is(Type::kInt64) ? Value::integer(sum.integer_value()) : sum;
  }

  AccumulatorState sum_;
  bool average_;
  int64_t count_ = 0;
  int64_t nan_ = 0;
  int64_t positive_ = 0;
  int64_t negative_ = 0;
  int64_t decimals_ = 0;
  int64_t doubles_ = 0;
};

struct Before {
  bool operator()(const Value& a, const Value& b) const { return engine::compare(a, b) < 0; }
};

class RemovableExtreme final : public WindowState {
 public:
  explicit RemovableExtreme(bool smallest) : smallest_(smallest) {}
  void add(const Value& value, EvalContext&) override {
    if (!value.is_nullish()) values_.insert(value);
  }
  void remove(const Value& value, EvalContext&) override {
    if (!value.is_nullish()) values_.erase(values_.find(value));
  }
  Value result(EvalContext&) override {
    if (values_.empty()) return Value::null();
    return smallest_ ? *values_.begin() : *values_.rbegin();
  }
  void reset() override { values_.clear(); }

 private:
  bool smallest_;
  std::multiset<Value, Before> values_;
};

// $addToSet: the values in their order, as the server's moving window has them.
class RemovableSet final : public WindowState {
 public:
  void add(const Value& value, EvalContext&) override {
    if (!value.is_missing()) values_.insert(value);
  }
  void remove(const Value& value, EvalContext&) override {
    if (!value.is_missing()) values_.erase(values_.find(value));
  }
  Value result(EvalContext& eval) override {
    engine::ArrayBuilder set(*eval.arena);
    for (auto at = values_.begin(); at != values_.end(); at = values_.upper_bound(*at))
      set.add(*at);
    return set.finish();
  }
  void reset() override { values_.clear(); }

 private:
  std::multiset<Value, Before> values_;
};

class RemovableDeviation final : public WindowState {
 public:
  RemovableDeviation(const Accumulator& sum, bool sample)
      : sum_(sum), squares_(sum), sample_(sample) {}
  void add(const Value& value, EvalContext& eval) override { update(value, 1, eval); }
  void remove(const Value& value, EvalContext& eval) override { update(value, -1, eval); }
  Value result(EvalContext& eval) override {
    if (not_finite_ > 0) return Value::null();
    int64_t divisor = sample_ ? count_ - 1 : count_;
    if (divisor <= 0) return Value::null();  // 6.0.5 has -0.0 for a sample of nothing
    double squares = squares_.result(eval).to_double();
    if (squares < 0 || (!sample_ && count_ == 1)) {
      squares_.reset();
      return Value::number(0.0);
    }
    return Value::number(std::sqrt(squares / static_cast<double>(divisor)));
  }
  void reset() override {
    forget_finite();
    not_finite_ = 0;
  }

 private:
  // What is not finite is only counted, so that nothing of it stays when it has left (8.x).
  void update(const Value& value, int64_t sign, EvalContext& eval) {
    if (!value.is_number()) return;
    if (!engine::is_finite(value)) {
      not_finite_ += sign;
      return;
    }
    if (count_ == 0) {
      count_ = 1;
      sum_.add(value, eval);
      return;
    }
    if (count_ + sign == 0) return forget_finite();
    double number = value.to_double();
    double x = static_cast<double>(count_) * number - sum_.result(eval).to_double();
    count_ += sign;
    sum_.add(Value::number(number * static_cast<double>(sign)), eval);
    squares_.add(Value::number(x * x * static_cast<double>(sign) /
                               static_cast<double>(count_ * (count_ - sign))),
                 eval);
  }
  void forget_finite() {
    sum_.reset();
    squares_.reset();
    count_ = 0;
  }

  AccumulatorState sum_;
  AccumulatorState squares_;
  bool sample_;
  int64_t count_ = 0;  // of finite numbers
  int64_t not_finite_ = 0;
};

// Of pairs [x, y]; anything else is left out.
class RemovableCovariance final : public WindowState {
 public:
  RemovableCovariance(const Accumulator& sum, bool sample)
      : mean_x_(sum, true), mean_y_(sum, true), products_(sum, false), sample_(sample) {}

  void add(const Value& pair, EvalContext& eval) override {
    if (!is_pair(pair)) return;
    Value x = pair.as_array().at(0);
    Value y = pair.as_array().at(1);
    if (count_++ == 0) {
      mean_x_.add(x, eval);
      mean_y_.add(y, eval);
      products_.add(Value::number(0), eval);
      return;
    }
    Value from_x = binary_operator("$subtract", x, mean_x_.result(eval), eval);
    mean_x_.add(x, eval);
    mean_y_.add(y, eval);
    Value from_y = binary_operator("$subtract", y, mean_y_.result(eval), eval);
    products_.add(binary_operator("$multiply", from_x, from_y, eval), eval);
  }
  void remove(const Value& pair, EvalContext& eval) override {
    if (!is_pair(pair)) return;
    if (--count_ == 0) return reset();
    Value x = pair.as_array().at(0);
    Value y = pair.as_array().at(1);
    mean_x_.remove(x, eval);
    Value from_x = binary_operator("$subtract", x, mean_x_.result(eval), eval);
    Value from_y = binary_operator("$subtract", y, mean_y_.result(eval), eval);
    mean_y_.remove(y, eval);
    products_.remove(binary_operator("$multiply", from_x, from_y, eval), eval);
  }
  Value result(EvalContext& eval) override {
    int64_t divisor = sample_ ? count_ - 1 : count_;
    if (divisor <= 0) return Value::null();
    if (count_ == 1) return Value::number(0);
    return binary_operator("$divide", products_.result(eval),
                           Value::number(static_cast<double>(divisor)), eval);
  }
  void reset() override {
    mean_x_.reset();
    mean_y_.reset();
    products_.reset();
    count_ = 0;
  }

 private:
  static bool is_pair(const Value& value) {
    if (!value.is_array() || value.as_array().size() != 2) return false;
    return value.as_array().at(0).is_number() && value.as_array().at(1).is_number();
  }
  RemovableSum mean_x_;
  RemovableSum mean_y_;
  RemovableSum products_;
  bool sample_;
  int64_t count_ = 0;
};

// By the trapezoidal rule, of pairs [place, value].
class RemovableIntegral final : public WindowState {
 public:
  RemovableIntegral(const Accumulator& sum, int64_t unit_ms) : area_(sum, false), unit_(unit_ms) {}

  void add(const Value& pair, EvalContext& eval) override {
    check(pair);
    if (!points_.empty()) area_.add(trapezoid(points_.back(), pair, eval), eval);
    points_.push_back(pair);
  }
  void remove(const Value& pair, EvalContext& eval) override {
    ++first_;
    if (first_ < points_.size()) {
      area_.remove(trapezoid(pair, points_[first_], eval), eval);
    } else {
      points_.clear();
      first_ = 0;
    }
  }
  Value result(EvalContext& eval) override {
    if (points_.empty()) return Value::null();
    Value area = area_.result(eval);
    return unit_ == 0 ? area : binary_operator("$divide", area, Value::int64(unit_), eval);
  }
  void reset() override {
    area_.reset();
    points_.clear();
    first_ = 0;
  }

 private:
  void check(const Value& pair) const {
    Value place = pair.as_array().at(0);
    if (!(place.is_number() || place.is(Type::kDate)) || !pair.as_array().at(1).is_number()) {
      engine::fail_evaluation(
          5423900,
          "The input value of $integral window function must be a vector of 2 value, the first "
          "value must be numeric or date type and the second must be numeric.");
    }
    if (unit_ != 0 && !place.is(Type::kDate)) {
      engine::fail_evaluation(5423901,
                              "$integral with 'unit' expects the sortBy field to be a Date");
    }
    if (unit_ == 0 && place.is(Type::kDate)) {
      engine::fail_evaluation(5423902,
                              "$integral (with no 'unit') expects the sortBy field to be numeric");
    }
  }
  static Value trapezoid(const Value& a, const Value& b, EvalContext& eval) {
    Value width = binary_operator("$subtract", b.as_array().at(0), a.as_array().at(0), eval);
    Value heights = binary_operator("$add", a.as_array().at(1), b.as_array().at(1), eval);
    return binary_operator("$divide", binary_operator("$multiply", heights, width, eval),
                           Value::number(2), eval);
  }
  RemovableSum area_;
  int64_t unit_;
  std::vector<Value> points_;
  size_t first_ = 0;
};

// Runs one state over the windows of a partition.
class WindowedFunction : public WindowFunction {
 public:
  explicit WindowedFunction(WindowBounds bounds) : bounds_(std::move(bounds)) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = arguments(partition, eval);
    auto intervals = bounds_.intervals(partition, eval);
    WindowStatePtr state = make_state(bounds_.from_start());
    std::vector<Value> results;
    results.reserve(values.size());
    WindowBounds::Interval held{0, 0};
    for (const auto& wanted : intervals) {
      bool same = !results.empty() && wanted.first == held.first && wanted.last == held.last;
      if (same && bounds_.from_start()) {
        results.push_back(results.back());
        continue;
      }
      move(*state, held, wanted, values, eval);
      held = wanted;
      results.push_back(state->result(eval));
    }
    return results;
  }

 protected:
  virtual std::vector<Value> arguments(const WindowPartition& partition, EvalContext& eval) = 0;
  virtual WindowStatePtr make_state(bool only_grows) = 0;

 private:
  static void move(WindowState& state, const WindowBounds::Interval& held,
                   const WindowBounds::Interval& wanted, const std::vector<Value>& values,
                   EvalContext& eval) {
    size_t from = held.last;
    if (wanted.first > held.first && !state.can_remove()) {
      state.reset();
      from = wanted.first;
    }
    for (size_t i = std::max(from, wanted.first); i < wanted.last; ++i) state.add(values[i], eval);
    if (!state.can_remove()) return;
    for (size_t i = held.first; i < std::min(wanted.first, held.last); ++i)
      state.remove(values[i], eval);
  }
  WindowBounds bounds_;
};

class AccumulatorFunction final : public WindowedFunction {
 public:
  AccumulatorFunction(WindowBounds bounds, std::string_view name, AccumulatorPtr accumulator,
                      AccumulatorPtr sum, ExpressionPtr argument)
      : WindowedFunction(std::move(bounds)),
        name_(name),
        accumulator_(std::move(accumulator)),
        sum_(std::move(sum)),
        argument_(std::move(argument)) {}

 protected:
  std::vector<Value> arguments(const WindowPartition& partition, EvalContext& eval) override {
    std::vector<Value> values;
    values.reserve(partition.documents.size());
    for (const Value& document : partition.documents) {
      eval.root = document;
      values.push_back(argument_ != nullptr ? argument_->evaluate(eval)
                                            : accumulator_->evaluate(eval));
    }
    return values;
  }
  WindowStatePtr make_state(bool only_grows) override {
    if (!only_grows) {
      if (name_ == "$sum" || name_ == "$avg" || name_ == "$count")
        return std::make_unique<RemovableSum>(*sum_, name_ == "$avg");
      if (name_ == "$min" || name_ == "$max")
        return std::make_unique<RemovableExtreme>(name_ == "$min");
      if (name_ == "$addToSet") return std::make_unique<RemovableSet>();
      if (name_ == "$stdDevPop" || name_ == "$stdDevSamp")
        return std::make_unique<RemovableDeviation>(*sum_, name_ == "$stdDevSamp");
    }
    return std::make_unique<AccumulatorState>(*accumulator_);
  }

 private:
  std::string_view name_;
  AccumulatorPtr accumulator_;
  AccumulatorPtr sum_;
  ExpressionPtr argument_;  // of $count and $sum, whose accumulators do not keep a constant
};

// $first and $last: the value as it is, also a missing one; null for a window without documents.
class EdgeFunction final : public WindowFunction {
 public:
  EdgeFunction(WindowBounds bounds, ExpressionPtr input, bool first)
      : bounds_(std::move(bounds)), input_(std::move(input)), first_(first) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*input_, partition, eval);
    std::vector<Value> results;
    results.reserve(values.size());
    for (const auto& [from, to] : bounds_.intervals(partition, eval))
      results.push_back(from >= to ? Value::null() : values[first_ ? from : to - 1]);
    return results;
  }

 private:
  WindowBounds bounds_;
  ExpressionPtr input_;
  bool first_;
};

class CovarianceFunction final : public WindowedFunction {
 public:
  CovarianceFunction(WindowBounds bounds, ExpressionPtr pair, bool sample, AccumulatorPtr sum)
      : WindowedFunction(std::move(bounds)),
        pair_(std::move(pair)),
        sample_(sample),
        sum_(std::move(sum)) {}

 protected:
  std::vector<Value> arguments(const WindowPartition& partition, EvalContext& eval) override {
    return evaluate_all(*pair_, partition, eval);
  }
  WindowStatePtr make_state(bool) override {
    return std::make_unique<RemovableCovariance>(*sum_, sample_);
  }

 private:
  ExpressionPtr pair_;
  bool sample_;
  AccumulatorPtr sum_;
};

class IntegralFunction final : public WindowedFunction {
 public:
  IntegralFunction(WindowBounds bounds, ExpressionPtr input, int64_t unit_ms, AccumulatorPtr sum)
      : WindowedFunction(std::move(bounds)),
        input_(std::move(input)),
        unit_ms_(unit_ms),
        sum_(std::move(sum)) {}

 protected:
  std::vector<Value> arguments(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*input_, partition, eval);
    for (size_t i = 0; i < values.size(); ++i) {
      engine::ArrayBuilder pair(*eval.arena, 2);
      pair.add(partition.sort_values[i]);
      pair.add(values[i]);
      values[i] = pair.finish();
    }
    return values;
  }
  WindowStatePtr make_state(bool) override {
    return std::make_unique<RemovableIntegral>(*sum_, unit_ms_);
  }

 private:
  ExpressionPtr input_;
  int64_t unit_ms_;
  AccumulatorPtr sum_;
};

// Only the ends of the window count.
class DerivativeFunction final : public WindowFunction {
 public:
  DerivativeFunction(WindowBounds bounds, ExpressionPtr input, int64_t unit_ms)
      : bounds_(std::move(bounds)), input_(std::move(input)), unit_ms_(unit_ms) {}

  std::vector<Value> run(const WindowPartition& partition, EvalContext& eval) override {
    auto values = evaluate_all(*input_, partition, eval);
    auto intervals = bounds_.intervals(partition, eval);
    std::vector<Value> results;
    for (const auto& [first, last] : intervals) {
      results.push_back(first == last
                            ? Value::null()
                            : slope(partition.sort_values[first], values[first],
                                    partition.sort_values[last - 1], values[last - 1], eval));
    }
    return results;
  }

 private:
  void check(const Value& place) const {
    if (unit_ms_ != 0 && !place.is(Type::kDate)) {
      engine::fail_evaluation(5624900,
                              "$derivative with 'unit' expects the sortBy field to be a Date");
    }
    if (unit_ms_ == 0 && place.is(Type::kDate)) {
      engine::fail_evaluation(5624901, "$derivative where the sortBy is a Date requires an 'unit'");
    }
    if (unit_ms_ == 0 && !place.is_number()) {
      engine::fail_evaluation(
          5624902, "$derivative (with no 'unit') expects the sortBy field to be numeric");
    }
  }
  Value slope(const Value& x1, const Value& y1, const Value& x2, const Value& y2,
              EvalContext& eval) const {
    check(x1);
    check(x2);
    if (y1.is_nullish() || y2.is_nullish())
      engine::fail_evaluation(5624903, "$derivative input must not be null or missing");
    Value run = binary_operator("$subtract", x2, x1, eval);
    Value rise = binary_operator("$subtract", y2, y1, eval);
    if (!run.truthy()) return Value::null();
    Value result = binary_operator("$divide", rise, run, eval);
    return unit_ms_ == 0 ? result
                         : binary_operator("$multiply", result, Value::int64(unit_ms_), eval);
  }
  WindowBounds bounds_;
  ExpressionPtr input_;
  int64_t unit_ms_;
};

struct SlopeArguments {
  ExpressionPtr input;
  int64_t unit_ms = 0;  // 0: none
};

Result<SlopeArguments> slope_arguments(const WindowFunctionSpec& spec) {
  std::string name(spec.name);
  if (!spec.operand.is_object())
    return bad(name + " expects an object, but got a " + std::string(spec.operand.type_name()));
  SlopeArguments arguments;
  for (const auto& field : spec.operand.as_object()) {
    if (field.has_name("input")) {
      MR_ASSIGN_OR_RETURN(arguments.input, engine::parse_expression(field.value, spec.parse));
    } else if (field.has_name("unit")) {
      if (!field.value.is_string()) return bad("'unit' must be a string");
      auto unit = engine::parse_date_unit(field.value.as_string());
      if (!unit) return bad("unknown time unit value: " + std::string(field.value.as_string()));
      constexpr std::array<int64_t, 9> kMilliseconds = {
          0, 0, 0, 604'800'000, 86'400'000, 3'600'000, 60'000, 1000, 1};
      arguments.unit_ms = kMilliseconds[static_cast<size_t>(*unit)];
      if (arguments.unit_ms == 0) return Status(5490710, "unit must be 'week' or smaller");
    } else {
      return bad(name + " got unexpected argument: " + std::string(field.name()));
    }
  }
  if (arguments.input == nullptr) return bad(name + " requires an 'input' expression");
  if (!spec.sort.given) return bad(name + " requires a sortBy");
  if (!spec.sort.single()) return bad(name + " requires a non-compound sortBy");
  return arguments;
}

}  // namespace

Result<WindowFunctionPtr> parse_window_accumulator(const WindowFunctionSpec& spec) {
  MR_ASSIGN_OR_RETURN(auto bounds, window_bounds_of(spec));
  if (spec.name == "$first" || spec.name == "$last") {
    MR_ASSIGN_OR_RETURN(auto input, engine::parse_expression(spec.operand, spec.parse));
    return WindowFunctionPtr(
        std::make_unique<EdgeFunction>(std::move(bounds), std::move(input), spec.name == "$first"));
  }
  if (spec.name == "$count" && !(spec.operand.is_object() && spec.operand.as_object().empty()))
    return bad("$count only accepts an empty object as input");
  // An array is one value to a window function, and not the accumulator's list of operands.
  Value operand = spec.operand;
  if (operand.is_array()) {
    engine::ObjectBuilder wrapped(spec.parse.constants(), 1);
    engine::ArrayBuilder one(spec.parse.constants(), 1);
    one.add(operand);
    wrapped.add("$concatArrays", one.finish());
    operand = wrapped.finish();
  }
  MR_ASSIGN_OR_RETURN(auto accumulator, engine::parse_accumulator(spec.name, operand, spec.parse));
  ExpressionPtr argument;
  if (spec.name == "$count") argument = engine::make_constant(Value::int32(1), spec.parse);
  if (spec.name == "$sum") {
    MR_ASSIGN_OR_RETURN(argument, engine::parse_expression(operand, spec.parse));
  }
  return WindowFunctionPtr(std::make_unique<AccumulatorFunction>(
      std::move(bounds), spec.name, std::move(accumulator), make_accumulator("$sum", spec.parse),
      std::move(argument)));
}

Result<WindowFunctionPtr> parse_window_covariance(const WindowFunctionSpec& spec) {
  MR_ASSIGN_OR_RETURN(auto bounds, window_bounds_of(spec));
  MR_ASSIGN_OR_RETURN(auto pair, engine::parse_expression(spec.operand, spec.parse));
  return WindowFunctionPtr(std::make_unique<CovarianceFunction>(
      std::move(bounds), std::move(pair), spec.name == "$covarianceSamp",
      make_accumulator("$sum", spec.parse)));
}

Result<WindowFunctionPtr> parse_window_derivative(const WindowFunctionSpec& spec) {
  MR_RETURN_IF_ERROR(check_beside_window(spec));
  MR_ASSIGN_OR_RETURN(auto arguments, slope_arguments(spec));
  if (!spec.whole.as_object().has("window"))
    return bad("$derivative requires explicit window bounds");
  MR_ASSIGN_OR_RETURN(auto bounds, window_bounds_of(spec));
  return WindowFunctionPtr(std::make_unique<DerivativeFunction>(
      std::move(bounds), std::move(arguments.input), arguments.unit_ms));
}

Result<WindowFunctionPtr> parse_window_integral(const WindowFunctionSpec& spec) {
  MR_RETURN_IF_ERROR(check_beside_window(spec));
  MR_ASSIGN_OR_RETURN(auto arguments, slope_arguments(spec));
  MR_ASSIGN_OR_RETURN(auto bounds, window_bounds_of(spec));
  return WindowFunctionPtr(
      std::make_unique<IntegralFunction>(std::move(bounds), std::move(arguments.input),
                                         arguments.unit_ms, make_accumulator("$sum", spec.parse)));
}

}  // namespace millrace::commands
