#include "engine/match/predicate.h"

#include <algorithm>

#include "engine/match/comparison.h"

namespace millrace::engine {
namespace {

bool any_evaluates(const std::vector<PredicatePtr>& clauses) {
  return std::any_of(clauses.begin(), clauses.end(),
                     [](const auto& clause) { return clause->evaluates(); });
}

void put_evaluating_last(std::vector<PredicatePtr>& clauses) {
  std::stable_partition(clauses.begin(), clauses.end(),
                        [](const auto& clause) { return !clause->evaluates(); });
}

class AndPredicate final : public Predicate {
 public:
  explicit AndPredicate(std::vector<PredicatePtr> clauses) : clauses_(std::move(clauses)) {}
  bool matches(const Value& document, EvalContext& context) const override {
    for (const auto& clause : clauses_) {
      if (!clause->matches(document, context)) return false;
    }
    return true;
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& clause : clauses_) clause->add_dependencies(dependencies);
  }
  bool evaluates() const override { return any_evaluates(clauses_); }

 private:
  std::vector<PredicatePtr> clauses_;
};

class OrPredicate final : public Predicate {
 public:
  explicit OrPredicate(std::vector<PredicatePtr> clauses) : clauses_(std::move(clauses)) {}
  bool matches(const Value& document, EvalContext& context) const override {
    for (const auto& clause : clauses_) {
      if (clause->matches(document, context)) return true;
    }
    return false;
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& clause : clauses_) clause->add_dependencies(dependencies);
  }
  bool evaluates() const override { return any_evaluates(clauses_); }

 private:
  std::vector<PredicatePtr> clauses_;
};

class NotPredicate final : public Predicate {
 public:
  explicit NotPredicate(PredicatePtr clause) : clause_(std::move(clause)) {}
  bool matches(const Value& document, EvalContext& context) const override {
    return !clause_->matches(document, context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    clause_->add_dependencies(dependencies);
  }
  bool evaluates() const override { return clause_->evaluates(); }

 private:
  PredicatePtr clause_;
};

class ConstantPredicate final : public Predicate {
 public:
  explicit ConstantPredicate(bool matches) : matches_(matches) {}
  bool matches(const Value&, EvalContext&) const override { return matches_; }
  void add_dependencies(Dependencies&) const override {}

 private:
  bool matches_;
};

// All of `tests` on one value.
class AllTests final : public ValueTest {
 public:
  explicit AllTests(std::vector<ValueTestPtr> tests) : tests_(std::move(tests)) {}
  bool test(const Value& value, EvalContext& context) const override {
    for (const auto& test : tests_) {
      if (!test->test(value, context)) return false;
    }
    return true;
  }

 private:
  std::vector<ValueTestPtr> tests_;
};

class NotTest final : public ValueTest {
 public:
  explicit NotTest(ValueTestPtr test) : test_(std::move(test)) {}
  bool test(const Value& value, EvalContext& context) const override {
    return !test_->test(value, context);
  }

 private:
  ValueTestPtr test_;
};

}  // namespace

PredicatePtr make_path_predicate(const MatchPath& path, FieldCondition condition) {
  if (condition.test == nullptr) {
    std::vector<PredicatePtr> clauses;
    for (FieldCondition& part : condition.all)
      clauses.push_back(make_path_predicate(path, std::move(part)));
    PredicatePtr all = make_and(std::move(clauses));
    return condition.negated ? make_not(std::move(all)) : std::move(all);
  }
  if (dynamic_cast<Comparison*>(condition.test.get()) !=
      nullptr) {  // the common case without a virtual call per value
    std::unique_ptr<Comparison> comparison(static_cast<Comparison*>(condition.test.release()));
    return std::make_unique<PathPredicate<Comparison>>(path, std::move(comparison), condition.leaf,
                                                       condition.negated);
  }
  return std::make_unique<PathPredicate<ValueTest>>(path, std::move(condition.test), condition.leaf,
                                                    condition.negated);
}

ValueTestPtr make_value_test(FieldCondition condition) {
  ValueTestPtr test = std::move(condition.test);
  if (test == nullptr) {
    std::vector<ValueTestPtr> tests;
    for (FieldCondition& part : condition.all) tests.push_back(make_value_test(std::move(part)));
    test = tests.size() == 1 ? std::move(tests[0]) : std::make_unique<AllTests>(std::move(tests));
  }
  return condition.negated ? std::make_unique<NotTest>(std::move(test)) : std::move(test);
}

PredicatePtr make_and(std::vector<PredicatePtr> clauses) {
  if (clauses.empty()) return make_constant_predicate(true);
  put_evaluating_last(clauses);
  return clauses.size() == 1 ? std::move(clauses[0])
                             : std::make_unique<AndPredicate>(std::move(clauses));
}

PredicatePtr make_or(std::vector<PredicatePtr> clauses) {
  put_evaluating_last(clauses);
  return clauses.size() == 1 ? std::move(clauses[0])
                             : std::make_unique<OrPredicate>(std::move(clauses));
}

PredicatePtr make_not(PredicatePtr clause) {
  return std::make_unique<NotPredicate>(std::move(clause));
}

PredicatePtr make_constant_predicate(bool matches) {
  return std::make_unique<ConstantPredicate>(matches);
}

}  // namespace millrace::engine
