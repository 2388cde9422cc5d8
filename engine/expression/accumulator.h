// Accumulators of $group: each group holds one fixed-size state per accumulator in memory that the
// group table lays out, so that a group with five of them is one small block. States merge, so that
// windows can be put together from panes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/expression/expression.h"

namespace millrace::engine {

// What the accumulators of one table share.
struct HeapBytes {
  // Bytes that they hold on the heap beyond their fixed states (strings, arrays), for the
  // processor's memory ceiling.
  int64_t used = 0;
  // The number of the document whose values are added, in the order of arrival; grows. States that
  // keep it can be merged in any order. Never less than in a state that was loaded.
  int64_t arrival = 0;
};

// States that the group table updates itself when the value is a plain number, without a call per
// value: their layout is known (accumulator_state.h). Everything else is kOther.
enum class AccumulatorKind : uint8_t { kOther, kCount, kSum, kAverage, kMin, kMax };

// One accumulator of one $group stage, compiled. Stateless itself; single-threaded with its
// pipeline.
class Accumulator {
 public:
  virtual ~Accumulator() = default;

  // Size of a state in bytes, a multiple of 8; states are aligned to 8. At most 32 for the numeric
  // ones. A state may be moved in memory by copying its bytes.
  virtual uint32_t state_size() const = 0;
  // True if a state of all zero bytes is a fresh one: the group table then clears memory instead of
  // calling init.
  virtual bool zero_is_fresh() const { return false; }
  virtual void init(void* state) const = 0;
  // Frees what the state holds on the heap.
  virtual void destroy(void* /*state*/, HeapBytes& /*heap*/) const {}

  // True for an accumulator with a setting that is computed from the group's key ($firstN's n):
  // each new group's state is then told it once by start(), before anything is added. A fresh state
  // that others are merged into, or that is loaded, takes it over from there.
  virtual bool starts_with_key() const { return false; }
  // The setting for the group whose key is the root of `context`. Throws EvaluationError.
  virtual Value evaluate_start(EvalContext& /*context*/) const { return {}; }
  virtual void start(void* /*state*/, const Value& /*setting*/, HeapBytes& /*heap*/) const {}

  // The argument(s) for the document in `context`, to be handed to add(). Throws EvaluationError.
  // Two steps, so that a document that fails in one accumulator has not been counted by another.
  virtual Value evaluate(EvalContext& context) const = 0;
  // Takes the argument of one document. Never throws.
  virtual void add(void* state, const Value& argument, HeapBytes& heap) const = 0;
  // Adds what `other` (of a later pane) has collected. Requires: mergeable().
  virtual void merge(void* state, const void* other, HeapBytes& heap) const = 0;
  virtual bool mergeable() const { return true; }
  // True if the result depends on the order in which documents came and the state does not say it
  // ($push, …), so that states of documents that came interleaved cannot be put together exactly.
  virtual bool order_sensitive() const { return false; }
  // True for a state that is about as large as all that went into it ($push).
  virtual bool grows() const { return false; }
  // The accumulator's value; does not change the state. Lives in `arena` alone.
  virtual Value result(const void* state, Arena& arena) const = 0;

  // The state as a BSON value that load() understands, for checkpoints: readable in a dump, exact
  // to the bit. Lives in `arena` or in the state.
  virtual Value save(const void* state, Arena& arena) const = 0;
  // Requires: `state` is fresh. Errors: the value is not one that save() of this accumulator gave.
  virtual Status load(void* state, const Value& saved, HeapBytes& heap) const = 0;

  virtual void add_dependencies(Dependencies& dependencies) const = 0;

  virtual AccumulatorKind kind() const { return AccumulatorKind::kOther; }
  // The expression of which evaluate() gives the plain value, or nullptr if it does more.
  virtual const Expression* argument() const { return nullptr; }
};
using AccumulatorPtr = std::unique_ptr<Accumulator>;

// Parses {$sum: …} and so on. Errors: 15952 "unknown group operator '$x'", 238 for one that
// Millrace does not support yet.
Result<AccumulatorPtr> parse_accumulator(std::string_view name, const Value& operand,
                                         ParseContext& context);

struct AccumulatorRow {
  std::string_view name;
  Result<AccumulatorPtr> (*parse)(std::string_view name, const Value& operand,
                                  ParseContext& context);  // nullptr: not supported yet
  std::string_view manual;
};
// All rows, for lookup, coverage and tests.
std::span<const std::span<const AccumulatorRow>> accumulator_families();

// One span per family file, each declared there.
std::span<const AccumulatorRow> numeric_accumulators();
std::span<const AccumulatorRow> order_accumulators();
std::span<const AccumulatorRow> collection_accumulators();
std::span<const AccumulatorRow> percentile_accumulators();

// For the families: the argument of an accumulator that takes one expression. Errors: 40237 for an
// array.
Result<ExpressionPtr> parse_single_argument(std::string_view name, const Value& operand,
                                            ParseContext& context);

// An accumulator over the value of one expression.
class SingleArgumentAccumulator : public Accumulator {
 public:
  explicit SingleArgumentAccumulator(ExpressionPtr argument) : argument_(std::move(argument)) {}
  Value evaluate(EvalContext& context) const override { return argument_->evaluate(context); }
  void add_dependencies(Dependencies& dependencies) const override {
    argument_->add_dependencies(dependencies);
  }
  const Expression* argument() const override { return argument_.get(); }

 protected:
  ExpressionPtr argument_;
};

}  // namespace millrace::engine
