#include "engine/testing/test_command.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ostream>
#include <set>

#include "engine/document/clock.h"
#include "engine/testing/case_file.h"
#include "engine/testing/case_run.h"
#include "engine/testing/junit.h"
#include "engine/testing/record.h"

namespace millrace::engine {
namespace {

namespace fs = std::filesystem;

struct FoundFile {
  fs::path path;
  bool named = false;  // on the command line, not found in a directory
};

// What a case came to.
struct Verdict {
  std::optional<std::string> failure;
  bool mistake = false;  // of the case
};

std::string counted(size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string indented(const std::string& text, size_t spaces) {
  std::string margin(spaces, ' ');
  std::string out;
  for (char c : text) {
    out += c;
    if (c == '\n') out += margin;
  }
  return out;
}

std::vector<Way> ways_of(const TestCase& test) {
  std::vector<Way> ways = {Way::kStraight, Way::kBatchesOfOne};
  if (test.restarts) ways.push_back(Way::kRestarts);
  return ways;
}

// Runs the case all ways. Those that fail alike are reported together.
Verdict judge(const TestCase& test) {
  if (!test.has_expectations) {
    return {"the case says nothing about what it expects; --update records what comes out", true};
  }
  std::vector<std::pair<std::string, std::string>> reports;  // report, ways
  std::vector<Way> ways = ways_of(test);
  for (Way way : ways) {
    Observation seen = run_case(test, way);
    if (!seen.mistake.ok()) return {seen.mistake.message(), true};
    auto report = compare(test, seen);
    if (!report) continue;
    auto known = std::find_if(reports.begin(), reports.end(),
                              [&](const auto& entry) { return entry.first == *report; });
    if (known == reports.end()) {
      reports.emplace_back(*report, way_name(way));
    } else {
      known->second += "; " + std::string(way_name(way));
    }
  }
  if (reports.empty()) return {};
  std::string text;
  for (const auto& [report, failing] : reports) {
    // The first report of a case that fails the same way each time needs no name of a way.
    bool all =
        std::count(failing.begin(), failing.end(), ';') + 1 == static_cast<ptrdiff_t>(ways.size());
    text += all ? report : "\n" + failing + ":" + indented(report, 2);
  }
  return {text.substr(1), false};
}

class TestCommand {
 public:
  TestCommand(const TestOptions& options, std::ostream& out, std::ostream& err)
      : options_(options), out_(out), err_(err) {}

  int run() {
    int64_t begin = clock_.monotonic_ns();
    for (const std::string& path : options_.paths) find(path);
    std::vector<CaseFile> files = read_files();
    for (CaseFile& file : files) run_file(file);
    if (!options_.junit_file.empty() && !options_.list) write_junit();
    if (cases_ == 0 && !wrong_) {
      err_ << "millrace test: no case found"
           << (options_.filter.empty() ? "" : " that the filter lets through") << "\n";
      return 2;
    }
    if (!options_.list) {
      out_ << fmt::format("{} in {}: {} passed, {} failed", counted(cases_, "case"),
                          counted(used_files_, "file"), cases_ - failed_, failed_);
      if (recorded_ > 0) out_ << fmt::format(", {} recorded", recorded_);
      out_ << fmt::format(" ({:.2f} s)\n", seconds_since(begin));
    }
    return wrong_ ? 2 : failed_ > 0 ? 1 : 0;
  }

 private:
  double seconds_since(int64_t begin_ns) const {
    return static_cast<double>(clock_.monotonic_ns() - begin_ns) * 1e-9;
  }

  void mistake(const std::string& file, const std::string& what) {
    wrong_ = true;
    err_ << "millrace test: " << file << ": " << what << "\n";
    junit_.push_back({file, "(the file)", 0, what, true});
  }

  // Every .json file below a directory, in order; or the file itself.
  void find(const std::string& name) {
    std::error_code error;
    fs::path path(name);
    if (!fs::is_directory(path, error)) {
      files_.push_back({path, true});
      return;
    }
    std::vector<fs::path> found;
    fs::recursive_directory_iterator walk(path, error), end;
    for (; !error && walk != end; walk.increment(error)) {
      if (walk->path().extension() == ".json") found.push_back(walk->path());
    }
    if (error) mistake(name, error.message());
    std::sort(found.begin(), found.end());
    for (fs::path& file : found) files_.push_back({std::move(file), false});
  }

  // Files that cases refer to (definitions, pipelines) are no case files.
  std::vector<CaseFile> read_files() {
    std::vector<CaseFile> files;
    std::vector<std::pair<FoundFile, std::string>> wrong;
    std::set<fs::path> referred, seen;
    for (const FoundFile& found : files_) {
      std::error_code error;
      if (!seen.insert(fs::weakly_canonical(found.path, error)).second) continue;
      auto file = read_case_file(found.path);
      if (!file.ok()) {
        wrong.emplace_back(found, file.status().message());
        continue;
      }
      for (const fs::path& path : file->references)
        referred.insert(fs::weakly_canonical(path, error));
      files.push_back(std::move(*file));
    }
    auto only_referred = [&](const fs::path& path) {
      std::error_code error;
      bool named = std::any_of(files_.begin(), files_.end(), [&](const FoundFile& found) {
        return found.named && found.path == path;
      });
      return !named && referred.contains(fs::weakly_canonical(path, error));
    };
    std::erase_if(files, [&](const CaseFile& file) { return only_referred(file.path); });
    for (const auto& [found, message] : wrong) {
      if (!only_referred(found.path)) mistake(found.path.string(), message);
    }
    return files;
  }

  bool selected(const CaseFile& file, const TestCase& test) const {
    return options_.filter.empty() || test.name.find(options_.filter) != std::string::npos ||
           file.path.string().find(options_.filter) != std::string::npos;
  }

  void run_file(CaseFile& file) {
    std::string path = file.path.string();
    std::vector<size_t> chosen;
    for (size_t i = 0; i < file.cases.size(); ++i) {
      if (selected(file, file.cases[i])) chosen.push_back(i);
    }
    if (chosen.empty()) return;
    ++used_files_;
    if (options_.list) {
      for (size_t i : chosen) out_ << path << ": " << file.cases[i].name << "\n";
      cases_ += chosen.size();
      return;
    }
    if (options_.update) update(file, chosen);
    size_t failed = 0;
    for (size_t i : chosen) failed += run_one(path, file.cases[i]) ? 0 : 1;
    if (failed == 0 && !options_.verbose)
      out_ << "ok    " << path << " (" << counted(chosen.size(), "case") << ")\n";
  }

  bool run_one(const std::string& path, const TestCase& test) {
    ++cases_;
    int64_t begin = clock_.monotonic_ns();
    Verdict verdict = judge(test);
    junit_.push_back(
        {path, test.name, seconds_since(begin), verdict.failure.value_or(""), verdict.mistake});
    if (!verdict.failure) {
      if (options_.verbose) out_ << "ok    " << path << ": " << test.name << "\n";
      return true;
    }
    ++failed_;
    wrong_ = wrong_ || verdict.mistake;
    out_ << (verdict.mistake ? "WRONG " : "FAIL  ") << path << ": " << test.name << "\n    "
         << indented(*verdict.failure, 4) << "\n";
    return false;
  }

  // Records the cases that fail, then reads the file again.
  void update(CaseFile& file, const std::vector<size_t>& chosen) {
    std::string text = file.text;
    size_t changed = 0;
    for (size_t i : chosen) {
      const TestCase& test = file.cases[i];
      if (test.has_expectations && !judge(test).failure) continue;
      Observation seen = run_case(test, Way::kBatchesOfOne);
      Observation again = run_case(test, Way::kBatchesOfOne);
      if (Status status = record_case(file, i, seen, again, text); !status.ok()) {
        mistake(file.path.string(), test.name + ": " + status.message());
        continue;
      }
      ++changed;
    }
    if (text == file.text) return;
    if (!write(file.path, text)) return;
    auto fresh = read_case_file(file.path);
    if (!fresh.ok()) return mistake(file.path.string(), fresh.status().message());
    file = std::move(*fresh);
    recorded_ += changed;
  }

  bool write(const fs::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (file) return true;
    mistake(path.string(), "cannot be written");
    return false;
  }

  void write_junit() {
    std::ofstream file(options_.junit_file, std::ios::binary | std::ios::trunc);
    file << junit_report(junit_);
    file.close();
    if (!file) mistake(options_.junit_file, "cannot be written");
  }

  const TestOptions& options_;
  std::ostream& out_;
  std::ostream& err_;
  const SystemClock clock_;
  std::vector<FoundFile> files_;
  std::vector<JunitCase> junit_;
  size_t cases_ = 0;
  size_t failed_ = 0;
  size_t recorded_ = 0;
  size_t used_files_ = 0;
  bool wrong_ = false;
};

}  // namespace

int run_test_command(const TestOptions& options, std::ostream& out, std::ostream& err) {
  spdlog::set_level(spdlog::level::off);  // the report is all that a test run says
  return TestCommand(options, out, err).run();
}

}  // namespace millrace::engine
