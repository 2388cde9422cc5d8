// What the families of query operators are built of: conditions on one value, and how they become
// predicates on a document.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/match/match.h"
#include "engine/match/match_path.h"

namespace millrace::engine {

// A condition on one value. Used by one thread at a time.
class ValueTest {
 public:
  virtual ~ValueTest() = default;
  // `value` may be missing. Arrays are not looked into unless the operator is about arrays.
  virtual bool test(const Value& value, EvalContext& context) const = 0;
};
using ValueTestPtr = std::unique_ptr<ValueTest>;

// The condition or conditions of one operator on a field, before it is known whether they apply to
// a path ({a: {$gt: 1}}, where each is satisfied by any value at the path) or to one value (inside
// {$elemMatch: {$gt: 1}}).
struct FieldCondition {
  ValueTestPtr test;                // null: all of `all` must hold
  std::vector<FieldCondition> all;  // satisfied by possibly different values at the path
  LeafArray leaf = LeafArray::kElementsAndWhole;
  bool negated = false;
};

// The condition on the values at `path`.
PredicatePtr make_path_predicate(const MatchPath& path, FieldCondition condition);
// The condition on one value.
ValueTestPtr make_value_test(FieldCondition condition);

PredicatePtr make_and(std::vector<PredicatePtr> clauses);
PredicatePtr make_or(std::vector<PredicatePtr> clauses);
PredicatePtr make_not(PredicatePtr clause);
PredicatePtr make_constant_predicate(bool matches);

// `test` on each value at `path` until one satisfies it. Test is a final class, so that its test()
// is not a virtual call.
template <typename Test>
class PathPredicate final : public Predicate {
 public:
  PathPredicate(MatchPath path, std::unique_ptr<Test> test, LeafArray leaf, bool negated)
      : path_(std::move(path)), test_(std::move(test)), leaf_(leaf), negated_(negated) {}

  bool matches(const Value& document, EvalContext& context) const override {
    const Test& test = *test_;
    return path_.any(document, leaf_,
                     [&](const Value& value) { return test.test(value, context); }) != negated_;
  }
  void add_dependencies(Dependencies& dependencies) const override {
    path_.add_dependencies(dependencies);
  }

 private:
  MatchPath path_;
  std::unique_ptr<Test> test_;
  LeafArray leaf_;
  bool negated_;
};

}  // namespace millrace::engine
