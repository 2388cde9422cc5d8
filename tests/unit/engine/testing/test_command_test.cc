// The command as a user sees it: files in, report and exit code out.
#include "engine/testing/test_command.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWindow =
    R"("pipeline": [{"$source": {"connectionName": "k", "topic": "t"}},
      {"$tumblingWindow": {"interval": {"size": 10, "unit": "second"}, "allowedLateness": 0,
        "pipeline": [{"$group": {"_id": null, "n": {"$sum": 1}}}]}},
      {"$emit": {"connectionName": "k", "topic": "out"}}],
    "input": [{"timestamp": "1s", "document": {"a": 1}}, {"timestamp": "12s", "document": {"a": 2}},
              {"timestamp": "3s", "document": {"a": 3}}])";

class TestCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("millrace_test_command_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) +
               std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view text) {
    fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  int run(TestOptions options = {}) {
    if (options.paths.empty()) options.paths = {folder_.string()};
    std::ostringstream out, err;
    int code = run_test_command(options, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }
  bool says(std::string_view text) const { return (out_ + err_).find(text) != std::string::npos; }

  fs::path folder_;
  std::string out_;
  std::string err_;
};

std::string window_case(std::string_view expect) {
  return "{" + std::string(kWindow) + ", \"expect\": " + std::string(expect) + "}";
}
constexpr std::string_view kRight =
    R"({"output": [{"_id": null, "n": 1}], "deadLetters": [{"doc": {"a": 3}}]})";

TEST_F(TestCommandTest, PassesAndSaysSo) {
  write("a/b.json", window_case(kRight));
  EXPECT_EQ(run(), 0) << out_ << err_;
  EXPECT_TRUE(says("1 case in 1 file: 1 passed, 0 failed"));
}

TEST_F(TestCommandTest, FailsWithTheDifference) {
  write("b.json", window_case(R"({"output": [{"_id": null, "n": 2}], "deadLetters": [{}]})"));
  EXPECT_EQ(run(), 1);
  EXPECT_TRUE(says("differs at n: expected 2, got 1")) << out_;
}

TEST_F(TestCommandTest, ADeadLetterThatIsNotExpectedFails) {
  write("b.json", window_case(R"({"output": [{"_id": null, "n": 1}]})"));
  EXPECT_EQ(run(), 1);
  EXPECT_TRUE(says("arrived late")) << out_;
}

TEST_F(TestCommandTest, AnErrorThatDoesNotComeFails) {
  write("b.json", window_case(R"({"error": {"code": 420}, "deadLetters": "ignore"})"));
  EXPECT_EQ(run(), 1);
  EXPECT_TRUE(says("expected error 420")) << out_;
}

TEST_F(TestCommandTest, SaysWhichWayFails) {
  // A partition that never speaks: after a restart its silence begins anew.
  write("b.json", R"({"partitions": 2, "pipeline": [
      {"$source": {"connectionName": "k", "topic": "t",
                   "partitionIdleTimeout": {"size": 5, "unit": "second"}}},
      {"$tumblingWindow": {"interval": {"size": 10, "unit": "second"}, "allowedLateness": 0,
        "pipeline": [{"$count": "n"}]}},
      {"$emit": {"connectionName": "k", "topic": "out"}}],
    "input": [{"at": "4s", "timestamp": "1s", "document": {}}, {"timestamp": "14s", "document": {}},
              {"at": "5s", "output": [{"n": 1}]}]})");
  EXPECT_EQ(run(), 1);
  EXPECT_TRUE(says("stopped and resumed at each checkpoint:")) << out_;
  EXPECT_FALSE(says("in batches of one")) << out_;
}

TEST_F(TestCommandTest, WrongFilesAreNotFailedTests) {
  for (std::string_view text :
       {"",
        "{",
        "[]",
        "5",
        R"({"cases": 5})",
        R"({"cases": [{}]})",
        R"({"name": "no pipeline"})",
        R"({"pipeline": [], "inptu": []})",
        R"({"pipeline": 5})",
        R"({"pipeline": "none.json"})",
        R"({"pipeline": [], "input": [{"at": "soon"}]})",
        R"({"pipeline": [], "input": [{"at": "5s"}, {"at": "4s"}]})",
        R"({"pipeline": [], "input": [{"at": "2200-01-01T00:00:00Z"}]})",
        R"({"pipeline": [], "input": [{"timestamp": "5s"}]})",
        R"({"pipeline": [], "input": [{"document": {}, "stop": true}]})",
        R"({"pipeline": [], "input": [{"document": {}, "partition": -1}]})",
        R"({"pipeline": [], "restarts": false, "expect": {}})",
        R"({"pipeline": [], "expect": {"output": [{"a": {"$$ani": 1}}]}})",
        R"({"pipeline": [], "input": [{"output": []}], "expect": {"output": []}})",
        R"({"pipeline": [], "connections": {"a": "Kafak"}, "expect": {"output": []}})",
        R"({"pipeline": [], "settings": {"x": 1}})",
        R"({"pipeline": []})"}) {
    TestOptions options;
    options.paths = {write("b.json", text)};
    EXPECT_EQ(run(options), 2) << text << out_;
  }
  EXPECT_EQ(run({.paths = {(folder_ / "nothing.json").string()}}), 2);
  fs::remove(folder_ / "b.json");
  EXPECT_EQ(run(), 2);  // no case at all
}

TEST_F(TestCommandTest, UpdateRecordsWhatComesOutAndKeepsTheRest) {
  std::string text = "{\n  \"note\":   \"mine\",\n  " + std::string(kWindow) + "\n}\n";
  std::string path = write("b.json", text);
  EXPECT_EQ(run(), 2);
  EXPECT_EQ(run({.paths = {folder_.string()}, .update = true}), 0) << out_ << err_;
  std::string recorded = read(path);
  EXPECT_EQ(recorded.find(text.substr(0, text.size() - 3)), 0U) << recorded;
  EXPECT_NE(recorded.find(R"("output": [{"_id": null, "n": 1}])"), std::string::npos) << recorded;
  EXPECT_EQ(run(), 0) << out_;
  EXPECT_EQ(run({.paths = {folder_.string()}, .update = true}), 0);
  EXPECT_EQ(read(path), recorded);  // nothing to do
}

TEST_F(TestCommandTest, FilterAndListChooseCases) {
  std::string one = window_case(kRight), two = window_case("{\"output\": []}");
  one.insert(1, "\"name\": \"good\", ");
  two.insert(1, "\"name\": \"bad\", ");
  write("b.json", "{\"cases\": [" + one + ", " + two + "]}");
  EXPECT_EQ(run(), 1);
  EXPECT_EQ(run({.paths = {folder_.string()}, .filter = "good"}), 0) << out_;
  EXPECT_EQ(run({.paths = {folder_.string()}, .list = true}), 0);
  EXPECT_TRUE(says("b.json: good\n") && says("b.json: bad\n")) << out_;
  std::string junit = (folder_ / "report.xml").string();
  EXPECT_EQ(run({.paths = {folder_.string()}, .junit_file = junit}), 1);
  std::string report = read(junit);
  EXPECT_NE(report.find("tests=\"2\" failures=\"1\" errors=\"0\""), std::string::npos) << report;
  EXPECT_NE(report.find("{&quot;_id&quot;: null, &quot;n&quot;: 1}"), std::string::npos) << report;
}

TEST_F(TestCommandTest, AFileThatACaseNamesIsNoCase) {
  write("definition.json", R"({"name": "sums", "state": "STOPPED", "options": {}, "pipeline": [
      {"$source": {"documents": [{"a": 1}]}}, {"$emit": {"connectionName": "__testLog"}}]})");
  write("case.json", R"({"processor": "definition.json", "expect": {"output": [{"a": 1}]}})");
  EXPECT_EQ(run(), 0) << out_ << err_;
}

}  // namespace
}  // namespace millrace::engine
