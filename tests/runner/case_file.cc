#include "tests/runner/case_file.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "engine/document/extended_json.h"

namespace millrace::tests {
namespace {

using engine::Value;

// Counts and prints; one per program.
struct Totals {
  size_t passed = 0;
  size_t failed = 0;
  void fail(std::string_view where, std::string_view why) {
    ++failed;
    std::printf("FAILED  %.*s\n        %.*s\n", static_cast<int>(where.size()), where.data(),
                static_cast<int>(why.size()), why.data());
  }
};

void run_file(const CaseFile& file, const RunCase& run, Totals& totals) {
  static constexpr std::array<std::string_view, 4> kKeys = {"operator", "source", "note", "cases"};
  std::string name = file.path.filename().string();
  if (auto failure = check_keys(file.content.value(), kKeys)) totals.fail(name, *failure);
  Value cases = file.content.get("cases");
  if (!cases.is_array() || cases.as_array().empty()) {
    totals.fail(name, "has no \"cases\"");
    return;
  }
  std::set<std::string, std::less<>> seen;
  for (const Value& test : cases.as_array()) {
    Value title = test.is_object() ? test.as_object().get("name") : Value();
    if (!title.is_string()) {
      totals.fail(name, "a case without a \"name\"");
      continue;
    }
    std::string where = name + ": " + std::string(title.as_string());
    if (!seen.insert(std::string(title.as_string())).second)
      totals.fail(where, "two cases have this name");
    if (auto failure = run(file, test)) {
      totals.fail(where, *failure);
    } else {
      ++totals.passed;
    }
  }
}

}  // namespace

std::vector<CaseFile> read_case_files(const std::filesystem::path& folder,
                                      std::vector<std::string>* errors) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".json") paths.push_back(at->path());
  }
  if (error) errors->push_back(folder.string() + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  std::vector<CaseFile> files;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    auto content = engine::parse_extended_json(text);
    if (content.ok()) {
      files.push_back({path, std::move(content).value()});
    } else {
      errors->push_back(path.filename().string() + ": " + content.status().message());
    }
  }
  return files;
}

CaseFailure check_keys(Value object, std::span<const std::string_view> known) {
  for (const engine::Field& field : object.as_object()) {
    if (std::find(known.begin(), known.end(), field.name()) == known.end()) {
      return "unknown key \"" + std::string(field.name()) + "\"";
    }
  }
  return std::nullopt;
}

int run_case_files(int argc, char** argv, const RunCase& run) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER [NAME...]\n", argv[0]);
    return 2;
  }
  Totals totals;
  std::vector<std::string> errors;
  auto files = read_case_files(argv[1], &errors);
  for (const std::string& error : errors) totals.fail(argv[1], error);
  std::vector<std::string> wanted(argv + 2, argv + argc);
  for (const CaseFile& file : files) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), file.stem()) != wanted.end())
      run_file(file, run, totals);
  }
  std::printf("%zu cases passed, %zu failed\n", totals.passed, totals.failed);
  return totals.failed == 0 && totals.passed > 0 ? 0 : 1;
}

}  // namespace millrace::tests
