// Values as a case file writes them: Extended JSON that is as plain as it can be without losing a
// type. Reading it gives the identical value again.
#pragma once

#include <string>
#include <string_view>

#include "engine/document/value.h"

namespace millrace::engine {

// On one line: {"a": 1, "b": [2.0, {"$numberLong": "3"}]}.
std::string exact_json(const Value& value);
void append_exact_json(const Value& value, std::string& out);
// A JSON string with its quotes.
void append_json_string(std::string_view text, std::string& out);

}  // namespace millrace::engine
