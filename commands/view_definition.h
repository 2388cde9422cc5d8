// What create and collMod check of a view: viewOn and pipeline.
#pragma once

#include <string_view>

#include "commands/arguments.h"
#include "commands/command.h"

namespace millrace::commands {

// Builds the pipeline once, to see that it is right. Errors: 72, 2, 167 OptionNotSupportedOnView,
// those of the stages.
engine::Status check_view_definition(const Request& request, const Arguments& arguments,
                                     std::string_view ns);

}  // namespace millrace::commands
