// The command line of `millrace` and its configuration file.
#pragma once

#include <optional>
#include <string_view>

#include "commands/services.h"

namespace millrace::wire {

// Reads `millrace [serve] [--bind ADDR] …` into `settings`. The options may also stand in the YAML
// file that --config names, under the same names; the command line wins. Gives the exit code when
// there is nothing to serve: --help, --version (0) or a mistake, which is explained on stderr (not
// 0).
std::optional<int> read_options(int argc, const char* const* argv, std::string_view version,
                                commands::Settings& settings);

}  // namespace millrace::wire
