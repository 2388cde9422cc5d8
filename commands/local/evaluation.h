// One command's compiled expressions and predicates, with what they need to be evaluated: variables
// of `let`, the time, memory.
#pragma once

#include <memory>

#include "engine/document/bson.h"
#include "engine/expression/expression.h"
#include "engine/match/match.h"

namespace millrace::commands {

// Single-threaded. Not movable: what is compiled points into it.
class Evaluation {
 public:
  explicit Evaluation(const engine::Clock& clock);
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  // Binds the fields of a command's `let`, or of an update statement's `c`, as variables. Their
  // values are constant expressions, or, with `literal`, plain values. Errors: 14 when it is no
  // object, 9 for a bad name, those of the expressions.
  engine::Status bind(const engine::Value& variables, bool literal = false);
  // Replaces the values of variables bound before from a document of the same field names; false
  // when the names differ.
  bool rebind(const engine::Value& variables);

  engine::Result<engine::PredicatePtr> parse_predicate(const engine::Value& query);
  // The same where only fields may be asked for. Errors: 224 QueryFeatureNotAllowed for $expr and
  // $jsonSchema, 2 for $text and $where.
  engine::Result<engine::PredicatePtr> parse_field_predicate(const engine::Value& query);
  // Before the first evaluation: room for the variables of what was parsed meanwhile.
  void ready() { eval_.variables.resize(parse_.variable_count()); }

  // Errors: what $expr throws, as a Status.
  engine::Result<bool> matches(const engine::Predicate& predicate, const engine::Value& document);

  engine::ParseContext& parse() { return parse_; }
  engine::EvalContext& eval() { return eval_; }
  engine::Arena& arena() { return arena_; }  // temporaries of one document or batch
  const engine::Clock& clock() const { return clock_; }

 private:
  engine::CompiledMemory memory_;
  engine::ParseContext parse_{memory_};
  engine::Arena arena_;
  engine::Arena bound_;  // values of variables
  engine::EvalContext eval_;
  const engine::Clock& clock_;
};

}  // namespace millrace::commands
