// What the two date parsers collect, and how it becomes a date. Private to date_parse.cc and
// date_format.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/expression/time_zone.h"

namespace millrace::engine {

struct DateFields {
  std::optional<int64_t> year;
  std::optional<int> month, day;
  std::optional<int> day_of_year;
  std::optional<int64_t> iso_year;
  std::optional<int> iso_week, iso_weekday;
  int hour = 0, minute = 0, second = 0, millisecond = 0;
  std::optional<int64_t> offset_ms;  // of a zone in the text
  std::string zone_name;             // its name, empty for an offset
  std::optional<int> weekday;        // "Wed": moves the date forward to that day
};

[[noreturn]] void fail_date_text(std::string_view text, size_t at, const char* reason);

// Throws 241 when something is missing, out of range or against the zone.
int64_t date_from_fields(const DateFields& fields, std::string_view text, const TimeZone& zone,
                         bool zone_given);

// "Z", "UTC", "EST", … in any case. nullopt for other words.
std::optional<int64_t> zone_abbreviation_ms(std::string_view name);
// The zone at `at`: an abbreviation or ±h, ±hh, ±hhmm, ±hh:mm[:ss]. Moves `at` behind it. False if
// there is none.
bool read_zone(std::string_view text, size_t& at, DateFields& fields);
// 1 to 12 for a month's full name or abbreviation in any case, else 0.
int month_from_name(std::string_view name);

}  // namespace millrace::engine
