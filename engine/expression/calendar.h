// The proleptic Gregorian calendar and ISO 8601 weeks over the whole range of 64-bit milliseconds.
// <chrono>'s calendar ends at year 32767, a BSON date does not.
#pragma once

#include <cstdint>

namespace millrace::engine::calendar {

inline constexpr int64_t kMsPerSecond = 1000;
inline constexpr int64_t kMsPerMinute = 60 * kMsPerSecond;
inline constexpr int64_t kMsPerHour = 60 * kMsPerMinute;
inline constexpr int64_t kMsPerDay = 24 * kMsPerHour;

inline int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
inline int64_t floor_mod(int64_t a, int64_t b) {
  int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
// The sum, or the end of the range that it passes.
inline int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? INT64_MIN : INT64_MAX;
}

inline bool is_leap(int64_t year) {
  return floor_mod(year, 4) == 0 && (floor_mod(year, 100) != 0 || floor_mod(year, 400) == 0);
}

inline int days_in_month(int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

// Days since 1970-01-01. `day` may be any number; `month` is 1 to 12.
inline int64_t days_from_date(int64_t year, int month, int64_t day) {
  if (month <= 2) --year;  // years begin in March, so that the leap day comes last
  int64_t era = floor_div(year, 400);
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468 + day - 1;
}

struct Date {
  int64_t year;
  int month;  // 1 to 12
  int day;    // 1 to 31
};
inline Date date_from_days(int64_t days) {
  days += 719468;
  int64_t era = floor_div(days, 146097);
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  auto shifted_month = static_cast<int>((5 * day_of_year + 2) / 153);
  int month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {year_of_era + era * 400 + (month <= 2), month,
          static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1)};
}

// 0 Sunday to 6 Saturday.
inline int weekday(int64_t days) { return static_cast<int>(floor_mod(days + 4, 7)); }
// 1 Monday to 7 Sunday.
inline int iso_weekday(int64_t days) { return static_cast<int>(floor_mod(days + 3, 7)) + 1; }

struct IsoWeek {
  int64_t year;
  int week;  // 1 to 53
};
inline IsoWeek iso_week(int64_t days) {
  int64_t thursday = days - iso_weekday(days) + 4;  // the week belongs to the year of its Thursday
  int64_t year = date_from_days(thursday).year;
  return {year, static_cast<int>((thursday - days_from_date(year, 1, 1)) / 7) + 1};
}
// `week` and `weekday` may be any number.
inline int64_t days_from_iso_week(int64_t year, int64_t week, int64_t weekday) {
  int64_t fourth = days_from_date(year, 1, 4);  // always in week 1
  return fourth - iso_weekday(fourth) + (week - 1) * 7 + weekday;
}

// A local time taken apart.
struct Parts {
  int64_t days;  // since 1970-01-01
  Date date;
  int hour, minute, second, millisecond;
};
inline Parts parts_from_ms(int64_t local_ms) {
  int64_t days = floor_div(local_ms, kMsPerDay);
  auto rest = static_cast<int>(floor_mod(local_ms, kMsPerDay));
  return {days,       date_from_days(days), rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60,
          rest % 1000};
}

}  // namespace millrace::engine::calendar
