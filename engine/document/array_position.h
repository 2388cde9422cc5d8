// Parts of dotted paths that name positions in arrays ("a.0").
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace millrace::engine {

enum class LeadingZeros { kRefused, kAccepted };  // "01", "00"

// The position that `part` names: decimal digits only, at most 18 of them (no array has more
// elements). nullopt for every other text.
std::optional<size_t> array_position(std::string_view part,
                                     LeadingZeros zeros = LeadingZeros::kRefused);

}  // namespace millrace::engine
