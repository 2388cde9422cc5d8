// $min, $max, $first, $last, their N forms, and $top, $bottom, $topN, $bottomN: accumulators that
// keep some of the values they see.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/accumulator.h"
#include "engine/expression/accumulator_state.h"
#include "engine/expression/number.h"
#include "engine/expression/owned_value.h"
#include "engine/expression/sort_pattern.h"

namespace millrace::engine {
namespace {

Status bad_state(std::string_view name) {
  return Status(ErrorCode::kInternalError,
                "the saved state of " + std::string(name) + " is not one");
}

// $min and $max. Null, undefined and missing do not count; of equal values the first stays.
template <bool kMin>
class ExtremeAccumulator final : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(ExtremeState); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<ExtremeState*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    disown(static_cast<ExtremeState*>(state)->best, heap);
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (argument.is_nullish()) return;
    Value& best = static_cast<ExtremeState*>(state)->best;
    if (!best.is_missing()) {
      int c = compare(argument, best);
      if (kMin ? c >= 0 : c <= 0) return;
      disown(best, heap);
    }
    best = own(argument, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    add(state, static_cast<const ExtremeState*>(other)->best, heap);
  }
  Value result(const void* state, Arena& arena) const override {
    const Value& best = static_cast<const ExtremeState*>(state)->best;
    return best.is_missing() ? Value::null() : deep_copy(best, arena);
  }
  Value save(const void* state, Arena&) const override {
    const Value& best = static_cast<const ExtremeState*>(state)->best;
    return best.is_missing() ? Value::null() : best;
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    add(state, saved, heap);
    return {};
  }
  AccumulatorKind kind() const override {
    return kMin ? AccumulatorKind::kMin : AccumulatorKind::kMax;
  }
};

struct EdgeState {
  Value kept;
  int64_t arrival;
};

// $first and $last. A missing value is kept as null, which is how it is shown.
template <bool kFirst>
class EdgeAccumulator final : public SingleArgumentAccumulator {
 public:
  using SingleArgumentAccumulator::SingleArgumentAccumulator;
  uint32_t state_size() const override { return sizeof(EdgeState); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<EdgeState*>(state) = {}; }
  void destroy(void* state, HeapBytes& heap) const override {
    disown(static_cast<EdgeState*>(state)->kept, heap);
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    auto& edge = *static_cast<EdgeState*>(state);
    if (kFirst && !edge.kept.is_missing()) return;
    replace(edge, argument.is_missing() ? Value::null() : argument, heap.arrival, heap);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    auto& edge = *static_cast<EdgeState*>(state);
    const auto& from = *static_cast<const EdgeState*>(other);
    if (from.kept.is_missing()) return;
    bool better = kFirst ? from.arrival < edge.arrival : from.arrival > edge.arrival;
    if (better || edge.kept.is_missing()) replace(edge, from.kept, from.arrival, heap);
  }
  Value result(const void* state, Arena& arena) const override {
    const Value& kept = static_cast<const EdgeState*>(state)->kept;
    return kept.is_missing() ? Value::null() : deep_copy(kept, arena);
  }
  // [value, arrival], or [].
  Value save(const void* state, Arena& arena) const override {
    const auto& edge = *static_cast<const EdgeState*>(state);
    ArrayBuilder array(arena, 2);
    if (!edge.kept.is_missing()) {
      array.add(edge.kept);
      array.add(Value::int64(edge.arrival));
    }
    return array.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (!saved.is_array()) return bad_state("$first");
    ArrayView array = saved.as_array();
    if (array.size() == 0) return {};
    if (array.size() != 2) return bad_state("$first");
    auto at = array.begin();
    Value kept = *at;
    ++at;
    Value arrival = *at;
    if (!arrival.is(Type::kInt64)) return bad_state("$first");
    replace(*static_cast<EdgeState*>(state), kept, arrival.as_int64(), heap);
    heap.arrival = std::max(heap.arrival, arrival.as_int64());
    return {};
  }

 private:
  static void replace(EdgeState& edge, const Value& value, int64_t arrival, HeapBytes& heap) {
    Value old = edge.kept;
    edge = {own(value, heap), arrival};
    disown(old, heap);
  }
};

// A state that is a pointer to a T, null as long as nothing has been added.
template <typename T>
T& ensure(void* state, HeapBytes& heap) {
  auto& pointer = *static_cast<T**>(state);
  if (pointer == nullptr) {
    pointer = new T;
    heap.used += static_cast<int64_t>(sizeof(T)) + 16;
  }
  return *pointer;
}
template <typename T>
const T* peek(const void* state) {
  return *static_cast<T* const*>(state);
}

// Rows of `width` owned values each, in order: the kept values of the N forms, with their sort keys
// before them.
struct Rows {
  std::vector<Value> values;
  int64_t n = 0;  // how many rows to keep; never 0 once there are values
};

// How many values an N form keeps: the same for all groups, or computed from each group's key.
struct Count {
  int64_t constant = 1;
  ExpressionPtr computed;  // or nullptr
};

// A positive integer of any number type.
Result<int64_t> read_n(const Value& value) {
  if (!value.is_number())
    return Status(5787902, "Value for 'n' must be of integral type, but found " +
                               std::string(value.type_name()));
  if (value.is(Type::kDouble) && !(std::fabs(value.as_double()) < 0x1p63))
    return Status(31109, "Value for 'n' is out of range of a long");
  auto count = whole_int64(value);
  // A decimal is whole as the double is that is nearest to it.
  if (!count && value.is(Type::kDecimal)) count = whole_int64(Value::number(value.to_double()));
  if (!count) return Status(5787903, "Value for 'n' must be of integral type");
  if (*count <= 0)
    return Status(5787908, "'n' must be greater than 0, found " + std::to_string(*count));
  return *count;
}

Result<Count> parse_n(const Value& spec, ParseContext& context) {
  Count count;
  MR_ASSIGN_OR_RETURN(count.computed, parse_expression(spec, context));
  if (count.computed->constant() != nullptr) {
    MR_ASSIGN_OR_RETURN(count.constant, read_n(*count.computed->constant()));
    count.computed = nullptr;
  }
  return count;
}

// Keeps the best n rows by some order: what $minN, $maxN, $top, … share. A row is `key_width` key
// values and, if `has_output`, one more.
class RowsAccumulator : public Accumulator {
 public:
  explicit RowsAccumulator(Count n) : n_(std::move(n)) {}
  bool starts_with_key() const override { return n_.computed != nullptr; }
  Value evaluate_start(EvalContext& context) const override {
    auto n = read_n(n_.computed->evaluate(context));
    if (!n.ok()) throw EvaluationError(n.status());
    return Value::int64(*n);
  }
  void start(void* state, const Value& setting, HeapBytes& heap) const override {
    ensure<Rows>(state, heap).n = setting.as_int64();
  }
  uint32_t state_size() const override { return sizeof(Rows*); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<Rows**>(state) = nullptr; }
  void destroy(void* state, HeapBytes& heap) const override {
    Rows* rows = *static_cast<Rows**>(state);
    if (rows == nullptr) return;
    for (const Value& value : rows->values) disown(value, heap);
    heap.used -= static_cast<int64_t>(rows->values.capacity() * sizeof(Value) + sizeof(Rows)) + 16;
    delete rows;
    *static_cast<Rows**>(state) = nullptr;
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    const Rows* from = peek<Rows>(other);
    if (from == nullptr) return;
    if (Rows& rows = ensure<Rows>(state, heap); rows.n == 0) rows.n = from->n;
    for (size_t i = 0; i < from->values.size(); i += width()) insert(state, &from->values[i], heap);
  }
  Value save(const void* state, Arena& arena) const override {
    const Rows* rows = peek<Rows>(state);
    ArrayBuilder array(arena, 8);
    if (rows != nullptr) {
      for (const Value& value : rows->values) array.add(value);
    }
    if (!starts_with_key()) return array.finish();
    ObjectBuilder object(arena, 2);
    object.add("n", Value::int64(rows != nullptr ? rows->n : 0));
    object.add("rows", array.finish());
    return object.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    Value saved_rows = saved;
    if (starts_with_key()) {
      if (!saved.is_object()) return bad_state("an N accumulator");
      Value n = saved.as_object().get("n");
      saved_rows = saved.as_object().get("rows");
      if (!n.is(Type::kInt64) || n.as_int64() < 0) return bad_state("an N accumulator");
      if (n.as_int64() > 0) start(state, n, heap);
    }
    if (!saved_rows.is_array() || saved_rows.as_array().size() % width() != 0)
      return bad_state("an N accumulator");
    std::vector<Value> row;
    for (const Value& value : saved_rows.as_array()) {
      row.push_back(value);
      if (row.size() < width()) continue;
      if (!good_row(row.data())) return bad_state("an N accumulator");
      insert(state, row.data(), heap);
      row.clear();
    }
    return {};
  }

 protected:
  virtual size_t width() const = 0;
  // A loaded one.
  virtual bool good_row(const Value* /*row*/) const { return true; }
  // Puts a row that is not owned yet where it belongs, and drops what is beyond n.
  virtual void insert(void* state, const Value* row, HeapBytes& heap) const = 0;

  // The rows of a state to which something is added.
  Rows& rows_of(void* state, HeapBytes& heap) const {
    Rows& rows = ensure<Rows>(state, heap);
    if (rows.n == 0) rows.n = n_.constant;
    return rows;
  }
  void insert_at(Rows& rows, size_t position, const Value* row, HeapBytes& heap) const {
    auto before = static_cast<int64_t>(rows.values.capacity());
    Value owned[2 + 32];
    size_t w = width();
    std::vector<Value> many;
    Value* copy = owned;
    if (w > std::size(owned)) {
      many.resize(w);
      copy = many.data();
    }
    for (size_t i = 0; i < w; ++i) copy[i] = own(row[i], heap);
    rows.values.insert(rows.values.begin() + static_cast<ptrdiff_t>(position * w), copy, copy + w);
    heap.used += (static_cast<int64_t>(rows.values.capacity()) - before) *
                 static_cast<int64_t>(sizeof(Value));
  }
  void erase_at(Rows& rows, size_t position, HeapBytes& heap) const {
    size_t w = width();
    auto from = rows.values.begin() + static_cast<ptrdiff_t>(position * w);
    for (size_t i = 0; i < w; ++i) disown(from[static_cast<ptrdiff_t>(i)], heap);
    rows.values.erase(from, from + static_cast<ptrdiff_t>(w));
  }
  size_t count(const Rows& rows) const { return rows.values.size() / width(); }

  Count n_;
};

// $firstN, $lastN: missing becomes null. A row is the value and its arrival; ascending by arrival.
template <bool kFirst>
class EdgeNAccumulator final : public RowsAccumulator {
 public:
  EdgeNAccumulator(ExpressionPtr input, Count n)
      : RowsAccumulator(std::move(n)), input_(std::move(input)) {}
  Value evaluate(EvalContext& context) const override {
    Value v = input_->evaluate(context);
    return v.is_missing() ? Value::null() : v;
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    Value row[kWidth] = {argument, Value::int64(heap.arrival)};
    insert(state, row, heap);
  }
  Value result(const void* state, Arena& arena) const override {
    const Rows* rows = peek<Rows>(state);
    ArrayBuilder array(arena, rows ? count(*rows) : 1);
    for (size_t i = 0; rows != nullptr && i < rows->values.size(); i += kWidth)
      array.add(deep_copy(rows->values[i], arena));
    return array.finish();
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
  }

 protected:
  static constexpr size_t kWidth = 2;
  size_t width() const override { return kWidth; }
  bool good_row(const Value* row) const override { return row[1].is(Type::kInt64); }
  void insert(void* state, const Value* row, HeapBytes& heap) const override {
    Rows& rows = rows_of(state, heap);
    int64_t arrival = row[1].as_int64();
    heap.arrival = std::max(heap.arrival, arrival);
    size_t at = count(rows);
    while (at > 0 && rows.values[(at - 1) * kWidth + 1].as_int64() > arrival) --at;
    bool full = static_cast<int64_t>(count(rows)) >= rows.n;
    if (full && at == (kFirst ? count(rows) : 0)) return;
    insert_at(rows, at, row, heap);
    if (full) erase_at(rows, kFirst ? count(rows) - 1 : 0, heap);
  }

 private:
  ExpressionPtr input_;
};

// $minN, $maxN: the n best, kept ascending; null and missing do not count. The largest are shown in
// descending order, equal ones (1 and 1.0) thus the later first, as the server does.
template <bool kMin>
class ExtremeNAccumulator final : public RowsAccumulator {
 public:
  ExtremeNAccumulator(ExpressionPtr input, Count n)
      : RowsAccumulator(std::move(n)), input_(std::move(input)) {}
  Value evaluate(EvalContext& context) const override { return input_->evaluate(context); }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    insert(state, &argument, heap);
  }
  Value result(const void* state, Arena& arena) const override {
    const Rows* rows = peek<Rows>(state);
    ArrayBuilder array(arena, rows ? rows->values.size() : 1);
    if (rows != nullptr) {
      for (size_t i = 0; i < rows->values.size(); ++i) {
        array.add(deep_copy(rows->values[kMin ? i : rows->values.size() - 1 - i], arena));
      }
    }
    return array.finish();
  }
  void add_dependencies(Dependencies& dependencies) const override {
    input_->add_dependencies(dependencies);
  }

 protected:
  size_t width() const override { return 1; }
  void insert(void* state, const Value* row, HeapBytes& heap) const override {
    if (row->is_nullish()) return;
    Rows& rows = rows_of(state, heap);
    bool full = static_cast<int64_t>(rows.values.size()) >= rows.n;
    if (full) {
      int c = compare(*row, kMin ? rows.values.back() : rows.values.front());
      if (kMin ? c >= 0 : c <= 0) return;
    }
    auto at = std::upper_bound(rows.values.begin(), rows.values.end(), *row,
                               [](const Value& a, const Value& b) { return compare(a, b) < 0; });
    insert_at(rows, static_cast<size_t>(at - rows.values.begin()), row, heap);
    if (full) erase_at(rows, kMin ? rows.values.size() - 1 : 0, heap);
  }

 private:
  ExpressionPtr input_;
};

// $top, $topN, $bottom, $bottomN. Rows are kept in sortBy's order, equal ones in that of arrival; a
// row is the key's values, the output's and the arrival.
class SortedAccumulator final : public RowsAccumulator {
 public:
  SortedAccumulator(SortPattern sort, ExpressionPtr output, Count n, bool top, bool single)
      : RowsAccumulator(std::move(n)),
        sort_(std::move(sort)),
        output_(std::move(output)),
        top_(top),
        single_(single) {}
  Value evaluate(EvalContext& context) const override {
    Value* row = context.arena->allocate_array<Value>(width());
    sort_.top_key(context, row);
    Value output = output_->evaluate(context);
    row[output_at()] = output.is_missing() ? Value::null() : output;
    row[arrival_at()] = Value::int64(0);  // said by add()
    return Value::array({row, width()});
  }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    auto row = argument.tree_elements();  // as evaluate() made it
    const_cast<Value&>(row[arrival_at()]) = Value::int64(heap.arrival);
    insert(state, row.data(), heap);
  }
  // Which of several equal ones at the end are left of $bottomN depends on what came after them.
  bool order_sensitive() const override { return !top_ && !single_; }
  Value result(const void* state, Arena& arena) const override {
    const Rows* rows = peek<Rows>(state);
    ArrayBuilder array(arena, 4);
    for (size_t i = 0; rows != nullptr && i < count(*rows); ++i) {
      array.add(deep_copy(rows->values[i * width() + output_at()], arena));
    }
    if (!single_) return array.finish();
    return array.size() == 0 ? Value::null() : array.at(0);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    sort_.add_dependencies(dependencies);
    output_->add_dependencies(dependencies);
  }

 protected:
  size_t output_at() const { return sort_.size(); }
  size_t arrival_at() const { return sort_.size() + 1; }
  size_t width() const override { return sort_.size() + 2; }
  bool good_row(const Value* row) const override { return row[arrival_at()].is(Type::kInt64); }
  void insert(void* state, const Value* row, HeapBytes& heap) const override {
    Rows& rows = rows_of(state, heap);
    int64_t arrival = row[arrival_at()].as_int64();
    heap.arrival = std::max(heap.arrival, arrival);
    size_t low = 0;
    size_t high = count(rows);
    while (low < high) {  // behind all that are not greater
      size_t middle = (low + high) / 2;
      const Value* other = &rows.values[middle * width()];
      int order = sort_.compare(row, other);
      if (order < 0 || (order == 0 && arrival < other[arrival_at()].as_int64())) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    bool full = static_cast<int64_t>(count(rows)) >= rows.n;
    if (full && !better(row, low, rows)) return;
    insert_at(rows, low, row, heap);
    if (!full) return;
    erase_at(rows, top_ ? count(rows) - 1 : low == 0 ? 1 : 0, heap);
  }

 private:
  // A full one changes only for a row that is better, not for an equal one that came later: so does
  // the server, for both ends.
  bool better(const Value* row, size_t position, const Rows& rows) const {
    if (top_) return position < count(rows);
    int order = sort_.compare(row, rows.values.data());
    return order > 0 || (order == 0 && position == 0);
  }

  SortPattern sort_;
  ExpressionPtr output_;
  bool top_;
  bool single_;
};

Result<AccumulatorPtr> parse_min(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(std::make_unique<ExtremeAccumulator<true>>(std::move(argument)));
}
Result<AccumulatorPtr> parse_max(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(std::make_unique<ExtremeAccumulator<false>>(std::move(argument)));
}
Result<AccumulatorPtr> parse_first(std::string_view name, const Value& operand,
                                   ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(std::make_unique<EdgeAccumulator<true>>(std::move(argument)));
}
Result<AccumulatorPtr> parse_last(std::string_view name, const Value& operand,
                                  ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr argument, parse_single_argument(name, operand, context));
  return AccumulatorPtr(std::make_unique<EdgeAccumulator<false>>(std::move(argument)));
}

// {input: …, n: …}
Result<AccumulatorPtr> parse_n_form(std::string_view name, const Value& operand,
                                    ParseContext& context) {
  if (!operand.is_object()) {
    bool edge = name == "$firstN" || name == "$lastN";
    return Status(edge ? 5787801 : 5787900, "specification must be an object; found " +
                                                std::string(name) + " of type " +
                                                std::string(operand.type_name()));
  }
  Value input_spec;
  Value n_spec;
  for (const Field& field : operand.as_object()) {
    if (field.name() == "input") {
      input_spec = field.value;
    } else if (field.name() == "n") {
      n_spec = field.value;
    } else {
      return Status(5787901, "Unknown argument for 'n' operator: " + std::string(field.name()));
    }
  }
  if (n_spec.is_missing()) return Status(5787906, "Missing value for 'n'");
  if (input_spec.is_missing()) return Status(5787907, "Missing value for 'input'");
  MR_ASSIGN_OR_RETURN(Count n, parse_n(n_spec, context));
  MR_ASSIGN_OR_RETURN(ExpressionPtr input, parse_expression(input_spec, context));
  if (name == "$firstN")
    return AccumulatorPtr(std::make_unique<EdgeNAccumulator<true>>(std::move(input), std::move(n)));
  if (name == "$lastN")
    return AccumulatorPtr(
        std::make_unique<EdgeNAccumulator<false>>(std::move(input), std::move(n)));
  if (name == "$minN")
    return AccumulatorPtr(
        std::make_unique<ExtremeNAccumulator<true>>(std::move(input), std::move(n)));
  return AccumulatorPtr(
      std::make_unique<ExtremeNAccumulator<false>>(std::move(input), std::move(n)));
}

// {output: …, sortBy: {…}} and, for the N forms, n.
Result<AccumulatorPtr> parse_sorted(std::string_view name, const Value& operand,
                                    ParseContext& context) {
  bool single = name == "$top" || name == "$bottom";
  bool top = name == "$top" || name == "$topN";
  std::string text(name);
  if (!operand.is_object())
    return Status(5788001, "specification must be an object; found " + text + " of type " +
                               std::string(operand.type_name()));
  Value output_spec;
  Value sort_spec;
  Value n_spec;
  for (const Field& field : operand.as_object()) {
    if (field.name() == "output") {
      output_spec = field.value;
    } else if (field.name() == "sortBy") {
      if (!field.value.is_object())
        return Status(10065, "invalid parameter: expected an object (sortBy)");
      sort_spec = field.value;
    } else if (field.name() == "n" && !single) {
      n_spec = field.value;
    } else {
      return Status(5788002,
                    "Unknown argument to " + text + " '" + std::string(field.name()) + "'");
    }
  }
  if (!single && n_spec.is_missing()) return Status(5788003, "Missing value for 'n'");
  if (output_spec.is_missing()) return Status(5788004, "Missing value for 'output'");
  if (sort_spec.is_missing()) return Status(5788005, "Missing value for 'sortBy'");
  Count n;
  if (!single) {
    MR_ASSIGN_OR_RETURN(n, parse_n(n_spec, context));
  }
  MR_ASSIGN_OR_RETURN(SortPattern sort, SortPattern::parse(sort_spec, context));
  MR_ASSIGN_OR_RETURN(ExpressionPtr output, parse_expression(output_spec, context));
  return AccumulatorPtr(std::make_unique<SortedAccumulator>(std::move(sort), std::move(output),
                                                            std::move(n), top, single));
}

constexpr std::array kRows = {
    AccumulatorRow{"$bottom", parse_sorted, "aggregation/bottom"},
    AccumulatorRow{"$bottomN", parse_sorted, "aggregation/bottomN"},
    AccumulatorRow{"$first", parse_first, "aggregation/first"},
    AccumulatorRow{"$firstN", parse_n_form, "aggregation/firstN"},
    AccumulatorRow{"$last", parse_last, "aggregation/last"},
    AccumulatorRow{"$lastN", parse_n_form, "aggregation/lastN"},
    AccumulatorRow{"$max", parse_max, "aggregation/max"},
    AccumulatorRow{"$maxN", parse_n_form, "aggregation/maxN"},
    AccumulatorRow{"$min", parse_min, "aggregation/min"},
    AccumulatorRow{"$minN", parse_n_form, "aggregation/minN"},
    AccumulatorRow{"$top", parse_sorted, "aggregation/top"},
    AccumulatorRow{"$topN", parse_sorted, "aggregation/topN"},
};

}  // namespace

std::span<const AccumulatorRow> order_accumulators() { return kRows; }

}  // namespace millrace::engine
