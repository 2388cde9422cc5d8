// {a: 1, "b.c": -1} compiled: what $sort, $top, $bottom and their like order documents by.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/sort/
#pragma once

#include <vector>

#include "engine/expression/expression.h"

namespace millrace::engine {

// Used by one thread at a time.
class SortPattern {
 public:
  // Errors: 15973, 15974, 15975, 15976 as the server's $sort; 238 for {$meta: …}.
  static Result<SortPattern> parse(const Value& spec, ParseContext& context);

  size_t size() const { return parts_.size(); }
  // Writes size() values: the document's key. Missing becomes null; an array counts by its smallest element where the order is
  // ascending and by its largest where it is descending. Values live as long as the document's and `context.arena`.
  void key(EvalContext& context, Value* to) const;
  // <0, 0, >0 for keys that key() gave.
  int compare(const Value* a, const Value* b) const;
  void add_dependencies(Dependencies& dependencies) const;

 private:
  struct Part {
    ExpressionPtr value;
    bool descending;
  };
  std::vector<Part> parts_;
};

}  // namespace millrace::engine
