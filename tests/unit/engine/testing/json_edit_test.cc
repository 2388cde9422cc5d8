#include "engine/testing/json_edit.h"

#include <gtest/gtest.h>

#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

TEST(JsonEdit, ChangesOneValueAndNothingElse) {
  std::string text = "{ \"a\" : [1, {\"b\": \"}]\\\"\", \"c\": 2}],\n  \"d\":3 }\n";
  ASSERT_TRUE(set_json_value(text, {"a", size_t{1}, "c"}, "[5]").ok());
  EXPECT_EQ(text, "{ \"a\" : [1, {\"b\": \"}]\\\"\", \"c\": [5]}],\n  \"d\":3 }\n");
  ASSERT_TRUE(set_json_value(text, {"d"}, "null").ok());
  EXPECT_EQ(text, "{ \"a\" : [1, {\"b\": \"}]\\\"\", \"c\": [5]}],\n  \"d\":null }\n");
}

TEST(JsonEdit, AddsAFieldAtTheEndOfItsObject) {
  std::string text = "{\"a\": {},\n \"b\": {\"x\": 1 } }";
  ASSERT_TRUE(set_json_value(text, {"b", "y"}, "2").ok());
  ASSERT_TRUE(set_json_value(text, {"a", "z"}, "3").ok());
  EXPECT_EQ(text, "{\"a\": {\"z\": 3},\n \"b\": {\"x\": 1, \"y\": 2 } }");
}

TEST(JsonEdit, AddsALineWhereTheFieldsStandOnLines) {
  std::string text = "{\n  \"a\": 1,\n  \"b\": {\"c\": 2}\n}\n";
  EXPECT_EQ(json_indent(text, {"d"}), 2U);
  ASSERT_TRUE(set_json_value(text, {"d"}, "3").ok());
  EXPECT_EQ(text, "{\n  \"a\": 1,\n  \"b\": {\"c\": 2},\n  \"d\": 3\n}\n");
}

TEST(JsonEdit, RefusesAPathThatLeadsNowhere) {
  std::string text = R"({"a": [1]})";
  EXPECT_FALSE(set_json_value(text, {"b", "c"}, "2").ok());
  EXPECT_FALSE(set_json_value(text, {"a", size_t{3}}, "2").ok());
  EXPECT_FALSE(set_json_value(text, {"a", "x"}, "2").ok());
  EXPECT_EQ(text, R"({"a": [1]})");
}

TEST(JsonEdit, LaysOutLongListsOneDocumentALine) {
  auto document = parse_extended_json(R"({"list": [{"n": 1}, {"n": 2}]})");
  EXPECT_EQ(lay_out_json(document->get("list"), 4), R"([{"n": 1}, {"n": 2}])");
  EXPECT_EQ(lay_out_json(document->get("list"), 90),
            "[\n" + std::string(92, ' ') + "{\"n\": 1},\n" + std::string(92, ' ') + "{\"n\": 2}\n" +
                std::string(90, ' ') + "]");
}

}  // namespace
}  // namespace millrace::engine
