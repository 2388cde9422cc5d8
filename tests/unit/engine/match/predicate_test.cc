// What data files cannot say of predicates: changing shapes, chance, depth.
#include <gtest/gtest.h>

#include <string>

#include "engine/document/extended_json.h"
#include "engine/match/match.h"

namespace millrace::engine {
namespace {

class PredicateTest : public ::testing::Test {
 protected:
  PredicatePtr parse(std::string_view query) {
    auto predicate = parse_predicate(*parse_extended_json_value(query, arena_), parsing_);
    EXPECT_TRUE(predicate.ok()) << predicate.status().message();
    return predicate.ok() ? std::move(predicate).value() : nullptr;
  }
  bool matches(const Predicate& predicate, std::string_view document) {
    context_.arena = &arena_;
    context_.root = *parse_extended_json_value(document, arena_);
    return predicate.matches(context_.root, context_);
  }

  CompiledMemory memory_;
  ParseContext parsing_{memory_};
  Arena arena_;
  EvalContext context_;
};

TEST_F(PredicateTest, FieldsAreFoundWhateverPlaceTheyMoveTo) {
  PredicatePtr predicate = parse(R"({"a": 5, "b.c": {"$gt": 100}})");
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(matches(*predicate, R"({"a": 5, "b": {"c": 101}})"));
    EXPECT_TRUE(matches(*predicate, R"({"x": 1, "b": {"y": 1, "c": 101}, "a": 5})"));
    EXPECT_FALSE(matches(*predicate, R"({"x": 5, "y": {"c": 101}})"));
    EXPECT_FALSE(matches(*predicate, R"({"a": 5})"));
    EXPECT_FALSE(matches(*predicate, R"({})"));
  }
}

TEST_F(PredicateTest, SampleRateTakesAboutItsShare) {
  PredicatePtr predicate = parse(R"({"$sampleRate": 0.25})");
  context_.random.seed(7);
  int taken = 0;
  for (int i = 0; i < 10000; ++i) taken += matches(*predicate, "{}");
  EXPECT_GT(taken, 2200);
  EXPECT_LT(taken, 2800);
}

TEST_F(PredicateTest, NestingBeyondTheLimitIsRefused) {
  Value query = Value::object({});
  for (int i = 0; i < 300; ++i) {
    ArrayBuilder clauses(arena_);
    clauses.add(query);
    ObjectBuilder and_clause(arena_);
    and_clause.add("$and", clauses.finish());
    query = and_clause.finish();
  }
  auto predicate = parse_predicate(query, parsing_);
  ASSERT_FALSE(predicate.ok());
  EXPECT_TRUE(predicate.status().is(ErrorCode::kBadValue));
}

}  // namespace
}  // namespace millrace::engine
