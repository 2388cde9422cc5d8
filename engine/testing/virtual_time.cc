#include "engine/testing/virtual_time.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <string>

#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

struct Unit {
  std::string_view name;
  std::string_view long_name;
  int64_t ms;
};
constexpr std::array kUnits = {Unit{"d", "day", 86'400'000}, Unit{"h", "hour", 3'600'000},
                               Unit{"m", "minute", 60'000}, Unit{"s", "second", 1'000},
                               Unit{"ms", "ms", 1}};
constexpr double kLongestMs = 1e15;  // 30,000 years: far from where int64 ends

// A number of whole milliseconds, if `ms` is one but for the noise of decimal fractions.
std::optional<int64_t> whole_ms(double ms) {
  double rounded = std::round(ms);
  if (!(std::abs(ms) <= kLongestMs) || std::abs(ms - rounded) > 1e-6) return std::nullopt;
  return static_cast<int64_t>(rounded);
}

bool is_number_character(char c) { return (c >= '0' && c <= '9') || c == '.'; }

}  // namespace

std::optional<int64_t> parse_time_span(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  size_t next_unit = 0;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && is_number_character(text[digits])) ++digits;
    size_t letters = digits;
    while (letters < text.size() && !is_number_character(text[letters])) ++letters;
    std::string number(text.substr(0, digits));
    std::string_view name = text.substr(digits, letters - digits);
    char* end = nullptr;
    double count = std::strtod(number.c_str(), &end);
    if (number.empty() || number == "." || *end != 0) return std::nullopt;
    while (next_unit < kUnits.size() && kUnits[next_unit].name != name) ++next_unit;
    if (next_unit == kUnits.size()) return std::nullopt;
    sum += count * static_cast<double>(kUnits[next_unit++].ms);
    text.remove_prefix(letters);
  }
  return whole_ms(negative ? -sum : sum);
}

std::optional<int64_t> time_span_of(const Value& value) {
  if (value.is_string()) return parse_time_span(value.as_string());
  if (value.is_number()) return whole_ms(value.to_double());
  if (!value.is_object()) return std::nullopt;
  Value size = value.as_object().get("size");
  Value unit = value.as_object().get("unit");
  if (value.as_object().size() != 2 || !size.is_number() || !unit.is_string()) return std::nullopt;
  for (const Unit& known : kUnits) {
    if (unit.as_string() == known.long_name ||
        unit.as_string() == std::string(known.long_name) + "s") {
      return whole_ms(size.to_double() * static_cast<double>(known.ms));
    }
  }
  return std::nullopt;
}

std::optional<int64_t> moment_of(const Value& value, int64_t start_ms) {
  if (value.is(Type::kDate)) return value.as_date();
  auto span = time_span_of(value);
  if (span) return start_ms + *span;
  if (value.is_string()) return parse_iso_date(value.as_string());
  return std::nullopt;
}

}  // namespace millrace::engine
