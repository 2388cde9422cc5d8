// Walking UTF-8 text by code points. Text that is not well-formed is walked byte by byte where it
// is broken; nothing reads past its end.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::engine::utf8 {

inline bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Position of what follows `count` code points from `at`; text.size() if there are fewer.
inline size_t skip(std::string_view text, size_t at, size_t count) {
  for (; count > 0 && at < text.size(); --count) {
    ++at;
    while (at < text.size() && is_continuation(text[at])) ++at;
  }
  return at;
}

inline size_t length(std::string_view text) {
  size_t points = 0;
  for (char c : text) points += !is_continuation(c);
  return points;
}

}  // namespace millrace::engine::utf8
