// How a case file writes moments and lengths of time. All in milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/document/value.h"

namespace millrace::engine {

// "5s", "1m30s", "250ms", "2h", "1d", "9.999s", "-5s": numbers with the units ms, s, m, h, d, from
// the largest to the smallest, each at most once. Nothing for any other text, and for one with a
// fraction of a millisecond.
std::optional<int64_t> parse_time_span(std::string_view text);

// A length of time: a text as above, a number of milliseconds, or {size, unit} as window stages
// have it.
std::optional<int64_t> time_span_of(const Value& value);

// A moment: a date, a text in ISO 8601, or a length of time behind `start_ms`.
std::optional<int64_t> moment_of(const Value& value, int64_t start_ms);

}  // namespace millrace::engine
