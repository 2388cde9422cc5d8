// Arithmetic on dates by calendar units in a time zone: what $dateAdd, $dateDiff and $dateTrunc
// compute, also used by stages with time units.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/expression/time_zone.h"

namespace millrace::engine {

enum class DateUnit : uint8_t {
  kYear,
  kQuarter,
  kMonth,
  kWeek,
  kDay,
  kHour,
  kMinute,
  kSecond,
  kMillisecond
};

// "year", "quarter", …, "millisecond".
std::optional<DateUnit> parse_date_unit(std::string_view name);
std::string_view date_unit_name(DateUnit unit);
// 0 Sunday to 6 Saturday from "sunday" or "sun" in any case.
std::optional<int> parse_weekday(std::string_view name);

// Days and longer units keep the local time of day, months the day or the month's last; hours and
// shorter ones are counted in UTC. Throws 5976500 for an amount that can fit no date, 5166406
// (milliseconds: 159) on overflow.
int64_t date_add(int64_t date_ms, DateUnit unit, int64_t amount, const TimeZone& zone);

// How many boundaries of the unit lie between the dates. Throws 5166308 on overflow.
int64_t date_diff(int64_t start_ms, int64_t end_ms, DateUnit unit, const TimeZone& zone,
                  int start_of_week);

// The start of the bin of `bin_size` units that the date lies in; bins are counted from 2000-01-01
// 00:00 in the zone (weeks: from the first start_of_week of that year). Requires: bin_size > 0.
// Throws 5439002, 5439006.
int64_t date_trunc(int64_t date_ms, DateUnit unit, int64_t bin_size, const TimeZone& zone,
                   int start_of_week);

}  // namespace millrace::engine
