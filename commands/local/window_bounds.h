// The `window` of a window function: which documents of a partition each of them sees.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/setWindowFields/
#pragma once

#include <optional>
#include <vector>

#include "engine/expression/date_arithmetic.h"
#include "engine/expression/sort_pattern.h"

namespace millrace::commands {

// What a stage's sortBy comes to for its functions.
struct WindowSort {
  bool given = false;
  size_t fields = 0;
  bool descending = false;   // the first field
  engine::ExpressionPtr by;  // its value in a document; null unless there is exactly one
  bool single() const { return fields == 1; }
};

// One partition while its functions run: the documents in order and the sort field's values.
struct WindowPartition {
  std::vector<engine::Value> documents;
  std::vector<engine::Value> sort_values;  // empty unless there is exactly one sort field
};

class WindowBounds {
 public:
  enum class Kind { kUnbounded, kCurrent, kOffset };
  struct Bound {
    Kind kind = Kind::kUnbounded;
    engine::Value offset;  // kOffset: a number; of documents: a whole one
    int64_t documents = 0;
  };
  // `spec`: {window: …}'s value, or missing. Errors: 9 FailedToParse, 5339900 to 5339902, 8947401,
  // those of an expression that stands for a bound.
  static engine::Result<WindowBounds> parse(const engine::Value& spec, const WindowSort& sort,
                                            engine::ParseContext& parse);

  bool from_start() const { return lower_.kind == Kind::kUnbounded; }
  bool range() const { return range_; }
  // True unless the document itself is outside its window.
  bool has_current() const;
  bool whole() const { return from_start() && upper_.kind == Kind::kUnbounded; }

  // [first, last) of each document, both never less than those of the document before. Throws
  // EvaluationError 5429413, 5429414, 5429513.
  struct Interval {
    size_t first;
    size_t last;
  };
  std::vector<Interval> intervals(const WindowPartition& partition,
                                  engine::EvalContext& eval) const;

 private:
  engine::Status check_order() const;
  Interval documents_at(size_t index, size_t count) const;
  engine::Value moved(const engine::Value& base, const Bound& bound,
                      engine::EvalContext& eval) const;

  bool range_ = false;
  std::optional<engine::DateUnit> unit_;
  Bound lower_;
  Bound upper_;
};

}  // namespace millrace::commands
