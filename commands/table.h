// The list of commands. Adding one: its handler in a file of its own, declared in handlers.h, and
// one row in table.cc.
#pragma once

#include <span>
#include <string_view>

#include "commands/command.h"

namespace millrace::commands {

// All rows, sorted by name (bytes).
std::span<const CommandRow> command_table();

// The row of exactly this name, or nullptr: names are case-sensitive.
const CommandRow* find_command(std::string_view name);

}  // namespace millrace::commands
