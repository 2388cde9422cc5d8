#pragma once

#include "commands/command.h"

namespace millrace::commands {

// What a server that stands alone says to the readConcern of a command that reads. Errors: 14, 2,
// 40415; 123 for a level that needs other members, 72 for one that the command never has.
engine::Status check_read_concern(const Request& request);

}  // namespace millrace::commands
