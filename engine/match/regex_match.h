// Regular expressions of queries and schemas: a thin cover of PCRE2, the library that MongoDB uses.
#pragma once

#include <memory>
#include <string_view>

#include "engine/document/status.h"

namespace millrace::engine {

// Compiled; not shared between threads.
class RegexMatcher {
 public:
  virtual ~RegexMatcher() = default;
  // True if the pattern is found anywhere in `text`. False as well when the search exceeds its limits or `text` is not UTF-8.
  virtual bool found_in(std::string_view text) const = 0;
};

// `options`: any of i, m, s, x and u. Errors: 51091 for the pattern, 51108 for the options, 2 BadValue for a NUL in either.
Result<std::unique_ptr<RegexMatcher>> compile_match_regex(std::string_view pattern, std::string_view options);

}  // namespace millrace::engine
