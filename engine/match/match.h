// Query predicates ($match, $validate, filters of find and of lists), compiled once.
// Source: https://www.mongodb.com/docs/manual/reference/operator/query/
#pragma once

#include <memory>

#include "engine/expression/expression.h"

namespace millrace::engine {

// A compiled predicate. Used by one thread at a time.
class Predicate {
 public:
  virtual ~Predicate() = default;
  // True if `document` matches. `context` serves $expr and regular expressions; its root must be
  // the document. Throws EvaluationError only from $expr.
  virtual bool matches(const Value& document, EvalContext& context) const = 0;
  virtual void add_dependencies(Dependencies& dependencies) const = 0;
  // There is an $expr in it. Such clauses are tried last, as on the server: what the others decide
  // needs no evaluation that could fail.
  virtual bool evaluates() const { return false; }
};
using PredicatePtr = std::unique_ptr<Predicate>;

struct MatchOptions {
  // Where the predicate stands; $where, $text, $near and $nearSphere are refused everywhere with
  // the documented error.
  std::string_view place = "$match";
};

// Parses a query document, e.g. {a: {$gt: 1}, $or: [...]}. Errors: 2 BadValue "unknown top level
// operator: $x" and the server's others.
Result<PredicatePtr> parse_predicate(const Value& query, ParseContext& context,
                                     const MatchOptions& options = {});

}  // namespace millrace::engine
