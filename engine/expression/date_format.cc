// Dates by format, and what both date parsers share.
#include "engine/expression/calendar.h"
#include "engine/expression/date_fields.h"
#include "engine/expression/date_parse.h"

#include <array>

namespace millrace::engine {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

struct ZoneAbbreviation {
  std::string_view name;
  int minutes;
};
// Where an abbreviation has several meanings the usual one of date parsers: American, then
// European.
constexpr ZoneAbbreviation kZoneAbbreviations[] = {
    {"z", 0},      {"utc", 0},    {"gmt", 0},     {"wet", 0},     {"west", 60},  {"bst", 60},
    {"cet", 60},   {"cest", 120}, {"met", 60},    {"mest", 120},  {"eet", 120},  {"eest", 180},
    {"msk", 180},  {"msd", 240},  {"sast", 120},  {"ist", 330},   {"jst", 540},  {"kst", 540},
    {"hkt", 480},  {"awst", 480}, {"acst", 570},  {"acdt", 630},  {"aest", 600}, {"aedt", 660},
    {"nzst", 720}, {"nzdt", 780}, {"nst", -210},  {"ndt", -150},  {"ast", -240}, {"adt", -180},
    {"est", -300}, {"edt", -240}, {"cst", -360},  {"cdt", -300},  {"mst", -420}, {"mdt", -360},
    {"pst", -480}, {"pdt", -420}, {"akst", -540}, {"akdt", -480}, {"hst", -600},
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Up to `most` digits at `at`; nullopt if there is none.
std::optional<int> read_digits(std::string_view text, size_t& at, size_t most) {
  size_t from = at;
  int value = 0;
  for (; at < text.size() && at - from < most && is_digit(text[at]); ++at)
    value = value * 10 + (text[at] - '0');
  if (at == from) return std::nullopt;
  return value;
}

}  // namespace

std::string_view month_name(int month) { return kMonths[month - 1]; }
std::string_view month_abbreviation(int month) { return kMonths[month - 1].substr(0, 3); }

int month_from_name(std::string_view name) {
  std::string lower = lower_case(name);
  if (lower == "sept") return 9;
  for (size_t i = 0; i < kMonths.size(); ++i) {
    std::string full = lower_case(kMonths[i]);
    if (lower == full || lower == full.substr(0, 3)) return static_cast<int>(i) + 1;
  }
  return 0;
}

std::optional<int64_t> zone_abbreviation_ms(std::string_view name) {
  std::string lower = lower_case(name);
  if (lower.size() == 1 && lower[0] != 'j') {  // the military letters, Z is UTC
    char c = lower[0];
    if (c >= 'a' && c <= 'i') return (c - 'a' + 1) * calendar::kMsPerHour;
    if (c >= 'k' && c <= 'm') return (c - 'k' + 10) * calendar::kMsPerHour;
    if (c >= 'n' && c <= 'y') return -(c - 'n' + 1) * calendar::kMsPerHour;
  }
  for (const auto& zone : kZoneAbbreviations) {
    if (zone.name == lower) return zone.minutes * calendar::kMsPerMinute;
  }
  return std::nullopt;
}

bool read_zone(std::string_view text, size_t& at, DateFields& fields) {
  if (at >= text.size()) return false;
  size_t word = at;
  while (word < text.size() && is_letter(text[word])) ++word;
  if (word > at) {
    std::string_view name = text.substr(at, word - at);
    auto offset = zone_abbreviation_ms(name);
    if (!offset || (word < text.size() && (text[word] == '/' || text[word] == '_'))) return false;
    at = word;
    bool prefix =
        at < text.size() && (text[at] == '+' || text[at] == '-') && *offset == 0;  // "GMT+2"
    if (prefix && read_zone(text, at, fields)) return true;
    fields.offset_ms = offset;
    fields.zone_name = std::string(name);
    return true;
  }
  if (text[at] != '+' && text[at] != '-') return false;
  bool west = text[at] == '-';
  size_t digits = at + 1;
  size_t count = 0;
  while (digits + count < text.size() && is_digit(text[digits + count])) ++count;
  if (count == 0 || count > 6 || count == 5) return false;
  size_t next = digits;
  int hours = *read_digits(text, next, count == 3 ? 1 : std::min<size_t>(count, 2));
  int minutes = count > 2 ? *read_digits(text, next, 2) : 0;
  int seconds = count > 4 ? *read_digits(text, next, 2) : 0;
  for (int* part : {&minutes, &seconds}) {
    if (count > 2 || next + 1 >= text.size() || text[next] != ':' || !is_digit(text[next + 1]))
      break;
    ++next;
    *part = *read_digits(text, next, 2);
  }
  if (minutes > 59 || seconds > 59) return false;
  int64_t ms = hours * calendar::kMsPerHour + minutes * calendar::kMsPerMinute +
               seconds * calendar::kMsPerSecond;
  fields.offset_ms = west ? -ms : ms;
  fields.zone_name.clear();
  at = next;
  return true;
}

void fail_date_text(std::string_view text, size_t at, const char* reason) {
  std::string message = "Error parsing date string '" + std::string(text) + "'; " +
                        std::to_string(at) + ": " + reason + " '";
  message += at < text.size() ? text[at] : ' ';
  fail_evaluation(ErrorCode::kConversionFailure, message + "'");
}

int64_t date_from_fields(const DateFields& fields, std::string_view text, const TimeZone& zone,
                         bool zone_given) {
  bool natural = fields.year || fields.month || fields.day || fields.day_of_year;
  bool iso = fields.iso_year || fields.iso_week || fields.iso_weekday;
  if (natural && iso)
    fail_date_text(text, text.size(), "Mixing of ISO dates with natural dates is not allowed");
  if (iso && !fields.iso_year) fail_date_text(text, text.size(), "The parsed date was invalid");
  int64_t days = 0;
  if (iso) {
    days = calendar::days_from_iso_week(*fields.iso_year, fields.iso_week.value_or(1),
                                        fields.iso_weekday.value_or(1));
  } else if (fields.year && fields.day_of_year) {
    // Counted from 0 and without bounds, as the server's parser has it and the manual has not.
    days = calendar::days_from_date(*fields.year, 1, 1) + *fields.day_of_year;
  } else {
    if (!fields.year || !fields.month || !fields.day) {
      fail_evaluation(ErrorCode::kConversionFailure,
                      "an incomplete date/time string has been found, with elements missing: \"" +
                          std::string(text) + "\"");
    }
    if (*fields.month < 1 || *fields.month > 12 || *fields.day < 1 ||
        *fields.day > calendar::days_in_month(*fields.year, *fields.month)) {
      fail_date_text(text, text.size(), "The parsed date was invalid");
    }
    days = calendar::days_from_date(*fields.year, *fields.month, *fields.day);
  }
  if (fields.hour > 23 || fields.minute > 59 || fields.second > 59)
    fail_date_text(text, text.size(), "The parsed time was invalid");
  if (fields.weekday) days += (*fields.weekday - calendar::weekday(days) + 7) % 7;
  int64_t local = days * calendar::kMsPerDay + fields.hour * calendar::kMsPerHour +
                  fields.minute * calendar::kMsPerMinute + fields.second * calendar::kMsPerSecond +
                  fields.millisecond;
  if (!fields.offset_ms) return zone.to_utc(local);
  if (zone_given) {
    std::string what = fields.zone_name.empty()
                           ? "GMT offset"
                           : "time zone information ('" + fields.zone_name + "')";
    fail_evaluation(ErrorCode::kConversionFailure, "you cannot pass in a date/time string with " +
                                                       what + " together with a timezone argument");
  }
  return local - *fields.offset_ms;
}

Result<DatePattern> DatePattern::parse(std::string_view format, bool reading) {
  // Month names since MongoDB 7.0.
  std::string_view specifiers = reading ? "BGHLMSVYZbdjmuz" : "BGHLMSUVYZbdjmuwz";
  DatePattern parsed;
  auto literal = [&]() -> std::string& {
    if (parsed.pieces.empty() || parsed.pieces.back().specifier != 0)
      parsed.pieces.push_back({0, ""});
    return parsed.pieces.back().literal;
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      literal() += format[i];
      continue;
    }
    if (++i == format.size()) return Status(18535, "Unmatched '%' at end of format string");
    if (format[i] == '%') {
      literal() += '%';
    } else if (specifiers.find(format[i]) != std::string_view::npos) {
      parsed.pieces.push_back({format[i], ""});
    } else {
      return Status(
          18536, "Invalid format character '%" + std::string(1, format[i]) + "' in format string");
    }
  }
  return parsed;
}

int64_t parse_formatted_date(std::string_view text, const DatePattern& format, const TimeZone& zone,
                             bool zone_given) {
  DateFields fields;
  size_t at = 0;
  auto number = [&](size_t most) {
    if (at >= text.size()) fail_date_text(text, at, "Not enough data available to satisfy format");
    auto value = read_digits(text, at, most);
    if (!value) fail_date_text(text, at, "Unexpected data found.");
    return *value;
  };
  for (const DatePattern::Piece& piece : format.pieces) {
    size_t from = at;
    switch (piece.specifier) {
      case 0:
        for (char c : piece.literal) {
          if (at >= text.size())
            fail_date_text(text, at, "Not enough data available to satisfy format");
          if (text[at] != c) fail_date_text(text, at, "Format literal not found");
          ++at;
        }
        break;
      case 'Y':
        fields.year = number(4);
        break;
      case 'm':
        fields.month = number(2);
        break;
      case 'd':
        fields.day = number(2);
        break;
      case 'H':
        fields.hour = number(2);
        break;
      case 'M':
        fields.minute = number(2);
        break;
      case 'S':
        fields.second = number(2);
        break;
      case 'L':
        fields.millisecond = number(3);
        for (size_t digits = at - from; digits < 3; ++digits) fields.millisecond *= 10;
        break;
      case 'j':
        if (!fields.year)
          fail_date_text(text, from, "A 'day of year' can only come after a year has been found");
        fields.day_of_year = number(3);
        break;
      case 'G':
        fields.iso_year = number(4);
        break;
      case 'V':
        fields.iso_week = number(2);
        if (*fields.iso_week < 1 || *fields.iso_week > 53)
          fail_date_text(text, from, "ISO Week must be between 1 and 53");
        break;
      case 'u':
        fields.iso_weekday = number(1);
        if (*fields.iso_weekday < 1 || *fields.iso_weekday > 7)
          fail_date_text(text, from, "Day of week must be between 1 and 7");
        break;
      case 'b':
      case 'B': {
        while (at < text.size() && is_letter(text[at])) ++at;
        int month = month_from_name(text.substr(from, at - from));
        if (month == 0) fail_date_text(text, from, "A textual month could not be found");
        fields.month = month;
        break;
      }
      case 'z':
        if (at >= text.size())
          fail_date_text(text, at, "Not enough data available to satisfy format");
        if (!read_zone(text, at, fields))
          fail_date_text(text, at, "The timezone could not be found");
        break;
      case 'Z': {
        if (at >= text.size())
          fail_date_text(text, at, "Not enough data available to satisfy format");
        if (text[at] != '+' && text[at] != '-')
          fail_date_text(text, at, "Invalid timezone offset in minutes");
        ++at;
        int minutes = number(4);
        fields.offset_ms = (text[from] == '-' ? -minutes : minutes) * calendar::kMsPerMinute;
        break;
      }
    }
  }
  if (at < text.size()) fail_date_text(text, at, "Trailing data");
  return date_from_fields(fields, text, zone, zone_given);
}

}  // namespace millrace::engine
