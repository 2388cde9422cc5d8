// Dates as ISO 8601 text, and back.
#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

constexpr int32_t kMsPerDay = 86'400'000;

// Days since 1970-01-01 of the proleptic Gregorian calendar. Years count from March here, so that
// the leap day comes last.
int64_t days_from_date(int64_t year, int month, int day) {
  if (month <= 2) --year;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

struct CalendarDate {
  int64_t year;
  int month;
  int day;
};
CalendarDate date_from_days(int64_t days) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  auto day_of_year =
      static_cast<int>(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
  int shifted_month = (5 * day_of_year + 2) / 153;
  int month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

int days_in_month(int year, int month) {
  static constexpr int8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Reads fixed fields from left to right; `failed` stays set once something did not fit.
struct Reader {
  const char* at;
  const char* end;
  bool failed = false;

  bool done() const { return at == end; }
  bool next_is(char c) const { return at != end && *at == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    ++at;
    return true;
  }
  void expect(char c) { failed |= !take(c); }
  // Requires: `most` is what follows.
  int digits(int count, int most) {
    if (end - at < count) {
      failed = true;
      return 0;
    }
    int value = 0;
    for (int i = 0; i < count; ++i) {
      unsigned digit = static_cast<unsigned char>(at[i]) - unsigned{'0'};
      failed |= digit > 9;
      value = value * 10 + static_cast<int>(digit & 15);
    }
    at += count;
    failed |= value > most;
    return value;
  }
  // The digits behind the point as milliseconds.
  int fraction() {
    int ms = 0;
    int count = 0;
    for (; at != end && *at >= '0' && *at <= '9'; ++at, ++count) {
      if (count < 3) ms = ms * 10 + (*at - '0');
    }
    failed |= count == 0;
    for (; count < 3; ++count) ms *= 10;
    return ms;
  }
  int64_t time_of_day_ms() {
    int64_t ms = digits(2, 23) * int64_t{3'600'000};
    expect(':');
    ms += digits(2, 59) * int64_t{60'000};
    if (take(':')) {
      ms += digits(2, 59) * int64_t{1000};
      if (take('.')) ms += fraction();
    }
    return ms;
  }
  // East of Greenwich is positive.
  int64_t offset_ms() {
    if (done() || take('Z')) return 0;
    bool west = next_is('-');
    if (!west) failed |= !next_is('+');
    ++at;
    int64_t minutes = digits(2, 23) * 60;
    if (!done()) {
      take(':');
      minutes += digits(2, 59);
    }
    return (west ? -minutes : minutes) * 60'000;
  }
};

// Eight characters of a fixed shape, read at once on a little-endian machine; '0' stands for any
// digit.
struct Shape {
  uint64_t expected = 0;
  uint64_t is_digit = 0;
  consteval explicit Shape(const char (&shape)[9]) {
    for (int i = 0; i < 8; ++i) {
      expected |= uint64_t{static_cast<unsigned char>(shape[i])} << (8 * i);
      if (shape[i] == '0') is_digit |= uint64_t{0xFF} << (8 * i);
    }
  }
  // The digits' values, character i in byte i, and 0 for the other characters; `failed` is set if
  // the text has another shape.
  uint64_t read(const char* at, bool& failed) const {
    constexpr uint64_t kEachByte = 0x0101010101010101;
    uint64_t digits;
    std::memcpy(&digits, at, 8);
    digits ^= expected;
    uint64_t above_nine = ((digits & 0x7F * kEachByte) + (0x7F - 9) * kEachByte) | digits;
    failed |= ((digits & ~is_digit) | (above_nine & is_digit & 0x80 * kEachByte)) != 0;
    return digits;
  }
};

int byte_of(uint64_t bytes, int i) { return static_cast<int>(bytes >> (8 * i) & 0xFF); }

// "YYYY-MM-DDTHH:MM:SS.fffZ", "…SSZ" and "…SS" alone, from the year 1 on, the usual forms of an
// event's time: it is read once per event, where reading it by character would cost as much as the
// rest of a simple pipeline.
std::optional<int64_t> parse_usual_form(std::string_view text) {
  static constexpr Shape kDate("0000-00-"), kTime("00T00:00"), kFraction(":00.000Z"),
      kZulu("0:00:00Z"), kLocal("00:00:00");
  size_t size = text.size();
  if ((size != 24 && size != 20 && size != 19) || std::endian::native != std::endian::little)
    return std::nullopt;
  bool failed = false;
  uint64_t date = kDate.read(text.data(), failed);
  uint64_t time = kTime.read(text.data() + 8, failed);
  // The last eight characters; where they begin depends on the form.
  uint64_t rest =
      (size == 24 ? kFraction : (size == 20 ? kZulu : kLocal)).read(text.data() + size - 8, failed);
  if (failed) return std::nullopt;
  // Byte i: the number that digits i and i + 1 make.
  uint64_t date_pairs = date * 10 + (date >> 8);
  uint64_t time_pairs = time * 10 + (time >> 8);
  uint64_t rest_pairs = rest * 10 + (rest >> 8);
  int year = byte_of(date_pairs, 0) * 100 + byte_of(date_pairs, 2);
  int month = byte_of(date_pairs, 5);
  int day = byte_of(time_pairs, 0);
  int hour = byte_of(time_pairs, 3);
  int minute = byte_of(time_pairs, 6);
  int second = byte_of(rest_pairs, size == 24 ? 1 : (size == 20 ? 5 : 6));
  if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
    return std::nullopt;
  if (day > 28 && day > days_in_month(year, month)) return std::nullopt;
  static constexpr int16_t kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  constexpr int kDaysTo1970 = 719162;  // from 0001-01-01
  int before = year - 1;
  bool leap_day_passed = month > 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  int days = before * 365 + before / 4 - before / 100 + before / 400 + kDaysBefore[month - 1] +
             leap_day_passed + day - 1 - kDaysTo1970;
  int ms = second * 1000 + (size == 24 ? byte_of(rest, 4) * 100 + byte_of(rest_pairs, 5) : 0);
  return int64_t{days} * kMsPerDay + (hour * 60 + minute) * 60'000 + ms;
}

char* put_digits(char* to, int value, int count) {
  for (int i = count - 1; i >= 0; --i, value /= 10) to[i] = static_cast<char>('0' + value % 10);
  return to + count;
}

char* put_year(char* to, int64_t year) {
  if (year >= 0 && year <= 9999) return put_digits(to, static_cast<int>(year), 4);
  *to++ = year < 0 ? '-' : '+';
  char digits[20];
  char* end = std::to_chars(digits, digits + sizeof digits, std::llabs(year)).ptr;
  for (auto missing = 6 - (end - digits); missing > 0; --missing) *to++ = '0';
  for (const char* digit = digits; digit != end; ++digit) *to++ = *digit;
  return to;
}

}  // namespace

std::optional<int64_t> parse_iso_date(std::string_view text) {
  if (auto usual = parse_usual_form(text)) return usual;
  Reader reader{text.data(), text.data() + text.size()};
  int year = reader.digits(4, 9999);
  reader.expect('-');
  int month = reader.digits(2, 12);
  reader.expect('-');
  int day = reader.digits(2, 31);
  if (reader.failed || month == 0 || day == 0 || day > days_in_month(year, month))
    return std::nullopt;
  int64_t ms = days_from_date(year, month, day) * kMsPerDay;
  if (reader.done()) return ms;
  if (!reader.take('T')) reader.expect(' ');
  ms += reader.time_of_day_ms();
  if (reader.failed) return std::nullopt;
  ms -= reader.offset_ms();
  if (reader.failed || !reader.done()) return std::nullopt;
  return ms;
}

char* write_iso_date(int64_t ms, char* to) {
  int64_t days = ms / kMsPerDay;
  auto rest = static_cast<int>(ms % kMsPerDay);
  if (rest < 0) {
    rest += kMsPerDay;
    --days;
  }
  CalendarDate date = date_from_days(days);
  to = put_year(to, date.year);
  *to++ = '-';
  to = put_digits(to, date.month, 2);
  *to++ = '-';
  to = put_digits(to, date.day, 2);
  *to++ = 'T';
  to = put_digits(to, rest / 3'600'000, 2);
  *to++ = ':';
  to = put_digits(to, rest / 60'000 % 60, 2);
  *to++ = ':';
  to = put_digits(to, rest / 1000 % 60, 2);
  *to++ = '.';
  to = put_digits(to, rest % 1000, 3);
  *to++ = 'Z';
  return to;
}

void append_iso_date(int64_t ms, std::string& out) {
  char buffer[kIsoDateBytes];
  out.append(buffer, write_iso_date(ms, buffer));
}

}  // namespace millrace::engine
