// The tables of query operators and schema keywords against the data files: none without the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "engine/match/json_schema.h"
#include "engine/match/registry.h"

namespace millrace::engine {
namespace {

// Names of the data files in a folder, without their ending.
std::set<std::string> data_files(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(MILLRACE_SOURCE_DIR) +
                                                               "/tests/match" + folder)) {
    if (entry.is_regular_file()) names.insert(entry.path().stem().string());
  }
  return names;
}

TEST(QueryTables, EachOperatorHasADataFileAndAManualPage) {
  std::set<std::string> files = data_files("");
  for (auto family : query_families()) {
    for (const QueryRow& row : family) {
      EXPECT_FALSE(row.manual.empty()) << row.name;
      if (row.argument_only || row.name == "$jsonSchema") continue;
      EXPECT_EQ(files.count(std::string(row.name.substr(1))), 1u) << row.name;
    }
  }
}

TEST(QueryTables, EachDataFileHasAnOperator) {
  for (const std::string& file : data_files("")) {
    if (file == "path") continue;  // what all operators share
    EXPECT_NE(find_query("$" + file), nullptr) << file;
  }
}

TEST(QueryTables, NoNameStandsInTwoFamilies) {
  std::set<std::string_view> seen;
  for (auto family : query_families()) {
    for (const QueryRow& row : family) EXPECT_TRUE(seen.insert(row.name).second) << row.name;
  }
}

TEST(SchemaTable, EachKeywordHasADataFile) {
  std::set<std::string> files = data_files("/jsonSchema");
  for (const SchemaKeywordRow& row : schema_keywords()) {
    if (row.parse == nullptr) continue;
    EXPECT_EQ(files.count(std::string(row.name)), 1u) << row.name;
  }
}

TEST(SchemaTable, EachDataFileHasAKeyword) {
  auto rows = schema_keywords();
  for (const std::string& file : data_files("/jsonSchema")) {
    if (file == "refused") continue;
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      return row.name == file;
    })) << file;
  }
}

}  // namespace
}  // namespace millrace::engine
