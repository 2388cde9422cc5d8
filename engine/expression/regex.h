// Regular expressions of $regexMatch, $regex and others: compiled PCRE2 patterns on UTF-8 text,
// with JIT and a limit on the work of one match.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/document/arena.h"
#include "engine/document/value.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

namespace millrace::engine {

// Why a pattern does not compile.
struct RegexError {
  enum class Kind { kFlag, kPattern } kind = Kind::kPattern;
  std::string text;  // PCRE2's reason, or the flag that does not exist
};

// One compiled pattern. Used by one thread at a time: a match's positions are kept in the object
// until the next.
class Regex {
 public:
  // `options`: any of i (case), m (^ and $ at lines), x (extended), s (. matches newline), u
  // (accepted, always on). nullptr with `error` set if there is something wrong.
  static std::unique_ptr<Regex> compile(std::string_view pattern, std::string_view options,
                                        RegexError* error);
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  ~Regex();

  // Searches from byte `start` on; what stands before it is still seen by look-behinds and ^.
  // Result: 1 found, 0 not found, PCRE2's negative error number when the match took too much work.
  // Text that is not UTF-8 simply does not match where it is broken.
  int search(std::string_view text, size_t start = 0) const;

  // Bytes [from, to) of group `i` (0: the whole match) in the last text found; nullopt for a group
  // that took no part.
  struct Range {
    size_t from;
    size_t to;
  };
  std::optional<Range> group(size_t i) const;
  size_t group_count() const { return group_count_; }  // without the whole match

 private:
  Regex(pcre2_real_code_8* code, pcre2_real_match_data_8* match, size_t group_count)
      : code_(code), match_(match), group_count_(group_count) {}

  pcre2_real_code_8* code_;
  pcre2_real_match_data_8* match_;
  size_t group_count_;
};

// For patterns that come from documents: compiled once per thread as long as they stay in a cache
// of kRegexCacheSize. Valid until the thread's next call. Throws 51108 (flag), 51109, 51110 (NUL
// byte), 51111 (pattern) with the operator's `name`.
inline constexpr size_t kRegexCacheSize = 256;
const Regex& cached_regex(std::string_view name, std::string_view pattern,
                          std::string_view options);

// search() for an operator: throws 51156 with its `name` when the match takes too much work.
bool search_or_fail(std::string_view name, const Regex& regex, std::string_view text,
                    size_t start = 0);

// The parts of `text` between the matches, as $split has them, with the groups of each match (""
// for one that took no part) behind the part before it. An empty match splits at its place, also at
// the beginning and the end.
void split_by_regex(std::string_view text, const Regex& regex, ArrayBuilder& parts, Arena& arena);

// `text` with the first match, or all, replaced by `with` taken literally.
std::string_view replace_by_regex(std::string_view text, const Regex& regex, std::string_view with,
                                  bool all, Arena& arena);

}  // namespace millrace::engine
