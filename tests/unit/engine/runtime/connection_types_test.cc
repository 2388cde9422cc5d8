// Runs tests/connection/*.json: definitions as users write them, what is kept of them, what is
// listed, and the errors.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "engine/connection/registry.h"
#include "engine/document/extended_json.h"
#include "engine/runtime/connection_table.h"

namespace millrace::engine {
namespace {

std::vector<std::pair<std::string, Document>> data_files() {
  std::vector<std::pair<std::string, Document>> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(MILLRACE_SOURCE_DIR "/tests/connection")) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream in(entry.path());
    std::ostringstream text;
    text << in.rdbuf();
    auto document = parse_extended_json(text.str());
    EXPECT_TRUE(document.ok()) << entry.path() << ": " << document.status().message();
    if (document.ok()) files.emplace_back(entry.path().filename(), *document);
  }
  return files;
}

void run_case(const ObjectView& test) {
  auto connection = make_connection(test.get("definition"), connection_types());
  Value error = test.get("error");
  if (error.is_object()) {
    ASSERT_FALSE(connection.ok());
    EXPECT_EQ(connection.status().code(), error.as_object().get("code").as_int32());
    EXPECT_EQ(connection.status().message(), error.as_object().get("message").as_string());
    return;
  }
  ASSERT_TRUE(connection.ok()) << connection.status().message();
  EXPECT_EQ(to_json((*connection)->definition.value()), to_json(test.get("normalized")));
  EXPECT_EQ(to_json(ConnectionRegistry::list_entry(**connection).value()),
            to_json(test.get("listed")));
}

TEST(ConnectionTypes, DefinitionsAreCheckedAndListedAsTheDataFilesSay) {
  int cases = 0;
  for (const auto& [file, data] : data_files()) {
    for (const Value& test : data.get("cases").as_array()) {
      SCOPED_TRACE(file + ": " + std::string(test.as_object().get("name").as_string()));
      run_case(test.as_object());
      ++cases;
    }
  }
  EXPECT_GT(cases, 40);
}

TEST(ConnectionTypes, EveryTypeHasADataFile) {
  std::set<std::string> tested;
  for (const auto& [file, data] : data_files())
    tested.insert(std::string(data.get("connection").as_string()));
  for (const ConnectionType& type : connection_types())
    EXPECT_TRUE(tested.contains(std::string(type.name))) << type.name;
  EXPECT_EQ(tested.size(), connection_types().size());
}

}  // namespace
}  // namespace millrace::engine
