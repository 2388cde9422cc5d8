// {$set: …, $inc: …}: update operators put together and applied in the order of their paths.
#pragma once

#include <memory>

#include "commands/local/update.h"

namespace millrace::commands {

// Requires: spec.update is an object that begins with an operator.
engine::Result<std::unique_ptr<Update>> parse_update_operators(const UpdateSpec& spec,
                                                               const engine::Clock& clock);

}  // namespace millrace::commands
