// The report that CI systems read: JUnit's XML.
#pragma once

#include <string>
#include <vector>

namespace millrace::engine {

struct JunitCase {
  std::string file;
  std::string name;
  double seconds = 0;
  std::string failure;  // "" when it passed
  bool error = false;   // the file is wrong, rather than the processor
};

// One test suite per file, in the order in which they come.
std::string junit_report(const std::vector<JunitCase>& cases);

}  // namespace millrace::engine
