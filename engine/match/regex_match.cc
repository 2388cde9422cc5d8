#include "engine/match/regex_match.h"

namespace millrace::engine {

Result<std::unique_ptr<Regex>> compile_match_regex(std::string_view pattern,
                                                   std::string_view options) {
  if (pattern.find('\0') != std::string_view::npos)
    return Status(ErrorCode::kBadValue, "Regular expression cannot contain an embedded null byte");
  RegexError error;
  std::unique_ptr<Regex> regex = Regex::compile(pattern, options, &error);
  if (regex != nullptr) return regex;
  if (error.kind == RegexError::Kind::kFlag)
    return Status(51108, "invalid flag in regex options: " + error.text);
  return Status(51091, "Regular expression is invalid: " + error.text);
}

}  // namespace millrace::engine
