// The data files of tests/: {"operator": …, "source": …, "cases": [{"name": …, …}, …]}, read and
// walked for the runners of each kind.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/bson.h"

namespace millrace::tests {

// One data file, its text parsed.
struct CaseFile {
  std::filesystem::path path;
  engine::Document content;
  std::string stem() const { return path.stem().string(); }
};

// What one case came to: nothing when it passed, else why not.
using CaseFailure = std::optional<std::string>;
using RunCase = std::function<CaseFailure(const CaseFile& file, engine::Value test)>;

// The command line of a runner is `<folder> [<file name without .json>…]`. Runs every case of the
// files (all of them, or those named), prints each failure with file and case and a line of totals;
// returns the exit code of the program: 1 for any failure, for a file that is no data file, for two
// cases of one name and for none at all.
int run_case_files(int argc, char** argv, const RunCase& run);

// Every .json file below `folder`, sorted by path. A file that does not parse is reported in
// `errors`.
std::vector<CaseFile> read_case_files(const std::filesystem::path& folder,
                                      std::vector<std::string>* errors);

// The first field of `object` that is not in `known`: a misspelt key must not make a case pass.
CaseFailure check_keys(engine::Value object, std::span<const std::string_view> known);

}  // namespace millrace::tests
