// Dates from text where data files do not reach: any input, all days, both ways of reading one
// form.
#include "engine/expression/date_parse.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "engine/document/extended_json.h"
#include "engine/expression/calendar.h"

namespace millrace::engine {
namespace {

// Parses, and answers whether the text was a date. Anything but a result or error 241 fails the
// test.
bool parses(std::string_view text) {
  try {
    parse_date_text(text, TimeZone::utc(), false);
    return true;
  } catch (const EvaluationError& error) {
    EXPECT_TRUE(error.status().is(ErrorCode::kConversionFailure))
        << text << ": " << error.status().message();
    return false;
  }
}

TEST(DateParse, AnyTextIsADateOrAConversionFailure) {
  const std::string_view kPieces[] = {
      "2017", "-",        "02",  "08", "T",  "12:10",  ":40",    ".787", "Z",   "+05:30",
      " ",    "Feb",      "th",  ",",  "/",  "W",      "@",      "pm",   "UTC", "99",
      "0",    "00000000", "Wed", "\0", "é",  "+",      "EST",    "gmt",  ".",   "1e9",
      "8th",  "noon",     "a",   "t",  "+1", "-0001-", "123456", "_"};
  std::mt19937 random(1);
  int dates = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    for (size_t n = random() % 9; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    dates += parses(text);
  }
  EXPECT_GT(dates, 100);
}

TEST(DateParse, AnyBytesAreADateOrAConversionFailure) {
  std::mt19937 random(2);
  for (int i = 0; i < 50'000; ++i) {
    std::string text = "2017-02-08T12:10:40.787Z";
    for (size_t n = random() % 4; n > 0; --n)
      text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % 4 == 0 ? random() % text.size() : text.size());
    bool free_form = parses(text);
    // The two readers agree wherever both read the form.
    if (auto iso = parse_iso_date(text)) {
      ASSERT_TRUE(free_form) << text;
      EXPECT_EQ(*iso, parse_date_text(text, TimeZone::utc(), false)) << text;
    }
  }
}

TEST(DateParse, EveryDayInEveryFormOfIsoDates) {
  for (int64_t days = calendar::days_from_date(0, 1, 1);
       days <= calendar::days_from_date(9999, 12, 31); days += 1 + (days & 15)) {
    int64_t ms = days * calendar::kMsPerDay + (days * 7919 & 0x3FFFFFF);
    std::string text;
    append_iso_date(ms, text);
    ASSERT_EQ(parse_iso_date(text), ms) << text;
    std::string seconds = text.substr(0, 19);
    ASSERT_EQ(parse_iso_date(seconds), ms - ms % 1000 - (ms % 1000 < 0 ? 1000 : 0)) << seconds;
    ASSERT_EQ(parse_iso_date(seconds + "Z"), parse_iso_date(seconds)) << seconds;
    ASSERT_EQ(parse_iso_date(seconds + "+00:00"), parse_iso_date(seconds)) << seconds;
  }
}

TEST(DateParse, AnyFormatIsReadOrRefused) {
  const char kCharacters[] = "%%%%%%YmdHMSLzZGVujbBUw -:T1290éxZ";
  std::mt19937 random(3);
  for (int i = 0; i < 100'000; ++i) {
    std::string format;
    std::string text;
    for (size_t n = random() % 8; n > 0; --n)
      format += kCharacters[random() % (sizeof kCharacters - 1)];
    for (size_t n = random() % 12; n > 0; --n)
      text += kCharacters[6 + random() % (sizeof kCharacters - 7)];
    auto pattern = DatePattern::parse(format, true);
    if (!pattern.ok()) {
      EXPECT_TRUE(pattern.status().code() == 18535 || pattern.status().code() == 18536);
      continue;
    }
    try {
      parse_formatted_date(text, *pattern, TimeZone::utc(), false);
    } catch (const EvaluationError& error) {
      EXPECT_TRUE(error.status().is(ErrorCode::kConversionFailure)) << format << " " << text;
    }
  }
}

TEST(TimeZones, LocalTimesComeBack) {
  for (const char* name :
       {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
        "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran", "Europe/Dublin",
        "Antarctica/Troll", "-03:30"}) {
    auto zone = TimeZone::find(name);
    ASSERT_TRUE(zone.ok()) << name;
    for (int64_t ms = calendar::days_from_date(1880, 1, 1) * calendar::kMsPerDay;
         ms < calendar::days_from_date(2200, 1, 1) * calendar::kMsPerDay;
         ms += 29 * calendar::kMsPerHour + 123) {
      int64_t back = (*zone)->to_utc((*zone)->to_local(ms), (*zone)->is_daylight(ms));
      // A local time that comes twice may be the other one; in Apia a whole day came twice in 1892.
      ASSERT_EQ((*zone)->to_local(back), (*zone)->to_local(ms)) << name << " " << ms;
      ASSERT_LE(std::abs(back - ms), calendar::kMsPerDay) << name << " " << ms;
    }
  }
}

TEST(TimeZones, TheRuleContinuesTheTableOfChanges) {
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Tokyo",
                           "America/Santiago", "Asia/Jerusalem"}) {
    auto zone = TimeZone::find(name);
    ASSERT_TRUE(zone.ok()) << name;
    // 400 years later the calendar is the same, and so is the rule: what the table has for 2036
    // holds for 2436.
    int64_t cycle = calendar::days_from_date(2436, 1, 1) - calendar::days_from_date(2036, 1, 1);
    for (int64_t ms = calendar::days_from_date(2036, 1, 1) * calendar::kMsPerDay;
         ms < calendar::days_from_date(2037, 1, 1) * calendar::kMsPerDay;
         ms += calendar::kMsPerHour) {
      int64_t later = ms + cycle * calendar::kMsPerDay;
      ASSERT_EQ((*zone)->offset_ms(ms), (*zone)->offset_ms(later)) << name << " " << ms;
      ASSERT_EQ((*zone)->is_daylight(ms), (*zone)->is_daylight(later)) << name << " " << ms;
    }
  }
}

TEST(TimeZones, NoNameEscapesTheZoneDirectory) {
  for (std::string_view name : {"../../etc/passwd", "/etc/passwd", "Europe/../Europe/Berlin",
                                "Europe", "posixrules", "tzdata.zi", "a\0b", "Europe/Berlin/"}) {
    EXPECT_FALSE(TimeZone::find(name).ok()) << name;
  }
}

TEST(TimeZones, CanBeFoundByManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 2000; ++i) {
        char name[16];
        std::snprintf(name, sizeof name, "+%02d:%02d", i % 14, i % 60);
        auto fixed = TimeZone::find(name);
        auto named = TimeZone::find(i % 2 ? "Asia/Tokyo" : "Europe/Paris");
        ASSERT_TRUE(fixed.ok() && named.ok());
        EXPECT_EQ((*fixed)->offset_ms(0),
                  (i % 14) * calendar::kMsPerHour + (i % 60) * calendar::kMsPerMinute);
        EXPECT_EQ((*named)->offset_ms(1'600'000'000'000), (i % 2 ? 9 : 2) * calendar::kMsPerHour);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace millrace::engine
