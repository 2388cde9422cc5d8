// Accumulators of $group: each group holds one fixed-size state per accumulator in memory that the group table lays out, so that a
// group with five of them is one small block. States merge, so that windows can be put together from panes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/expression/expression.h"

namespace millrace::engine {

// Bytes that accumulators hold on the heap beyond their fixed states (strings, arrays), for the processor's memory ceiling.
struct HeapBytes {
  int64_t used = 0;
};

// One accumulator of one $group stage, compiled. Stateless itself; single-threaded with its pipeline.
class Accumulator {
 public:
  virtual ~Accumulator() = default;

  // Size of a state in bytes; states are aligned to 8. At most 32 for the numeric ones.
  virtual uint32_t state_size() const = 0;
  // True if a state of all zero bytes is a fresh one: the group table then clears memory instead of calling init.
  virtual bool zero_is_fresh() const { return false; }
  virtual void init(void* state) const = 0;
  // Frees what the state holds on the heap.
  virtual void destroy(void* /*state*/, HeapBytes& /*heap*/) const {}

  // Takes one document: evaluates the argument(s) in `context` and adds the result. Throws EvaluationError before the state has changed.
  virtual void add(void* state, EvalContext& context, HeapBytes& heap) const = 0;
  // Adds what `other` (of a later pane) has collected. Requires: mergeable().
  virtual void merge(void* state, const void* other, HeapBytes& heap) const = 0;
  virtual bool mergeable() const { return true; }
  // The accumulator's value; does not change the state. Lives in `arena` (or in the state).
  virtual Value result(const void* state, Arena& arena) const = 0;

  // The state as a BSON value that load() understands, for checkpoints: readable in a dump, exact to the bit.
  virtual Value save(const void* state, Arena& arena) const = 0;
  // Requires: `state` is fresh. Errors: the value is not one that save() of this accumulator gave.
  virtual Status load(void* state, const Value& saved, HeapBytes& heap) const = 0;

  virtual void add_dependencies(Dependencies& dependencies) const = 0;
};
using AccumulatorPtr = std::unique_ptr<Accumulator>;

// Parses {$sum: …} and so on. Errors: 15952 "unknown group operator '$x'", 238 for one that Millrace does not support yet.
Result<AccumulatorPtr> parse_accumulator(std::string_view name, const Value& operand, ParseContext& context);

struct AccumulatorRow {
  std::string_view name;
  Result<AccumulatorPtr> (*parse)(std::string_view name, const Value& operand, ParseContext& context);  // nullptr: not supported yet
  std::string_view manual;
};
// All rows, for lookup, coverage and tests.
std::span<const std::span<const AccumulatorRow>> accumulator_families();

}  // namespace millrace::engine
