#include "engine/document/array_position.h"

#include <charconv>

namespace millrace::engine {

std::optional<size_t> array_position(std::string_view part, LeadingZeros zeros) {
  constexpr size_t kMaxDigits = 18;
  bool padded = part.size() > 1 && part[0] == '0';
  if (part.size() > kMaxDigits || (padded && zeros == LeadingZeros::kRefused)) return std::nullopt;
  size_t position = 0;
  auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), position);
  bool whole = error == std::errc() && end == part.data() + part.size();
  return whole ? std::optional(position) : std::nullopt;
}

}  // namespace millrace::engine
