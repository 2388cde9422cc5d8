// Regular expressions of queries and schemas: compiled when the query is parsed.
#pragma once

#include <memory>
#include <string_view>

#include "engine/document/status.h"
#include "engine/expression/regex.h"

namespace millrace::engine {

// Errors: 51091 for the pattern, 51108 for the options, 2 BadValue for a NUL in either.
Result<std::unique_ptr<Regex>> compile_match_regex(std::string_view pattern,
                                                   std::string_view options);

// True if the pattern is found anywhere in `text`. A search that takes too much work counts as not
// found, as in the server's queries.
inline bool found_in(const Regex& regex, std::string_view text) { return regex.search(text) > 0; }

}  // namespace millrace::engine
