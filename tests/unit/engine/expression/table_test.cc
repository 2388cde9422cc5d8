// The tables of expression operators against each other and against the data files: a gap must not
// hide.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

std::filesystem::path data_file(std::string_view name) {
  return std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests/expression" /
         (std::string(name.substr(1)) + ".json");
}

TEST(ExpressionTables, AreSortedAndNameNoOperatorTwice) {
  std::set<std::string_view> seen;
  for (auto family : expression_families()) {
    ASSERT_FALSE(family.empty());
    for (size_t i = 0; i < family.size(); ++i) {
      EXPECT_EQ(family[i].name.substr(0, 1), "$") << family[i].name;
      if (i > 0) {
        EXPECT_LT(family[i - 1].name, family[i].name);
      }
      EXPECT_TRUE(seen.insert(family[i].name).second) << family[i].name << " stands in two tables";
      EXPECT_EQ(find_expression(family[i].name), &family[i]);
    }
  }
}

TEST(ExpressionTables, EveryRowHasItsManualPage) {
  for (auto family : expression_families()) {
    for (const ExpressionRow& row : family) {
      EXPECT_TRUE(row.manual.starts_with("aggregation/") || row.manual.starts_with("query/"))
          << row.name;
    }
  }
}

TEST(ExpressionTables, EveryEagerRowHasAnArityThatCanBeMet) {
  for (auto family : expression_families()) {
    for (const ExpressionRow& row : family) {
      EXPECT_FALSE(row.evaluate != nullptr && row.parse != nullptr)
          << row.name << " is eager and has a form of its own";
      EXPECT_GE(row.arity.min, 0) << row.name;
      EXPECT_TRUE(row.arity.max == kAnyNumber || row.arity.max >= row.arity.min) << row.name;
    }
  }
}

TEST(ExpressionTables, EverySupportedRowHasADataFile) {
  for (auto family : expression_families()) {
    for (const ExpressionRow& row : family) {
      EXPECT_EQ(std::filesystem::exists(data_file(row.name)), row.supported())
          << row.name << ": " << data_file(row.name);
    }
  }
}

TEST(ExpressionTables, EveryDataFileHasARow) {
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests/expression")) {
    std::string name = "$" + entry.path().stem().string();
    EXPECT_EQ(entry.path().extension(), ".json") << entry.path();
    EXPECT_NE(find_expression(name), nullptr) << entry.path();
  }
}

TEST(ExpressionTables, KnownButUnsupportedAndUnknownAreDifferentErrors) {
  CompiledMemory memory;
  ParseContext context(memory);
  Field function("$function", Value::null());
  auto known = parse_expression(Value::object({&function, 1}), context);
  ASSERT_FALSE(known.ok());
  EXPECT_TRUE(known.status().is(ErrorCode::kNotImplemented)) << known.status().message();
  Field nonsense("$noSuchOperator", Value::null());
  auto unknown = parse_expression(Value::object({&nonsense, 1}), context);
  ASSERT_FALSE(unknown.ok());
  EXPECT_TRUE(unknown.status().is(ErrorCode::kInvalidPipelineOperator))
      << unknown.status().message();
}

}  // namespace
}  // namespace millrace::engine
