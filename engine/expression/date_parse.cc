#include "engine/expression/date_parse.h"

#include <charconv>

#include "engine/expression/calendar.h"
#include "engine/expression/date_arithmetic.h"
#include "engine/expression/date_fields.h"

namespace millrace::engine {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_space(char c) { return c == ' ' || c == '\t' || c == ',' || c == '\n' || c == '\r'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Reads a date, a time and a zone in any order, each once.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : text_(text) {}

  DateFields read() {
    if (text_.empty()) fail("Empty string");
    for (skip_space(); !done(); skip_space()) read_item();
    // "Feb 2017" and "2017-02" mean the first of the month.
    if (fields_.year && fields_.month && !fields_.day) fields_.day = 1;
    return std::move(fields_);
  }

 private:
  bool done() const { return at_ >= text_.size(); }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool digit(size_t ahead = 0) const { return is_digit(peek(ahead)); }
  bool letter(size_t ahead = 0) const { return is_letter(peek(ahead)); }
  void skip_space() {
    while (!done() && is_space(peek())) ++at_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void fail(const char* reason) const { fail_date_text(text_, at_, reason); }

  size_t digits_ahead() const {
    size_t count = 0;
    while (digit(count)) ++count;
    return count;
  }
  // Requires: `count` digits are ahead, at most 9.
  int number(size_t count) {
    int value = 0;
    for (; count > 0; --count) value = value * 10 + (text_[at_++] - '0');
    return value;
  }
  // One or two digits.
  int small_number() {
    size_t count = std::min<size_t>(digits_ahead(), 2);
    if (count == 0) fail("Unexpected character");
    return number(count);
  }
  std::string_view letters() {
    size_t from = at_;
    while (letter()) ++at_;
    return text_.substr(from, at_ - from);
  }

  bool has_date() const { return (fields_.year && fields_.month) || fields_.iso_year; }

  void read_item() {
    char c = peek();
    if (c == '@') return read_timestamp();
    if (is_digit(c)) return read_number();
    if (is_letter(c)) return read_word();
    if ((c == '+' || c == '-') && !has_date() && !time_read_ && digit(1) && digit(2) && digit(3) &&
        digit(4)) {
      ++at_;
      int64_t sign = c == '-' ? -1 : 1;
      if (digits_ahead() != 4) fail("Unexpected character");
      int64_t year = number(4);
      if (!take('-')) fail("Unexpected character");
      read_month_and_day('-');
      fields_.year = sign * year;
      return;
    }
    if ((c == '+' || c == '-') && read_offset()) return;
    fail("Unexpected character");
  }

  bool read_offset() {
    if (fields_.offset_ms) fail("Double timezone specification");
    return read_zone(text_, at_, fields_);
  }

  // "@1486555840": seconds since 1970 in UTC.
  void read_timestamp() {
    ++at_;
    bool negative = take('-');
    size_t count = digits_ahead();
    if (count == 0 || count > 12 || has_date()) fail("Unexpected character");
    int64_t seconds = 0;
    std::from_chars(text_.data() + at_, text_.data() + at_ + count, seconds);
    at_ += count;
    set_date_time(
        calendar::parts_from_ms((negative ? -seconds : seconds) * calendar::kMsPerSecond));
    fields_.offset_ms = 0;
  }

  void set_date_time(const calendar::Parts& parts) {
    fields_.year = parts.date.year;
    fields_.month = parts.date.month;
    fields_.day = parts.date.day;
    fields_.hour = parts.hour;
    fields_.minute = parts.minute;
    fields_.second = parts.second;
    time_read_ = true;
  }

  // A date, a time, or a day or year beside a month's name.
  void read_number() {
    size_t count = digits_ahead();
    char after = peek(count);
    bool time_follows =
        count <= 2 && (after == ':' || (after == '.' && !is_dotted_date(count)) || is_am_pm(count));
    if (time_follows && (has_date() || after == ':' || is_am_pm(count) || after == '.'))
      return read_time(false);
    if (fields_.month && !fields_.year && count == 4) {
      fields_.year = number(4);
      return;
    }
    if (fields_.month && !fields_.day && count <= 2) {
      fields_.day = number(count);
      take_ordinal();
      if (peek() == '-' || peek() == '/') ++at_;
      return;
    }
    if (has_date()) {
      if (count <= 2 || time_read_) fail("Unexpected character");
      return read_time(true);
    }
    if (count == 4) return read_from_year();
    if (count == 8 || count == 14) return read_compact(count);
    if (count <= 2) return read_from_small(count);
    fail("Unexpected character");
  }

  // "DD.MM.YYYY", which is told from "hh.mm.ss" by its year.
  bool is_dotted_date(size_t count) const {
    size_t month = at_ + count + 1;
    size_t i = month;
    while (i < text_.size() && is_digit(text_[i])) ++i;
    if (i == month || i - month > 2 || i >= text_.size() || text_[i] != '.') return false;
    size_t year = i + 1;
    while (year < text_.size() && is_digit(text_[year])) ++year;
    return year - i - 1 == 4;
  }
  bool is_am_pm(size_t ahead) const {
    while (peek(ahead) == ' ') ++ahead;
    char c = lower(peek(ahead));
    return (c == 'a' || c == 'p') && lower(peek(ahead + 1)) == 'm' && !letter(ahead + 2);
  }

  void take_ordinal() {
    if (!letter() || !letter(1) || letter(2)) return;
    char a = lower(peek());
    char b = lower(peek(1));
    if ((a == 's' && b == 't') || (a == 'n' && b == 'd') || (a == 'r' && b == 'd') ||
        (a == 't' && b == 'h'))
      at_ += 2;
  }

  // What follows "YYYY" or "YYYY-": MM, MM-DD, Mon-DD.
  void read_month_and_day(char separator) {
    if (letter()) {
      fields_.month = month_from_name(letters());
      if (*fields_.month == 0) fail("Unexpected character");
    } else {
      if (digits_ahead() > 2) fail("Unexpected character");
      fields_.month = small_number();
      if (*fields_.month > 12) fail("Unexpected character");
    }
    if (peek() != separator || !digit(1)) {
      fields_.day = 1;
      return;
    }
    ++at_;
    fields_.day = small_number();
  }

  void read_from_year() {
    int year = number(4);
    char separator = peek();
    if ((separator == '-' && lower(peek(1)) == 'w') || lower(separator) == 'w') {
      at_ += separator == '-' ? 2 : 1;
      if (digits_ahead() < 2) fail("Unexpected character");
      fields_.iso_year = year;
      fields_.iso_week = number(2);
      if (*fields_.iso_week > 53) fail("Unexpected character");
      if (peek() == '-' && digit(1)) ++at_;
      if (digit()) fields_.iso_weekday = number(1);
      return;
    }
    fields_.year = year;
    bool part_follows = digit(1) || (separator == '-' && letter(1));
    if ((separator == '-' || separator == '/' || separator == ':') && part_follows) {
      ++at_;
      read_month_and_day(separator);
    }
  }

  void read_compact(size_t count) {
    fields_.year = number(4);
    fields_.month = number(2);
    fields_.day = number(2);
    if (count == 14) read_time(true);
  }

  // M/D/Y, D-M-YYYY, YY-MM-DD, D-Mon-Y, D.M.YYYY, "8 Feb", "8th".
  void read_from_small(size_t count) {
    int first = number(count);
    char separator = peek();
    if (separator == '/' && digit(1)) {
      ++at_;
      fields_.month = first;
      fields_.day = small_number();
      if (take('/')) fields_.year = year_number();
      return;
    }
    if ((separator == '-' || separator == '.') && digit(1)) {
      ++at_;
      int second = small_number();
      if (!take(separator)) fail("Unexpected character");
      if (separator == '-' && digits_ahead() <= 2) {
        fields_.year = full_year(first);
        fields_.month = second;
        fields_.day = small_number();
      } else {
        fields_.day = first;
        fields_.month = second;
        fields_.year = year_number();
      }
      return;
    }
    fields_.day = first;
    take_ordinal();
    if ((separator == '-' || separator == '/') && letter(1)) {
      ++at_;
      read_month_name();
      if (take(separator)) fields_.year = year_number();
      if (peek() == ':' && digit(1)) ++at_;  // the log format "08/Feb/2017:12:10:40"
      return;
    }
    skip_space();
    if (!letter()) fail("Unexpected character");
    read_month_name();
  }

  void read_month_name() {
    size_t from = at_;
    int month = month_from_name(letters());
    if (month == 0) {
      at_ = from;
      fail("Unexpected character");
    }
    fields_.month = month;
    take('.');
    if (peek() == '-' && digit(1)) ++at_;
  }

  static int full_year(int two_digits) {
    return two_digits < 70 ? 2000 + two_digits : 1900 + two_digits;
  }
  int year_number() {
    size_t count = digits_ahead();
    if (count != 2 && count != 4) fail("Unexpected character");
    int year = number(count);
    return count == 2 ? full_year(year) : year;
  }

  // hh[:mm[:ss[.fff]]] [am|pm]; `compact`: hh[mm[ss]], as it may stand behind a T.
  void read_time(bool compact) {
    if (time_read_) fail("Double time specification");
    time_read_ = true;
    size_t count = digits_ahead();
    if (compact && (count == 4 || count == 6)) {
      fields_.hour = number(2);
      fields_.minute = number(2);
      if (count == 6) fields_.second = number(2);
    } else {
      fields_.hour = small_number();
      char separator = peek();
      if ((separator == ':' || separator == '.') && digit(1)) {
        ++at_;
        fields_.minute = small_number();
        if (peek() == separator && digit(1)) {
          ++at_;
          fields_.second = small_number();
        }
      }
    }
    if (digit()) fail("Unexpected character");
    if (peek() == '.') read_fraction();
    read_am_pm();
    if (fields_.minute > 59 || fields_.second > 59) fail("Unexpected character");
  }

  void read_fraction() {
    ++at_;
    int scale = 100;
    for (; digit(); ++at_, scale /= 10) fields_.millisecond += (peek() - '0') * scale;
  }

  void read_am_pm() {
    if (!is_am_pm(0)) return;
    while (peek() == ' ') ++at_;
    bool pm = lower(peek()) == 'p';
    at_ += 2;
    if (fields_.hour < 1 || fields_.hour > 12) fail("Unexpected character");
    fields_.hour = fields_.hour % 12 + (pm ? 12 : 0);
  }

  void read_word() {
    if (lower(peek()) == 't' && digit(1)) {
      ++at_;
      return read_time(true);
    }
    size_t from = at_;
    std::string_view word = letters();
    std::string name;
    for (char c : word) name += lower(c);
    if (month_from_name(name) != 0 && !fields_.month) {
      at_ = from;
      return read_month_name();
    }
    if (auto weekday = weekday_from_name(name)) {
      fields_.weekday = weekday;
      take('.');
      return;
    }
    if (name == "noon" || name == "midnight") {
      if (time_read_) fail("Double time specification");
      time_read_ = true;
      fields_.hour = name == "noon" ? 12 : 0;
      return;
    }
    at_ = from;
    if (fields_.offset_ms) fail("Double timezone specification");
    if (!read_zone(text_, at_, fields_))
      fail("passing a time zone identifier as part of the string is not allowed");
  }

  static std::optional<int> weekday_from_name(std::string_view name) {
    if (name == "tues") return 2;
    if (name == "wednes") return 3;
    if (name == "thur" || name == "thurs") return 4;
    return parse_weekday(name);
  }

  std::string_view text_;
  size_t at_ = 0;
  bool time_read_ = false;
  DateFields fields_;
};

// Without what the server passes over at both ends beside white space: zero bytes and no-break
// spaces.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kNoBreakSpace = "\u00a0";
  while (true) {
    if (text.starts_with('\0')) {
      text.remove_prefix(1);
    } else if (text.ends_with('\0')) {
      text.remove_suffix(1);
    } else if (text.starts_with(kNoBreakSpace)) {
      text.remove_prefix(kNoBreakSpace.size());
    } else if (text.ends_with(kNoBreakSpace)) {
      text.remove_suffix(kNoBreakSpace.size());
    } else {
      return text;
    }
  }
}

}  // namespace

int64_t parse_date_text(std::string_view text, const TimeZone& zone, bool zone_given) {
  return date_from_fields(DateReader(trimmed(text)).read(), text, zone, zone_given);
}

}  // namespace millrace::engine
