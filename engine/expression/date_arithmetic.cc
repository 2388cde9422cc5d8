#include "engine/expression/date_arithmetic.h"

#include <array>
#include <limits>
#include <string>

#include "engine/document/status.h"
#include "engine/expression/calendar.h"

namespace millrace::engine {
namespace {

using calendar::floor_div;
using calendar::floor_mod;
using calendar::kMsPerDay;
using calendar::kMsPerHour;
using calendar::kMsPerMinute;
using calendar::kMsPerSecond;

constexpr std::array<std::string_view, 9> kUnitNames = {
    "year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond"};

// Milliseconds of a unit of fixed length; 0 for months and longer.
int64_t unit_ms(DateUnit unit) {
  switch (unit) {
    case DateUnit::kWeek:
      return 7 * kMsPerDay;
    case DateUnit::kDay:
      return kMsPerDay;
    case DateUnit::kHour:
      return kMsPerHour;
    case DateUnit::kMinute:
      return kMsPerMinute;
    case DateUnit::kSecond:
      return kMsPerSecond;
    case DateUnit::kMillisecond:
      return 1;
    default:
      return 0;
  }
}
int64_t unit_months(DateUnit unit) {
  return unit == DateUnit::kYear ? 12 : (unit == DateUnit::kQuarter ? 3 : 1);
}

// The largest amount that can lie between two dates (2^64 ms), rounded up as the server does.
int64_t amount_limit(DateUnit unit) {
  constexpr int64_t kDays = 213'503'982'334;
  constexpr int64_t kYears = 584'942'417;
  switch (unit) {
    case DateUnit::kYear:
      return kYears;
    case DateUnit::kQuarter:
      return kYears * 4;
    case DateUnit::kMonth:
      return kYears * 12;
    case DateUnit::kWeek:
      return kDays / 7;
    case DateUnit::kDay:
      return kDays;
    case DateUnit::kMillisecond:
      return std::numeric_limits<int64_t>::max();
    default:
      return (kDays + 1) * (kMsPerDay / unit_ms(unit));
  }
}

bool fits(__int128 ms) {
  return ms >= std::numeric_limits<int64_t>::min() && ms <= std::numeric_limits<int64_t>::max();
}

int64_t add_months(int64_t local_ms, int64_t months) {
  calendar::Parts parts = calendar::parts_from_ms(local_ms);
  int64_t month = parts.date.year * 12 + parts.date.month - 1 + months;
  int64_t year = floor_div(month, 12);
  int month_of_year = static_cast<int>(month - year * 12) + 1;
  int day = std::min(parts.date.day, calendar::days_in_month(year, month_of_year));
  __int128 result =
      static_cast<__int128>(calendar::days_from_date(year, month_of_year, day)) * kMsPerDay +
      floor_mod(local_ms, kMsPerDay);
  if (!fits(result)) fail_evaluation(5166406, "dateAdd overflowed");
  return static_cast<int64_t>(result);
}

int64_t local_days(int64_t ms, const TimeZone& zone) {
  return floor_div(zone.to_local(ms), kMsPerDay);
}
int64_t local_months(int64_t ms, const TimeZone& zone) {
  calendar::Date date = calendar::date_from_days(local_days(ms, zone));
  return date.year * 12 + date.month - 1;
}

}  // namespace

std::optional<DateUnit> parse_date_unit(std::string_view name) {
  for (size_t i = 0; i < kUnitNames.size(); ++i) {
    if (kUnitNames[i] == name) return static_cast<DateUnit>(i);
  }
  return std::nullopt;
}

std::string_view date_unit_name(DateUnit unit) { return kUnitNames[static_cast<size_t>(unit)]; }

std::optional<int> parse_weekday(std::string_view name) {
  constexpr std::array<std::string_view, 7> kDays = {"sunday",   "monday", "tuesday", "wednesday",
                                                     "thursday", "friday", "saturday"};
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (size_t i = 0; i < kDays.size(); ++i) {
    if (lower == kDays[i] || lower == kDays[i].substr(0, 3)) return static_cast<int>(i);
  }
  return std::nullopt;
}

int64_t date_add(int64_t date_ms, DateUnit unit, int64_t amount, const TimeZone& zone) {
  int64_t limit = amount_limit(unit);
  if (unit != DateUnit::kMillisecond && (amount > limit || amount < -limit)) {
    fail_evaluation(5976500, "invalid dateAdd 'amount' parameter value: " + std::to_string(amount) +
                                 " " + std::string(date_unit_name(unit)));
  }
  if (unit >= DateUnit::kHour) {
    __int128 result = date_ms + static_cast<__int128>(amount) * unit_ms(unit);
    if (fits(result)) return static_cast<int64_t>(result);
    if (unit == DateUnit::kMillisecond) {
      fail_evaluation(159, "Overflow while adding " + std::to_string(amount) + "ms to " +
                               std::to_string(date_ms) + "ms");
    }
    fail_evaluation(5166406, "dateAdd overflowed");
  }
  bool daylight = zone.is_daylight(date_ms);
  int64_t local = zone.to_local(date_ms);
  if (unit_ms(unit) == 0)
    return zone.to_utc(add_months(local, amount * unit_months(unit)), daylight);
  __int128 moved = local + static_cast<__int128>(amount) * unit_ms(unit);
  if (!fits(moved)) fail_evaluation(5166406, "dateAdd overflowed");
  return zone.to_utc(static_cast<int64_t>(moved), daylight);
}

int64_t date_diff(int64_t start_ms, int64_t end_ms, DateUnit unit, const TimeZone& zone,
                  int start_of_week) {
  switch (unit) {
    case DateUnit::kYear:
    case DateUnit::kQuarter:
    case DateUnit::kMonth: {
      int64_t months = unit_months(unit);
      return floor_div(local_months(end_ms, zone), months) -
             floor_div(local_months(start_ms, zone), months);
    }
    case DateUnit::kWeek: {
      // 1970-01-01 was a Thursday: day 3 is the first Sunday.
      int64_t first = 3 + start_of_week;
      return floor_div(local_days(end_ms, zone) - first, 7) -
             floor_div(local_days(start_ms, zone) - first, 7);
    }
    case DateUnit::kDay:
      return local_days(end_ms, zone) - local_days(start_ms, zone);
    case DateUnit::kHour: {
      // Hours on the zone's clocks; the hours by which the clocks themselves have moved between the
      // dates do not count.
      int64_t start_offset = zone.offset_ms(start_ms);
      int64_t end_offset = zone.offset_ms(end_ms);
      int64_t start_hour = floor_div(calendar::saturating_add(start_ms, start_offset), kMsPerHour);
      int64_t end_hour = floor_div(calendar::saturating_add(end_ms, end_offset), kMsPerHour);
      return end_hour - start_hour - (end_offset - start_offset) / kMsPerHour;
    }
    case DateUnit::kMinute:
    case DateUnit::kSecond:
      return floor_div(end_ms, unit_ms(unit)) - floor_div(start_ms, unit_ms(unit));
    case DateUnit::kMillisecond:
      break;
  }
  int64_t result = 0;
  if (__builtin_sub_overflow(end_ms, start_ms, &result))
    fail_evaluation(5166308, "dateDiff overflowed");
  return result;
}

int64_t date_trunc(int64_t date_ms, DateUnit unit, int64_t bin_size, const TimeZone& zone,
                   int start_of_week) {
  constexpr int64_t kMaxCalendarBin = 100'000'000'000;  // seen with MongoDB 6.0.5
  static const int64_t kReferenceDays = calendar::days_from_date(2000, 1, 1);
  if (unit >= DateUnit::kHour) {
    int64_t bin_ms = 0;
    int64_t reference = zone.to_utc(kReferenceDays * kMsPerDay);
    int64_t since = 0;
    if (__builtin_mul_overflow(bin_size, unit_ms(unit), &bin_ms))
      fail_evaluation(5439002, "dateTrunc overflowed");
    if (__builtin_sub_overflow(date_ms, reference, &since))
      fail_evaluation(5439000, "dateTrunc overflowed");
    int64_t result = 0;
    if (__builtin_sub_overflow(date_ms, floor_mod(since, bin_ms), &result))
      fail_evaluation(5439002, "dateTrunc overflowed");
    return result;
  }
  if (bin_size > kMaxCalendarBin) fail_evaluation(5439006, "dateTrunc unsupported binSize value");
  int64_t days = 0;
  if (unit_ms(unit) == 0) {
    int64_t months_in_bin = bin_size * unit_months(unit);
    int64_t month = 2000 * 12 + floor_div(local_months(date_ms, zone) - 2000 * 12, months_in_bin) *
                                    months_in_bin;
    days = calendar::days_from_date(floor_div(month, 12),
                                    static_cast<int>(floor_mod(month, 12)) + 1, 1);
  } else {
    int64_t reference = kReferenceDays;
    if (unit == DateUnit::kWeek)
      reference += (start_of_week - calendar::weekday(kReferenceDays) + 7) % 7;
    int64_t days_in_bin = unit == DateUnit::kWeek ? bin_size * 7 : bin_size;
    days = reference + floor_div(local_days(date_ms, zone) - reference, days_in_bin) * days_in_bin;
  }
  __int128 local = static_cast<__int128>(days) * kMsPerDay;
  if (!fits(local)) fail_evaluation(5166406, "dateAdd overflowed");
  return zone.to_utc(static_cast<int64_t>(local));
}

}  // namespace millrace::engine
