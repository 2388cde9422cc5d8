// Changing single values in the text of a JSON file; everything else stays as somebody wrote it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

// A step down: the name of a field or the index of an element.
using JsonStep = std::variant<std::string, size_t>;
using JsonPath = std::vector<JsonStep>;

// Puts `json` in the place of the value at `path`. The last field is added at the end of its
// object when it is not there, on a line of its own if the one before is. Requires: `text` is valid
// JSON. Errors: 2 BadValue when the path leads nowhere.
Status set_json_value(std::string& text, const JsonPath& path, std::string_view json);

// How many spaces the line begins with that the value at `path` stands in, or would stand in if it
// is not there.
size_t json_indent(std::string_view text, const JsonPath& path);

// A value as text at a place that is indented so far: arrays and objects that are longer than a
// line have one element a line.
std::string lay_out_json(const Value& value, size_t indent);

}  // namespace millrace::engine
