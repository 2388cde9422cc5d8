// $sum, $avg, $count, $stdDevPop, $stdDevSamp. Values that are no numbers are ignored.
#include <array>
#include <cmath>
#include <cstring>

#include "engine/document/decimal.h"
#include "engine/expression/accumulator.h"
#include "engine/expression/accumulator_state.h"

namespace millrace::engine {
namespace {

// A sum that does not fit SumState's 16 bytes.
struct WideSum {
  CompensatedSum binary;  // of everything but decimals
  double special =
      0;  // the same added plainly: the result where compensation has turned infinities into NaN
  Type widest = Type::kInt32;
  bool has_decimal = false;
  Decimal128 decimal = decimal::from_int64(
      0);  // not all bits zero, which is 0E-6176 and would pad every sum to 34 digits

  double as_double() const { return std::isnan(binary.sum) ? special : binary.sum; }
  Decimal128 as_decimal() const {
    if (!std::isfinite(binary.sum))
      return decimal::add(decimal, decimal::from_double_exact(special));
    Decimal128 exact = decimal::add(decimal::from_double_exact(binary.sum),
                                    decimal::from_double_exact(binary.addend));
    return decimal::add(decimal, exact);
  }
};

constexpr int64_t kWideBytes = sizeof(WideSum) + 16;

WideSum& wide(const SumState& state) { return *reinterpret_cast<WideSum*>(state.bits); }

void make_wide(SumState& state, HeapBytes& heap) {
  if (state.tag == SumState::kWide) return;
  auto* sum = new WideSum;
  if (state.is_integer()) {
    sum->binary.add(state.integer());
    sum->special = static_cast<double>(state.integer());
    sum->widest = state.tag == SumState::kInt64 ? Type::kInt64 : Type::kInt32;
  } else if (state.tag == SumState::kSpecial) {
    sum->special = std::bit_cast<double>(state.bits);
    sum->binary = {sum->special, 0};
    sum->widest = Type::kDouble;
  } else {
    sum->binary = state.compensated();
    sum->special = sum->binary.sum;
    sum->widest = Type::kDouble;
  }
  heap.used += kWideBytes;
  state.bits = reinterpret_cast<uint64_t>(sum);
  state.tag = SumState::kWide;
}

void destroy_sum(SumState& state, HeapBytes& heap) {
  if (state.tag != SumState::kWide) return;
  delete &wide(state);
  heap.used -= kWideBytes;
  state = {};
}

void add_to_wide(WideSum& sum, const Value& value) {
  switch (value.type()) {
    case Type::kInt32:
      sum.special += value.as_int32();
      sum.binary.add(static_cast<double>(value.as_int32()));
      break;
    case Type::kInt64:
      sum.special += static_cast<double>(value.as_int64());
      sum.binary.add(value.as_int64());
      if (sum.widest == Type::kInt32) sum.widest = Type::kInt64;
      break;
    case Type::kDouble:
      sum.special += value.as_double();
      sum.binary.add(value.as_double());
      sum.widest = Type::kDouble;
      break;
    default:
      sum.decimal = decimal::add(sum.decimal, value.as_decimal());
      sum.has_decimal = true;
      break;
  }
}

// A finite or infinite double onto a state that is an integer, compensated or special.
void add_double(SumState& state, double x) {
  if (state.tag != SumState::kSpecial) {
    CompensatedSum s;
    if (state.is_integer()) {
      s.add(state.integer());
    } else {
      s = state.compensated();
    }
    CompensatedSum before = s;
    s.add(x);
    if (state.store(s)) return;
    state.bits = std::bit_cast<uint64_t>(before.sum);
    state.tag = SumState::kSpecial;
  }
  state.bits = std::bit_cast<uint64_t>(std::bit_cast<double>(state.bits) + x);
}

// Any number.
void add_number(SumState& state, const Value& value, HeapBytes& heap) {
  if (state.add_fast(value)) return;
  if (state.tag == SumState::kWide || value.is(Type::kDecimal) ||
      (state.is_integer() && value.is_integer())) {
    make_wide(state, heap);
    add_to_wide(wide(state), value);
    return;
  }
  add_double(state, value.to_double());
}

void merge_sums(SumState& state, const SumState& other, HeapBytes& heap) {
  if (other.is_integer()) {
    int64_t sum;
    if (state.is_integer() && !__builtin_add_overflow(state.integer(), other.integer(), &sum)) {
      state = {static_cast<uint64_t>(sum), state.tag | other.tag};
      return;
    }
    bool only_int32 = other.tag == SumState::kInt32 &&
                      (state.tag == SumState::kInt32 ||
                       (state.tag == SumState::kWide && wide(state).widest == Type::kInt32));
    add_number(state, Value::int64(other.integer()), heap);
    if (only_int32 && state.tag == SumState::kWide && wide(state).widest == Type::kInt64)
      wide(state).widest = Type::kInt32;
    return;
  }
  if (other.tag == SumState::kWide) {
    make_wide(state, heap);
    WideSum& to = wide(state);
    const WideSum& from = wide(other);
    to.special += from.special;
    to.binary.add(from.binary.sum);
    to.binary.add(from.binary.addend);
    to.decimal = decimal::add(to.decimal, from.decimal);
    to.has_decimal = to.has_decimal || from.has_decimal;
    if (from.widest == Type::kDouble || to.widest == Type::kInt32) to.widest = from.widest;
    return;
  }
  if (other.tag == SumState::kSpecial) {
    add_number(state, Value::number(std::bit_cast<double>(other.bits)), heap);
    return;
  }
  CompensatedSum from = other.compensated();
  add_number(state, Value::number(from.sum), heap);
  add_number(state, Value::number(from.addend), heap);
}

// An integer when both halves are whole and in range, as the server decides whether its sum fits a
// long.
bool fits_int64(const CompensatedSum& s, int64_t* value) {
  constexpr double kLimit = 9223372036854775808.0;
  if (!std::isfinite(s.sum) || s.sum < -kLimit || s.sum > kLimit) return false;
  if (s.sum == kLimit) {
    if (!(s.addend < 0)) return false;
    return !__builtin_add_overflow(std::numeric_limits<int64_t>::max(),
                                   static_cast<int64_t>(s.addend) + 1, value);
  }
  return !__builtin_add_overflow(static_cast<int64_t>(s.sum), static_cast<int64_t>(s.addend),
                                 value);
}

Value sum_result(const SumState& state, Arena& arena) {
  switch (state.tag) {
    case SumState::kInt32:
      return Value::integer(state.integer());
    case SumState::kInt64:
      return Value::int64(state.integer());
    case SumState::kSpecial:
      return Value::number(std::bit_cast<double>(state.bits));
    case SumState::kWide:
      break;
    default:
      return Value::number(std::bit_cast<double>(state.bits));
  }
  const WideSum& sum = wide(state);
  if (sum.has_decimal) return Value::decimal(sum.as_decimal(), arena);
  int64_t whole;
  if (sum.widest != Type::kDouble && fits_int64(sum.binary, &whole)) {
    return sum.widest == Type::kInt32 ? Value::integer(whole) : Value::int64(whole);
  }
  return Value::number(sum.as_double());
}

double sum_as_double(const SumState& state) {
  if (state.is_integer()) return static_cast<double>(state.integer());
  if (state.tag == SumState::kWide) return wide(state).as_double();
  return std::bit_cast<double>(state.bits);
}

// Saved: an int or long is the integer state (an int sum beyond 32 bits: {int: long}), a double the
// special one, [sum, addend] the compensated, {sum, addend, special, type, decimal} the wide.
Value save_sum(const SumState& state, Arena& arena) {
  switch (state.tag) {
    case SumState::kInt32: {
      if (state.integer() == static_cast<int32_t>(state.integer()))
        return Value::int32(static_cast<int32_t>(state.integer()));
      ObjectBuilder object(arena, 1);
      object.add("int", Value::int64(state.integer()));
      return object.finish();
    }
    case SumState::kInt64:
      return Value::int64(state.integer());
    case SumState::kSpecial:
      return Value::number(std::bit_cast<double>(state.bits));
    case SumState::kWide:
      break;
    default: {
      CompensatedSum s = state.compensated();
      ArrayBuilder array(arena, 2);
      array.add(Value::number(s.sum));
      array.add(Value::number(s.addend));
      return array.finish();
    }
  }
  const WideSum& sum = wide(state);
  ObjectBuilder object(arena, 6);
  object.add("sum", Value::number(sum.binary.sum));
  object.add("addend", Value::number(sum.binary.addend));
  object.add("special", Value::number(sum.special));
  object.add("type", Value::int32(static_cast<int>(sum.widest)));
  if (sum.has_decimal) object.add("decimal", Value::decimal(sum.decimal, arena));
  return object.finish();
}

Status bad_state(std::string_view name) {
  return Status(ErrorCode::kInternalError,
                "the saved state of " + std::string(name) + " is not one");
}

Status load_sum(SumState& state, const Value& saved, HeapBytes& heap) {
  switch (saved.type()) {
    case Type::kInt32:
      state = {static_cast<uint64_t>(int64_t{saved.as_int32()}), SumState::kInt32};
      return {};
    case Type::kInt64:
      state = {static_cast<uint64_t>(saved.as_int64()), SumState::kInt64};
      return {};
    case Type::kDouble:
      state = {std::bit_cast<uint64_t>(saved.as_double()), SumState::kSpecial};
      return {};
    case Type::kArray: {
      Value sum = saved.as_array().at(0);
      Value addend = saved.as_array().at(1);
      if (!sum.is(Type::kDouble) || !addend.is(Type::kDouble)) return bad_state("a sum");
      if (!state.store({sum.as_double(), addend.as_double()})) return bad_state("a sum");
      return {};
    }
    case Type::kObject:
      break;
    default:
      return bad_state("a sum");
  }
  ObjectView object = saved.as_object();
  if (Value total = object.get("int"); total.is(Type::kInt64)) {
    state = {static_cast<uint64_t>(total.as_int64()), SumState::kInt32};
    return {};
  }
  Value sum = object.get("sum");
  Value addend = object.get("addend");
  Value special = object.get("special");
  Value type = object.get("type");
  Value decimal = object.get("decimal");
  if (!sum.is(Type::kDouble) || !addend.is(Type::kDouble) || !special.is(Type::kDouble) ||
      !type.is(Type::kInt32)) {
    return bad_state("a sum");
  }
  make_wide(state, heap);
  WideSum& to = wide(state);
  to.binary = {sum.as_double(), addend.as_double()};
  to.special = special.as_double();
  to.widest = static_cast<Type>(type.as_int32());
  if (decimal.is(Type::kDecimal)) {
    to.has_decimal = true;
    to.decimal = decimal.as_decimal();
  }
  return {};
}

class SumAccumulator final : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(SumState); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<SumState*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    destroy_sum(*static_cast<SumState*>(state), heap);
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (argument.is_number()) add_number(*static_cast<SumState*>(state), argument, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    merge_sums(*static_cast<SumState*>(state), *static_cast<const SumState*>(other), heap);
  }
  Value result(const void* state, Arena& arena) const override {
    return sum_result(*static_cast<const SumState*>(state), arena);
  }
  Value save(const void* state, Arena& arena) const override {
    return save_sum(*static_cast<const SumState*>(state), arena);
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    return load_sum(*static_cast<SumState*>(state), saved, heap);
  }
  AccumulatorKind kind() const override { return AccumulatorKind::kSum; }
};

// $count, and {$sum: <int>}: counting documents says all.
class CountAccumulator final : public Accumulator {
 public:
  explicit CountAccumulator(int32_t step) : step_(step) {}
  uint32_t state_size() const override { return sizeof(CountState); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<CountState*>(state) = {}; }
  Value evaluate(EvalContext&) const override { return {}; }
  void add(void* state, const Value&, HeapBytes&) const override {
    ++static_cast<CountState*>(state)->count;
  }
  void merge(void* state, const void* other, HeapBytes&) const override {
    static_cast<CountState*>(state)->count += static_cast<const CountState*>(other)->count;
  }
  Value result(const void* state, Arena&) const override {
    int64_t count = static_cast<const CountState*>(state)->count;
    int64_t sum;
    if (__builtin_mul_overflow(count, int64_t{step_}, &sum))
      return Value::number(static_cast<double>(count) * step_);
    return Value::integer(sum);
  }
  Value save(const void* state, Arena&) const override {
    return Value::int64(static_cast<const CountState*>(state)->count);
  }
  Status load(void* state, const Value& saved, HeapBytes&) const override {
    if (!saved.is(Type::kInt64)) return bad_state("$count");
    static_cast<CountState*>(state)->count = saved.as_int64();
    return {};
  }
  void add_dependencies(Dependencies&) const override {}
  AccumulatorKind kind() const override { return AccumulatorKind::kCount; }

 private:
  int32_t step_;
};

class AverageAccumulator final : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(AverageState); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<AverageState*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    destroy_sum(static_cast<AverageState*>(state)->sum, heap);
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (!argument.is_number()) return;
    auto* average = static_cast<AverageState*>(state);
    add_number(average->sum, argument, heap);
    ++average->count;
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    auto* average = static_cast<AverageState*>(state);
    auto* from = static_cast<const AverageState*>(other);
    merge_sums(average->sum, from->sum, heap);
    average->count += from->count;
  }
  Value result(const void* state, Arena& arena) const override {
    auto* average = static_cast<const AverageState*>(state);
    if (average->count == 0) return Value::null();
    const SumState& sum = average->sum;
    if (sum.tag == SumState::kWide && wide(sum).has_decimal) {
      return Value::decimal(
          decimal::divide(wide(sum).as_decimal(), decimal::from_int64(average->count)), arena);
    }
    return Value::number(sum_as_double(sum) / static_cast<double>(average->count));
  }
  Value save(const void* state, Arena& arena) const override {
    auto* average = static_cast<const AverageState*>(state);
    ObjectBuilder object(arena, 2);
    object.add("sum", save_sum(average->sum, arena));
    object.add("count", Value::int64(average->count));
    return object.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    auto* average = static_cast<AverageState*>(state);
    if (!saved.is_object()) return bad_state("$avg");
    Value count = saved.as_object().get("count");
    if (!count.is(Type::kInt64)) return bad_state("$avg");
    MR_RETURN_IF_ERROR(load_sum(average->sum, saved.as_object().get("sum"), heap));
    average->count = count.as_int64();
    return {};
  }
  AccumulatorKind kind() const override { return AccumulatorKind::kAverage; }
};

// Welford's running mean and sum of squared differences; merged by Chan's formula.
struct DeviationState {
  int64_t count;
  double mean;
  double squares;
};

class DeviationAccumulator final : public SingleArgumentAccumulator {
 public:
  DeviationAccumulator(ExpressionPtr argument, bool sample)
      : SingleArgumentAccumulator(std::move(argument)), sample_(sample) {}
  uint32_t state_size() const override { return sizeof(DeviationState); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<DeviationState*>(state) = {}; }
  void add(void* state, const Value& argument, HeapBytes&) const override {
    if (!argument.is_number()) return;
    auto* s = static_cast<DeviationState*>(state);
    double x = argument.to_double();
    double delta = x - s->mean;
    s->count += 1;
    s->mean += delta / static_cast<double>(s->count);
    s->squares += delta * (x - s->mean);
  }
  void merge(void* state, const void* other, HeapBytes&) const override {
    auto* s = static_cast<DeviationState*>(state);
    auto* o = static_cast<const DeviationState*>(other);
    if (o->count == 0) return;
    if (s->count == 0) {
      *s = *o;
      return;
    }
    auto n = static_cast<double>(s->count);
    auto m = static_cast<double>(o->count);
    double delta = o->mean - s->mean;
    s->mean = (n * s->mean + m * o->mean) / (n + m);
    s->squares += o->squares + delta * delta * (n * m / (n + m));
    s->count += o->count;
  }
  Value result(const void* state, Arena&) const override {
    auto* s = static_cast<const DeviationState*>(state);
    int64_t degrees = sample_ ? s->count - 1 : s->count;
    if (degrees <= 0) return Value::null();
    return Value::number(std::sqrt(s->squares / static_cast<double>(degrees)));
  }
  Value save(const void* state, Arena& arena) const override {
    auto* s = static_cast<const DeviationState*>(state);
    ObjectBuilder object(arena, 3);
    object.add("count", Value::int64(s->count));
    object.add("mean", Value::number(s->mean));
    object.add("squares", Value::number(s->squares));
    return object.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes&) const override {
    if (!saved.is_object()) return bad_state("$stdDevPop");
    Value count = saved.as_object().get("count");
    Value mean = saved.as_object().get("mean");
    Value squares = saved.as_object().get("squares");
    if (!count.is(Type::kInt64) || !mean.is(Type::kDouble) || !squares.is(Type::kDouble))
      return bad_state("$stdDevPop");
    *static_cast<DeviationState*>(state) = {count.as_int64(), mean.as_double(),
                                            squares.as_double()};
    return {};
  }

 private:
  bool sample_;
};

Result<AccumulatorPtr> parse_sum(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  if (const Value* constant = argument->constant();
      constant != nullptr && constant->is(Type::kInt32)) {
    return AccumulatorPtr(std::make_unique<CountAccumulator>(constant->as_int32()));
  }
  return AccumulatorPtr(std::make_unique<SumAccumulator>(std::move(argument)));
}

Result<AccumulatorPtr> parse_count(std::string_view, const Value& operand, ParseContext&) {
  if (!operand.is_object() || !operand.as_object().empty()) {
    return Status(ErrorCode::kTypeMismatch, "$count takes no arguments, i.e. $count:{}");
  }
  return AccumulatorPtr(std::make_unique<CountAccumulator>(1));
}

Result<AccumulatorPtr> parse_average(std::string_view name, const Value& operand,
                                     ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(std::make_unique<AverageAccumulator>(std::move(argument)));
}

Result<AccumulatorPtr> parse_deviation(std::string_view name, const Value& operand,
                                       ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(
      std::make_unique<DeviationAccumulator>(std::move(argument), name == "$stdDevSamp"));
}

constexpr std::array kRows = {
    AccumulatorRow{"$avg", parse_average, "aggregation/avg"},
    AccumulatorRow{"$count", parse_count, "aggregation/count-accumulator"},
    AccumulatorRow{"$stdDevPop", parse_deviation, "aggregation/stdDevPop"},
    AccumulatorRow{"$stdDevSamp", parse_deviation, "aggregation/stdDevSamp"},
    AccumulatorRow{"$sum", parse_sum, "aggregation/sum"},
};

}  // namespace

std::span<const AccumulatorRow> numeric_accumulators() { return kRows; }

}  // namespace millrace::engine
