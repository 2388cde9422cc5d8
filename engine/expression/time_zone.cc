#include "engine/expression/time_zone.h"

#include <date/tz.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "engine/expression/calendar.h"

namespace millrace::engine {

using calendar::kMsPerHour;
using calendar::kMsPerMinute;
using calendar::kMsPerSecond;

namespace {

// tzdata's tables of changes end in 2037 or earlier; from here on the rule at the end of a zone's
// file holds (RFC 8536 section 3.3), which date's library does not read.
const int64_t kRuleFromMs = calendar::days_from_date(2037, 1, 1) * calendar::kMsPerDay;

// Reads a POSIX TZ string piece by piece.
struct TzReader {
  std::string_view rest;

  bool take(char c) {
    if (rest.empty() || rest[0] != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  int number() {
    int value = 0;
    while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      value = std::min(value * 10 + (rest[0] - '0'), 100'000);
      rest.remove_prefix(1);
    }
    return value;
  }
  void name() {
    if (take('<')) {
      while (!rest.empty() && !take('>')) rest.remove_prefix(1);
      return;
    }
    while (!rest.empty() &&
           ((rest[0] >= 'A' && rest[0] <= 'Z') || (rest[0] >= 'a' && rest[0] <= 'z')))
      rest.remove_prefix(1);
  }
  // [+-]hh[:mm[:ss]]
  int64_t time_ms() {
    bool negative = take('-');
    if (!negative) take('+');
    int64_t ms = number() * kMsPerHour;
    if (take(':')) ms += number() * kMsPerMinute;
    if (take(':')) ms += number() * kMsPerSecond;
    return negative ? -ms : ms;
  }
};

// "M3.2.0/2" (second Sunday of March at 2:00), "J60" (the day of year without leap days), "60"
// (with, from 0).
struct ChangeDay {
  char kind = 'M';
  int month = 1, week = 1, weekday = 0;
  int day = 0;
  int64_t time_ms = 2 * kMsPerHour;

  static ChangeDay read(TzReader& reader) {
    ChangeDay change;
    if (reader.take('M')) {
      change.month = std::clamp(reader.number(), 1, 12);
      reader.take('.');
      change.week = std::clamp(reader.number(), 1, 5);
      reader.take('.');
      change.weekday = reader.number() % 7;
    } else {
      change.kind = reader.take('J') ? 'J' : 'n';
      change.day = reader.number();
    }
    if (reader.take('/')) change.time_ms = reader.time_ms();
    return change;
  }
  // The local time of the change in that year.
  int64_t local_ms(int64_t year) const {
    int64_t days = 0;
    if (kind == 'M') {
      int64_t first = calendar::days_from_date(year, month, 1);
      int in_month = (weekday - calendar::weekday(first) + 7) % 7 + (week - 1) * 7;
      while (in_month >= calendar::days_in_month(year, month)) in_month -= 7;
      days = first + in_month;
    } else if (kind == 'J') {
      days = calendar::days_from_date(year, 1, day) + (calendar::is_leap(year) && day >= 60);
    } else {
      days = calendar::days_from_date(year, 1, 1) + day;
    }
    return days * calendar::kMsPerDay + time_ms;
  }
};

// The last line of a zone's file, e.g. "EST5EDT,M3.2.0,M11.1.0"; empty if it cannot be read.
std::string read_footer(const std::string& name) {
  std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (content.empty() || content.back() != '\n') return "";
  content.pop_back();
  size_t line = content.rfind('\n');
  return line == std::string::npos ? "" : content.substr(line + 1);
}

// ±hh, ±hhmm, ±hh:mm in milliseconds. As the server, hours and minutes may be any two digits.
std::optional<int64_t> parse_offset(std::string_view text) {
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  std::string digits(text.substr(1));
  if (digits.size() == 5 && digits[2] == ':') digits.erase(2, 1);
  if (digits.size() != 2 && digits.size() != 4) return std::nullopt;
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  int64_t ms = std::stoi(digits.substr(0, 2)) * kMsPerHour;
  if (digits.size() == 4) ms += std::stoi(digits.substr(2)) * kMsPerMinute;
  return text[0] == '-' ? -ms : ms;
}

Status unknown_zone(std::string_view name) {
  return Status(40485, "unrecognized time zone identifier: \"" + std::string(name) + "\"");
}

}  // namespace

struct TimeZone::Rule {
  int64_t standard_ms = 0;
  int64_t daylight_ms = 0;
  bool has_daylight = false;
  ChangeDay begin, end;  // of daylight saving time

  explicit Rule(std::string_view footer) {
    TzReader reader{footer};
    reader.name();
    standard_ms = -reader.time_ms();  // POSIX counts west of Greenwich
    if (reader.rest.empty()) return;
    has_daylight = true;
    reader.name();
    daylight_ms =
        reader.rest.empty() || reader.rest[0] == ',' ? standard_ms + kMsPerHour : -reader.time_ms();
    if (reader.take(',')) begin = ChangeDay::read(reader);
    if (reader.take(',')) end = ChangeDay::read(reader);
  }
  bool is_daylight(int64_t utc_ms) const {
    if (!has_daylight) return false;
    int64_t year = calendar::parts_from_ms(calendar::saturating_add(utc_ms, standard_ms)).date.year;
    int64_t from = begin.local_ms(year) - standard_ms;
    int64_t to = end.local_ms(year) - daylight_ms;
    return from < to ? utc_ms >= from && utc_ms < to : utc_ms >= from || utc_ms < to;
  }
};

TimeZone::TimeZone(const date::time_zone* zone, std::string footer, int64_t fixed_ms)
    : zone_(zone), fixed_ms_(fixed_ms) {
  if (!footer.empty()) rule_ = std::make_shared<const Rule>(footer);
}

const TimeZone& TimeZone::utc() {
  static const TimeZone kUtc(nullptr, "", 0);
  return kUtc;
}

Result<const TimeZone*> TimeZone::find(std::string_view name) {
  if (name == "UTC" || name == "GMT") return &utc();
  static std::shared_mutex mutex;
  static std::map<std::string, std::unique_ptr<TimeZone>, std::less<>> known;
  {
    std::shared_lock lock(mutex);
    if (auto found = known.find(name); found != known.end()) return found->second.get();
  }
  std::unique_ptr<TimeZone> made;
  if (auto offset = parse_offset(name)) {
    made.reset(new TimeZone(nullptr, "", *offset));
  } else {
    if (name.empty() || name.starts_with("right/") || name.starts_with("posix") ||
        name.find('\0') != std::string_view::npos) {
      return unknown_zone(name);
    }
    try {
      const date::time_zone* zone = date::locate_zone(name);
      if (zone->name() != name) return unknown_zone(name);
      made.reset(new TimeZone(zone, read_footer(std::string(name)), 0));
      made->info(0);  // reads the zone's file now, where a damaged one can be told
    } catch (const std::exception&) {
      return unknown_zone(name);
    }
  }
  std::unique_lock lock(mutex);
  return known.emplace(std::string(name), std::move(made)).first->second.get();
}

TimeZone::Info TimeZone::info(int64_t utc_ms) const {
  if (utc_ms >= kRuleFromMs && rule_ != nullptr) {
    bool daylight = rule_->is_daylight(utc_ms);
    return {daylight ? rule_->daylight_ms : rule_->standard_ms, daylight};
  }
  date::sys_info info = zone_->get_info(
      date::sys_seconds(std::chrono::seconds(calendar::floor_div(utc_ms, kMsPerSecond))));
  return {info.offset.count() * kMsPerSecond, info.save != std::chrono::minutes(0)};
}

int64_t TimeZone::to_utc(int64_t local_ms, bool daylight) const {
  using calendar::saturating_add;
  if (zone_ == nullptr) return saturating_add(local_ms, -fixed_ms_);
  // Changes are more than two days apart, so that the offsets a day before and after are those
  // around at most one change.
  Info before = info(saturating_add(local_ms, -calendar::kMsPerDay));
  Info after = info(saturating_add(local_ms, calendar::kMsPerDay));
  if (before.offset_ms == after.offset_ms) return saturating_add(local_ms, -before.offset_ms);
  int64_t by_before = saturating_add(local_ms, -before.offset_ms);
  int64_t by_after = saturating_add(local_ms, -after.offset_ms);
  bool before_holds = offset_ms(by_before) == before.offset_ms;
  bool after_holds = offset_ms(by_after) == after.offset_ms;
  if (before_holds && after_holds) return daylight && before.daylight ? by_before : by_after;
  return after_holds ? by_after : by_before;
}

}  // namespace millrace::engine
