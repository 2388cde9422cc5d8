// {a: 1, "b.c": -1} compiled: what $sort, $top, $bottom and their like order documents by.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/sort/
#pragma once

#include <vector>

#include "engine/expression/expression.h"

namespace millrace::engine {

// Used by one thread at a time.
class SortPattern {
 public:
  enum class Paths {
    kDistinct,  // and not too many
    kAny,       // as $push's $sort takes them
  };
  // Errors: 15973, 15974, 15975, 17312 as the server's $sort, 9657900 for an empty document,
  // 7472500 and 13103 for kDistinct; for {$meta: …} 9, 31138, 40218.
  static Result<SortPattern> parse(const Value& spec, ParseContext& context,
                                   Paths paths = Paths::kDistinct);

  size_t size() const { return parts_.size(); }
  // Writes size() values, the key of context.root as $sort has it: missing is null; a document with
  // an array on a path has a key per element and counts with the one that comes first in this
  // order. Values live as long as the document and `context.arena`. Throws EvaluationError 2 when
  // two paths lead through different arrays.
  void sort_key(EvalContext& context, Value* to) const;
  // The same as $top, $bottom and their N forms have it (MongoDB 6.0.5): arrays compare as a whole,
  // an empty one as undefined.
  void top_key(EvalContext& context, Value* to) const;
  // The same as $push with $sort has it for one element: what stands at each path, whole; an array
  // on the way is entered by a position only. Anything but a document has nothing there.
  void whole_key(const Value& element, Value* to) const;
  // <0, 0, >0 for keys of one kind.
  int compare(const Value* a, const Value* b) const;
  void add_dependencies(Dependencies& dependencies) const;

  // The pattern stands behind other keys: _id is not alone then.
  void follow_others() { by_id_alone_ = false; }

 private:
  struct Part {
    FieldPath path;  // empty for {$meta: …}
    ExpressionPtr value;
    bool descending;
  };
  // Where one part's path has got to in a document.
  struct Walk {
    Value at;
    size_t depth;
  };
  Status check_paths() const;
  void smallest_key(std::vector<Walk> walks, Value* best, bool* found) const;

  std::vector<Part> parts_;
  bool by_id_alone_ = false;  // {_id: ±1}: an array, as $group may put there, then compares as a
                              // whole (MongoDB 6.0.5)
};

}  // namespace millrace::engine
