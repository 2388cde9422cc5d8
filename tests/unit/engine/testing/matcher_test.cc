#include "engine/testing/matcher.h"

#include <gtest/gtest.h>

#include "engine/document/extended_json.h"
#include "engine/testing/exact_json.h"

namespace millrace::engine {
namespace {

Document parse(std::string_view text) {
  auto document = parse_extended_json(text);
  EXPECT_TRUE(document.ok()) << text;
  return document.ok() ? *document : Document();
}

std::string difference(std::string_view expected, std::string_view actual) {
  auto found = find_difference(parse(expected).value(), parse(actual).value());
  if (!found) return "";
  return found->path + ": " + found->expected + " / " + found->actual;
}

TEST(Matcher, ComparesTypesAndTheOrderOfFields) {
  EXPECT_EQ(difference(R"({"a": 1, "b": [2.5]})", R"({"a": 1, "b": [2.5]})"), "");
  EXPECT_EQ(difference(R"({"a": 1})", R"({"a": 1.0})"), "a: 1 / 1.0");
  EXPECT_EQ(difference(R"({"a": 1})", R"({"a": {"$numberLong": "1"}})"),
            R"(a: 1 / {"$numberLong":"1"})");
  EXPECT_EQ(difference(R"({"a": {"b": [1, 2]}})", R"({"a": {"b": [1, 3]}})"), "a.b[1]: 2 / 3");
  EXPECT_EQ(difference(R"({"a": 1, "b": 2})", R"({"a": 1})"), "b: 2 / (missing)");
  EXPECT_EQ(difference(R"({"a": 1})", R"({"a": 1, "b": 2})"), "b: (no such field) / 2");
  EXPECT_NE(difference(R"({"a": 1, "b": 2})", R"({"b": 2, "a": 1})"), "");
}

TEST(Matcher, MarkersStandForValuesThatCannotBeKnown) {
  EXPECT_EQ(difference(R"({"a": {"$$any": true}})", R"({"a": null})"), "");
  EXPECT_NE(difference(R"({"a": {"$$any": true}})", R"({})"), "");
  EXPECT_EQ(difference(R"({"a": {"$$any": "int"}})", R"({"a": 3})"), "");
  EXPECT_NE(difference(R"({"a": {"$$any": "int"}})", R"({"a": 3.5})"), "");
  EXPECT_EQ(difference(R"({"a": {"$$any": "number"}})", R"({"a": 3.5})"), "");
  EXPECT_EQ(difference(R"({"a": {"$$regex": "^x+"}})", R"({"a": "xxy"})"), "");
  EXPECT_NE(difference(R"({"a": {"$$regex": "^x+"}})", R"({"a": "y"})"), "");
  EXPECT_EQ(difference(R"({"a": {"$$near": 1, "within": 0.1}})", R"({"a": 1.05})"), "");
  EXPECT_NE(difference(R"({"a": {"$$near": 1, "within": 0.1}})", R"({"a": 1.2})"), "");
  EXPECT_EQ(difference(R"({"a": {"$$contains": {"b": {"c": 1}}}})",
                       R"({"a": {"x": 0, "b": {"y": 0, "c": 1}}})"),
            "");
  EXPECT_NE(difference(R"({"a": {"$$contains": {"b": 1}}})", R"({"a": {"b": 2}})"), "");
  EXPECT_EQ(
      difference(R"({"a": {"$$unordered": [1, {"$$any": "int"}, 2]}})", R"({"a": [2, 1, 3]})"), "");
  EXPECT_NE(difference(R"({"a": {"$$unordered": [1, 2]}})", R"({"a": [2, 2]})"), "");
}

TEST(Matcher, RefusesWrongMarkers) {
  auto check = [](std::string_view text) { return check_markers(parse(text).value()).ok(); };
  EXPECT_TRUE(check(R"({"a": {"$$any": "date"}})"));
  EXPECT_FALSE(check(R"({"a": {"$$any": "dates"}})"));
  EXPECT_FALSE(check(R"({"a": {"$$ani": true}})"));
  EXPECT_FALSE(check(R"({"a": [{"$$regex": "("}]})"));
  EXPECT_FALSE(check(R"({"a": {"$$near": 1}})"));
  EXPECT_FALSE(check(R"({"a": {"$$any": true, "b": 1}})"));
  EXPECT_FALSE(check(R"({"a": {"$$message": {}}})"));
}

TEST(Matcher, OneDocumentTooMuchDoesNotMakeTheOthersDiffer) {
  auto one = parse(R"({"n": 1})"), two = parse(R"({"n": 2})"), three = parse(R"({"n": 3})");
  std::vector<Value> expected = {one.value(), three.value()};
  std::vector<Actual> actual = {{one, {}}, {two, {}}, {three, {}}};
  auto text = list_difference(expected, actual, ListKind::kOutput);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "\n  + {\"n\": 2}");
  std::vector<Actual> turned = {{three, {}}, {one, {}}};
  EXPECT_TRUE(list_difference(expected, turned, ListKind::kOutput));
  EXPECT_FALSE(list_difference(expected, turned, ListKind::kOutput, true));
}

TEST(Matcher, ADeadLetterIsComparedByTheFieldsThatAreExpected) {
  auto letter =
      parse(R"({"_id": 1, "operatorName": "X", "errInfo": {"reason": "r"}, "doc": {"a": 1}})");
  auto match = [&](std::string_view expected) {
    Document document = parse(expected);
    return !list_difference({document.value()}, {{letter, letter}}, ListKind::kDeadLetters);
  };
  EXPECT_TRUE(match(R"({"reason": "r"})"));
  EXPECT_TRUE(match(R"({"doc": {"a": 1}, "operatorName": "X"})"));
  EXPECT_FALSE(match(R"({"doc": {}})"));
  EXPECT_FALSE(match(R"({"reason": "s"})"));
  EXPECT_FALSE(match(R"({"raeson": "r"})"));
}

TEST(ExactJson, LosesNoType) {
  for (std::string_view text :
       {R"({"a": 1, "b": 1.0, "c": {"$numberLong":"1"}, "d": 5000000000, "e": -0.0})",
        R"({"a": 1e300, "b": {"$numberDouble":"NaN"}, "c": {"$numberDecimal":"1.50"}})",
        R"({"a": {"$date":"2025-03-01T00:00:00Z"}, "b": "\"\\\n", "c": [], "d": {}})"}) {
    Document document = parse(text);
    EXPECT_EQ(parse(exact_json(document.value())).bytes(), document.bytes()) << text;
  }
}

}  // namespace
}  // namespace millrace::engine
