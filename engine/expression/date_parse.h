// Dates from text: $dateFromString and $toDate.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/status.h"
#include "engine/expression/time_zone.h"

namespace millrace::engine {

// A parsed format of $dateToString and $dateFromString: literal text and %-specifiers in order.
struct DatePattern {
  struct Piece {
    char specifier;  // 'Y', 'm', …; 0: the literal
    std::string literal;
  };
  std::vector<Piece> pieces;

  // Errors: 18535, 18536. `reading`: the specifiers of $dateFromString, else those of
  // $dateToString.
  static Result<DatePattern> parse(std::string_view format, bool reading);
};

// A date in free form: ISO 8601 and the usual ways to write a date and a time in English ("8 Feb
// 2017 1:10 pm", "02/08/2017", RFC 2822,
// "@<seconds>"). `zone` holds for text without a zone of its own; text with one is an error when
// `zone_given`. Throws 241 ConversionFailure.
int64_t parse_date_text(std::string_view text, const TimeZone& zone, bool zone_given);

// A date written as `format` says. Throws 241 ConversionFailure.
int64_t parse_formatted_date(std::string_view text, const DatePattern& format, const TimeZone& zone,
                             bool zone_given);

// The abbreviations in which months are written, from January on; full names beside.
std::string_view month_abbreviation(int month);
std::string_view month_name(int month);

}  // namespace millrace::engine
