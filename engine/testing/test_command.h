// `millrace test`: runs case files and reports.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace millrace::engine {

struct TestOptions {
  std::vector<std::string> paths;  // files and directories
  std::string filter;              // only cases whose "file: name" contains it; "" for all
  std::string junit_file;          // "" for none
  bool update = false;             // write what came out into the files
  bool list = false;               // only say which cases there are
  bool verbose = false;            // a line for each case
};

// The exit code: 0 all is as expected, 1 some is not, 2 a file is no case file, or there is no
// case at all.
int run_test_command(const TestOptions& options, std::ostream& out, std::ostream& err);

}  // namespace millrace::engine
