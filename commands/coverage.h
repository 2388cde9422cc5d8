// What this build supports, read from the tables that the server itself works by.
#pragma once

#include <string>

namespace millrace::commands {

// Tab-separated lines `kind, name, supported (yes or no), manual page`, with a heading; kinds and
// names are in order. Pages are under https://www.mongodb.com/docs/manual/reference/ or, for stages
// named sp-…, under https://www.mongodb.com/docs/atlas/atlas-stream-processing/.
std::string coverage_report();

}  // namespace millrace::commands
