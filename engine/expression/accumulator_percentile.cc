// $percentile and $median, as accumulators and as expressions.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "engine/expression/accumulator.h"
#include "engine/expression/number.h"
#include "engine/expression/percentile.h"
#include "engine/expression/t_digest.h"

namespace millrace::engine {
namespace {

// What stands beside both operators in both forms.
struct PercentileSpec {
  ExpressionPtr input;
  std::vector<double> ps;
  bool single = false;  // $median: one value instead of an array
};

// The values at `ps`, or null for each if there are none.
Value show(const PercentileSpec& spec, std::span<const double> values, Arena& arena) {
  ArrayBuilder array(arena, spec.ps.size());
  for (size_t i = 0; i < spec.ps.size(); ++i)
    array.add(values.empty() ? Value::null() : Value::number(values[i]));
  return spec.single ? array.at(0) : array.finish();
}

// p: a constant array of numbers from 0 to 1.
Result<std::vector<double>> parse_ps(const Value& spec, ParseContext& context) {
  MR_ASSIGN_OR_RETURN(ExpressionPtr expression, parse_expression(spec, context));
  if (expression->constant() == nullptr) {
    return Status(7750300, "The 'p' of $percentile must be an array of constant values, but is " +
                               shown(spec));
  }
  const Value& constant = *expression->constant();
  auto refuse = [](int code, const Value& found) {
    return Status(code, "The 'p' of $percentile must be an array of numbers from 0.0 to 1.0, but " +
                            shown(found) + " was found");
  };
  if (!constant.is_array() || constant.as_array().empty()) return refuse(7750301, constant);
  std::vector<double> ps;
  for (const Value& element : constant.as_array()) {
    if (!element.is_number()) return refuse(7750302, element);
    double p = element.to_double();
    if (!(p >= 0 && p <= 1)) return refuse(7750303, element);
    ps.push_back(p);
  }
  return ps;
}

Result<PercentileSpec> parse_spec(std::string_view name, const Value& operand, int not_object,
                                  ParseContext& context) {
  if (!operand.is_object()) {
    return Status(not_object, std::string(name) + "'s specification must be an object, but is " +
                                  shown(operand));
  }
  PercentileSpec spec;
  spec.single = name == "$median";
  Value input;
  Value p;
  Value method;
  for (const Field& field : operand.as_object()) {
    std::string path = std::string(name) + "." + std::string(field.name());
    Value* part = field.name() == "input"               ? &input
                  : field.name() == "method"            ? &method
                  : !spec.single && field.name() == "p" ? &p
                                                        : nullptr;
    if (part == nullptr) return Status(40415, "BSON field '" + path + "' is an unknown field.");
    if (!part->is_missing()) return Status(40413, "BSON field '" + path + "' is a duplicate field");
    *part = field.value;
    if (part != &method) continue;
    if (!method.is_string()) {
      return Status(ErrorCode::kTypeMismatch, "BSON field '" + path + "' is the wrong type '" +
                                                  std::string(method.type_name()) +
                                                  "', expected type 'string'");
    }
    if (method.as_string() != "approximate") {
      return Status(ErrorCode::kBadValue,
                    "Currently only 'approximate' can be used as percentile 'method'.");
    }
  }
  auto absent = [&](const char* field) {
    return Status(40414, "BSON field '" + std::string(name) + "." + field +
                             "' is missing but a required field");
  };
  if (input.is_missing()) return absent("input");
  if (!spec.single && p.is_missing()) return absent("p");
  if (method.is_missing()) return absent("method");
  MR_ASSIGN_OR_RETURN(spec.input, parse_expression(input, context));
  if (spec.single) {
    spec.ps = {0.5};
  } else {
    MR_ASSIGN_OR_RETURN(spec.ps, parse_ps(p, context));
  }
  return spec;
}

Value array_of(std::span<const double> numbers, Arena& arena) {
  ArrayBuilder array(arena, numbers.size());
  for (double number : numbers) array.add(Value::number(number));
  return array.finish();
}

// Fails on anything but an array of doubles.
bool read_doubles(const Value& value, std::vector<double>& to) {
  if (!value.is_array()) return false;
  for (const Value& element : value.as_array()) {
    if (!element.is(Type::kDouble)) return false;
    to.push_back(element.as_double());
  }
  return true;
}

// The state is a pointer to a digest, null as long as no number has come.
class PercentileAccumulator final : public Accumulator {
 public:
  explicit PercentileAccumulator(PercentileSpec spec) : spec_(std::move(spec)) {}
  uint32_t state_size() const override { return sizeof(TDigest*); }
  bool zero_is_fresh() const override { return true; }
  void init(void* state) const override { *static_cast<TDigest**>(state) = nullptr; }
  void destroy(void* state, HeapBytes& heap) const override {
    auto& digest = *static_cast<TDigest**>(state);
    if (digest == nullptr) return;
    heap.used -= bytes(*digest);
    delete digest;
    digest = nullptr;
  }
  Value evaluate(EvalContext& context) const override { return spec_.input->evaluate(context); }
  void add(void* state, const Value& argument, HeapBytes& heap) const override {
    if (!argument.is_number()) return;
    TDigest& digest = ensure(state, heap);
    heap.used -= bytes(digest);
    digest.add(argument.to_double());
    heap.used += bytes(digest);
  }
  void merge(void* state, const void* other, HeapBytes& heap) const override {
    const TDigest* from = *static_cast<TDigest* const*>(other);
    if (from == nullptr) return;
    TDigest& digest = ensure(state, heap);
    heap.used -= bytes(digest);
    digest.merge(*from);
    heap.used += bytes(digest);
  }
  Value result(const void* state, Arena& arena) const override {
    const TDigest* digest = *static_cast<TDigest* const*>(state);
    std::vector<double> values;
    if (digest != nullptr) values = digest->percentiles(spec_.ps);
    return show(spec_, values, arena);
  }
  Value save(const void* state, Arena& arena) const override {
    const TDigest* digest = *static_cast<TDigest* const*>(state);
    if (digest == nullptr) return Value::null();
    const TDigest::Parts& parts = digest->parts();
    ArrayBuilder weights(arena, parts.centroids.size());
    ArrayBuilder means(arena, parts.centroids.size());
    for (const TDigest::Centroid& centroid : parts.centroids) {
      weights.add(Value::number(centroid.weight));
      means.add(Value::number(centroid.mean));
    }
    ObjectBuilder object(arena, 7);
    object.add("buffer", array_of(parts.buffer, arena));
    object.add("weights", weights.finish());
    object.add("means", means.finish());
    object.add("min", Value::number(parts.min));
    object.add("max", Value::number(parts.max));
    object.add("negativeInfinities", Value::int64(parts.negative_infinities));
    object.add("positiveInfinities", Value::int64(parts.positive_infinities));
    return object.finish();
  }
  Status load(void* state, const Value& saved, HeapBytes& heap) const override {
    if (saved.is(Type::kNull)) return {};
    Status bad(ErrorCode::kInternalError, "the saved state of $percentile is not one");
    if (!saved.is_object()) return bad;
    ObjectView object = saved.as_object();
    TDigest::Parts parts;
    std::vector<double> weights;
    std::vector<double> means;
    Value min = object.get("min");
    Value max = object.get("max");
    Value negative = object.get("negativeInfinities");
    Value positive = object.get("positiveInfinities");
    if (!read_doubles(object.get("buffer"), parts.buffer) ||
        !read_doubles(object.get("weights"), weights) ||
        !read_doubles(object.get("means"), means) || weights.size() != means.size() ||
        !min.is(Type::kDouble) || !max.is(Type::kDouble) || !negative.is(Type::kInt64) ||
        !positive.is(Type::kInt64))
      return bad;
    for (size_t i = 0; i < weights.size(); ++i) parts.centroids.push_back({weights[i], means[i]});
    parts.min = min.as_double();
    parts.max = max.as_double();
    parts.negative_infinities = negative.as_int64();
    parts.positive_infinities = positive.as_int64();
    TDigest& digest = ensure(state, heap);
    heap.used -= bytes(digest);
    bool good = digest.restore(std::move(parts));
    heap.used += bytes(digest);
    return good ? Status() : bad;
  }
  void add_dependencies(Dependencies& dependencies) const override {
    spec_.input->add_dependencies(dependencies);
  }

 private:
  static int64_t bytes(const TDigest& digest) {
    return static_cast<int64_t>(sizeof(TDigest)) + 16 + digest.heap_bytes();
  }
  static TDigest& ensure(void* state, HeapBytes& heap) {
    auto& digest = *static_cast<TDigest**>(state);
    if (digest == nullptr) {
      digest = new TDigest;
      heap.used += bytes(*digest);
    }
    return *digest;
  }

  PercentileSpec spec_;
};

// Over the numbers of one array, or over one number. Always exact by rank, as the server does it,
// which makes a digest for accumulators only.
class PercentileExpression final : public Expression {
 public:
  explicit PercentileExpression(PercentileSpec spec) : spec_(std::move(spec)) {}
  Value evaluate(EvalContext& context) const override {
    Value input = spec_.input->evaluate(context);
    std::vector<double> numbers;
    if (input.is_number()) numbers.assign(spec_.ps.size(), input.to_double());
    if (!input.is_array()) return show(spec_, numbers, *context.arena);
    for (const Value& element : input.as_array()) {
      if (element.is_number() && !is_nan(element)) numbers.push_back(element.to_double());
    }
    std::sort(numbers.begin(), numbers.end());
    std::vector<double> values;
    if (!numbers.empty()) {
      for (double p : spec_.ps)
        values.push_back(numbers[percentile_rank(static_cast<int64_t>(numbers.size()), p)]);
    }
    return show(spec_, values, *context.arena);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    spec_.input->add_dependencies(dependencies);
  }

 private:
  PercentileSpec spec_;
};

Result<AccumulatorPtr> parse_percentile(std::string_view name, const Value& operand,
                                        ParseContext& context) {
  int not_object = name == "$median" ? 7436100 : 7429703;
  MR_ASSIGN_OR_RETURN(PercentileSpec spec, parse_spec(name, operand, not_object, context));
  return AccumulatorPtr(std::make_unique<PercentileAccumulator>(std::move(spec)));
}

constexpr std::array kRows = {
    AccumulatorRow{"$accumulator", nullptr, "aggregation/accumulator"},
    AccumulatorRow{"$median", parse_percentile, "aggregation/median"},
    AccumulatorRow{"$percentile", parse_percentile, "aggregation/percentile"},
};

}  // namespace

std::span<const AccumulatorRow> percentile_accumulators() { return kRows; }

Result<ExpressionPtr> parse_percentile_expression(std::string_view name, const Value& operand,
                                                  ParseContext& context) {
  int not_object = name == "$median" ? 7436201 : 7436200;
  MR_ASSIGN_OR_RETURN(PercentileSpec spec, parse_spec(name, operand, not_object, context));
  return ExpressionPtr(std::make_unique<PercentileExpression>(std::move(spec)));
}

}  // namespace millrace::engine
