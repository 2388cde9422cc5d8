// Which names $let, $map and their like may give to variables.
#pragma once

#include <string_view>

#include "engine/document/status.h"

namespace millrace::engine {

// Lower-case letter or non-ASCII character first, then letters, digits, '_' and non-ASCII ones;
// "CURRENT" may be bound anew. Errors: 9 FailedToParse. Source:
// https://www.mongodb.com/docs/manual/reference/aggregation-variables/
Status check_variable_name(std::string_view name);

// The same for one that is read, which may be a system's variable. Errors: 9.
Status check_variable_read(std::string_view name);

}  // namespace millrace::engine
