// Aggregation expressions: parsed once into a tree of nodes, evaluated once per document.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/clock.h"
#include "engine/document/field_path.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

// A seed for $rand: another one each time, at the cost of one atomic addition.
uint32_t random_seed();

// What an evaluation sees and where its temporaries go. One per pipeline thread; the fields that
// change per document are set by the operator that evaluates.
struct EvalContext {
  Arena* arena = nullptr;  // results live until the batch ends
  Value root;              // $$ROOT and, unless rebound, $$CURRENT
  Value stream_meta;  // {source: …, window: …, <custom>: …}: what {$meta: "stream…"} reads; missing
                      // outside streams
  std::vector<Value> variables;  // by slot, see ParseContext
  const Clock* clock = nullptr;
  int64_t now_ms = 0;  // $$NOW, where it is allowed: fixed for one command
  std::minstd_rand random{random_seed()};
};

// What an expression reads. Collected from all stages of a pipeline before it runs.
struct Dependencies {
  PathSet fields;            // of the document
  bool stream_meta = false;  // {$meta: "stream…"} or _stream_meta
};

// A compiled expression. Used by one thread at a time: nodes cache where they last found a field.
class Expression {
 public:
  virtual ~Expression() = default;
  // The value for the document in `context`; missing where MongoDB has missing. Throws
  // EvaluationError with the server's code.
  virtual Value evaluate(EvalContext& context) const = 0;
  virtual void add_dependencies(Dependencies& dependencies) const = 0;
  // The value, if it does not depend on the document, the variables or the time: such nodes are
  // folded.
  virtual const Value* constant() const { return nullptr; }
};
using ExpressionPtr = std::unique_ptr<Expression>;

// What parsing needs to know and where compiled things live.
class ParseContext {
 public:
  explicit ParseContext(CompiledMemory& memory) : memory_(memory) {}

  NameTable& names() { return memory_.names; }
  Arena& constants() { return memory_.constants; }

  // In a stream pipeline $$NOW, $$CLUSTER_TIME, $$USER_ROLES and $$SEARCH_META are refused
  // (stages-windows-time.md P-8).
  bool in_stream = false;
  bool has_now = true;  // $$NOW: not in the queries of count and distinct, as on the server

  // User variables ($let, $map's `as`, $merge's let): a slot of EvalContext::variables each. Scopes
  // nest; slots are never reused within one compiled pipeline, so that a slot has one meaning.
  size_t define_variable(std::string_view name) {
    scope_.push_back({std::string(name), variable_count_});
    return variable_count_++;
  }
  void end_variables(size_t count) { scope_.resize(scope_.size() - count); }
  // The innermost variable of that name, or -1.
  int find_variable(std::string_view name) const {
    for (size_t i = scope_.size(); i-- > 0;) {
      if (scope_[i].name == name) return static_cast<int>(scope_[i].slot);
    }
    return -1;
  }
  // How large EvalContext::variables must be.
  size_t variable_count() const { return variable_count_; }

  // Nesting of expressions being parsed; bounded so that no input overflows the stack.
  int depth = 0;

  // The first constant below the expression being parsed whose evaluation failed. Reported when the
  // outermost expression is through, so that errors of form come first, as on the server, which
  // folds after it has parsed.
  std::optional<Status> failed_constant;

 private:
  struct Variable {
    std::string name;
    size_t slot;
  };
  CompiledMemory& memory_;
  std::vector<Variable> scope_;
  size_t variable_count_ = 0;
};

// Parses any expression: "$field.path", "$$variable", literal values, {field: expression, …},
// [expression, …], {$operator: operand}. Constants are copied into the context's memory and folded.
// Errors: 168 InvalidPipelineOperator "Unrecognized expression '$x'", and each operator's own.
Result<ExpressionPtr> parse_expression(const Value& spec, ParseContext& context);

// A constant node. The value is copied.
ExpressionPtr make_constant(const Value& value, ParseContext& context);

// A dotted path below $$CURRENT, as "$a.b" gives it.
ExpressionPtr make_field_path(FieldPath path);

// The variable in `slot`, or a path below it.
ExpressionPtr make_variable(size_t slot, FieldPath path);

}  // namespace millrace::engine
