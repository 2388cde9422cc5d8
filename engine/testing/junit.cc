#include "engine/testing/junit.h"

#include <fmt/format.h>

namespace millrace::engine {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
        out += "&#10;";
        break;
      default:  // XML 1.0 has no other control characters
        out += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '?' : c;
    }
  }
  return out;
}

std::string suite(const std::string& file, const std::vector<const JunitCase*>& cases) {
  size_t failures = 0, errors = 0;
  double seconds = 0;
  std::string body;
  for (const JunitCase* test : cases) {
    seconds += test->seconds;
    body += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", escaped(file),
                        escaped(test->name), test->seconds);
    if (test->failure.empty()) {
      body += "/>\n";
      continue;
    }
    (test->error ? errors : failures) += 1;
    const char* tag = test->error ? "error" : "failure";
    const char* message = test->error ? "the case file is wrong" : "not as expected";
    body += fmt::format(">\n      <{} message=\"{}\">{}</{}>\n    </testcase>\n", tag, message,
                        escaped(test->failure), tag);
  }
  return fmt::format(
             "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" "
             "time=\"{:.3f}\">\n",
             escaped(file), cases.size(), failures, errors, seconds) +
         body + "  </testsuite>\n";
}

}  // namespace

std::string junit_report(const std::vector<JunitCase>& cases) {
  std::string suites;
  size_t failures = 0, errors = 0;
  std::vector<const JunitCase*> together;
  for (size_t i = 0; i < cases.size(); ++i) {
    if (!cases[i].failure.empty()) (cases[i].error ? errors : failures) += 1;
    together.push_back(&cases[i]);
    if (i + 1 < cases.size() && cases[i + 1].file == cases[i].file) continue;
    suites += suite(cases[i].file, together);
    together.clear();
  }
  return fmt::format(
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"millrace test\" "
             "tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
             cases.size(), failures, errors) +
         suites + "</testsuites>\n";
}

}  // namespace millrace::engine
