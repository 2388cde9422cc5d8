#pragma once

#include "commands/command.h"
#include "engine/document/status.h"

namespace millrace::commands {

// What a server that stands alone says to the writeConcern of a command: one it can keep is
// accepted, and kept by each write as it is; one that needs other members is an error before
// anything is written.
engine::Status check_write_concern(const CommandRow& row, const Request& request);

// {w: 0} without j: the reply to a write says nothing of what came of it.
bool is_unacknowledged(const Request& request);

}  // namespace millrace::commands
