// Base64 with the standard alphabet and padding (RFC 4648 section 4).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "engine/document/arena.h"

namespace millrace::engine {

inline size_t base64_size(size_t bytes) { return (bytes + 2) / 3 * 4; }

// Writes base64_size(bytes.size()) characters to `to` and returns the end of them.
char* base64_encode(std::string_view bytes, char* to);

// The bytes, in `arena`; nullopt if the text is not base64 (padding may not be left out).
std::optional<std::string_view> base64_decode(std::string_view text, Arena& arena);

}  // namespace millrace::engine
