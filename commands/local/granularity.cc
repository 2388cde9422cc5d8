#include "commands/local/granularity.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/document/status.h"
#include "engine/expression/number.h"

namespace millrace::commands {

using engine::Arena;
using engine::Decimal128;
using engine::Type;
using engine::Value;

namespace {

namespace decimal = engine::decimal;

// R40 without 335 and R80 with every second number: as MongoDB 6.0.5 rounds, read off the server.
// clang-format off
constexpr int kR5[] = {10, 16, 25, 40, 63};
constexpr int kR10[] = {100, 125, 160, 200, 250, 315, 400, 500, 630, 800};
constexpr int kR20[] = {100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900};
constexpr int kR40[] = {100, 106, 112, 118, 125, 132, 140, 150, 160, 170, 180, 190, 200, 212, 224, 236, 250, 265, 280, 300,
                        315, 355, 375, 400, 425, 450, 475, 500, 530, 560, 600, 630, 670, 710, 750, 800, 850, 900, 950};
constexpr int kR80[] = {103, 109, 115, 122, 128, 136, 145, 155, 165, 175, 185, 195, 206, 218, 230, 243, 258, 272, 290, 307,
                        325, 345, 365, 387, 412, 437, 462, 487, 515, 545, 575, 615, 650, 690, 730, 775, 825, 875, 925, 975};
constexpr int k125[] = {10, 20, 50};
constexpr int kE6[] = {10, 15, 22, 33, 47, 68};
constexpr int kE12[] = {10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82};
constexpr int kE24[] = {10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91};
constexpr int kE48[] = {100, 105, 110, 115, 121, 127, 133, 140, 147, 154, 162, 169, 178, 187, 196, 205, 215, 226, 237, 249, 261, 274, 287, 301,
                        316, 332, 348, 365, 383, 402, 422, 442, 464, 487, 511, 536, 562, 590, 619, 649, 681, 715, 750, 787, 825, 866, 909, 953};
constexpr int kE96[] = {100, 102, 105, 107, 110, 113, 115, 118, 121, 124, 127, 130, 133, 137, 140, 143, 147, 150, 154, 158, 162, 165, 169, 174,
                        178, 182, 187, 191, 196, 200, 205, 210, 215, 221, 226, 232, 237, 243, 249, 255, 261, 267, 274, 280, 287, 294, 301, 309,
                        316, 324, 332, 340, 348, 357, 365, 374, 383, 392, 402, 412, 422, 432, 442, 453, 464, 475, 487, 499, 511, 523, 536, 549,
                        562, 576, 590, 604, 619, 634, 649, 665, 681, 698, 715, 732, 750, 768, 787, 806, 825, 845, 866, 887, 909, 931, 953, 976};
constexpr int kE192[] = {100, 101, 102, 104, 105, 106, 107, 109, 110, 111, 113, 114, 115, 117, 118, 120, 121, 123, 124, 126, 127, 129, 130, 132,
                         133, 135, 137, 138, 140, 142, 143, 145, 147, 149, 150, 152, 154, 156, 158, 160, 162, 164, 165, 167, 169, 172, 174, 176,
                         178, 180, 182, 184, 187, 189, 191, 193, 196, 198, 200, 203, 205, 208, 210, 213, 215, 218, 221, 223, 226, 229, 232, 234,
                         237, 240, 243, 246, 249, 252, 255, 258, 261, 264, 267, 271, 274, 277, 280, 284, 287, 291, 294, 298, 301, 305, 309, 312,
                         316, 320, 324, 328, 332, 336, 340, 344, 348, 352, 357, 361, 365, 370, 374, 379, 383, 388, 392, 397, 402, 407, 412, 417,
                         422, 427, 432, 437, 442, 448, 453, 459, 464, 470, 475, 481, 487, 493, 499, 505, 511, 517, 523, 530, 536, 542, 549, 556,
                         562, 569, 576, 583, 590, 597, 604, 612, 619, 626, 634, 642, 649, 657, 665, 673, 681, 690, 698, 706, 715, 723, 732, 741,
                         750, 759, 768, 777, 787, 796, 806, 816, 825, 835, 845, 856, 866, 876, 887, 898, 909, 920, 931, 942, 953, 965, 976, 988};
// clang-format on

struct NamedSeries {
  std::string_view name;
  std::span<const int> numbers;
};
constexpr std::array<NamedSeries, 13> kSeries = {{{"1-2-5", k125},
                                                  {"E12", kE12},
                                                  {"E192", kE192},
                                                  {"E24", kE24},
                                                  {"E48", kE48},
                                                  {"E6", kE6},
                                                  {"E96", kE96},
                                                  {"POWERSOF2", {}},
                                                  {"R10", kR10},
                                                  {"R20", kR20},
                                                  {"R40", kR40},
                                                  {"R5", kR5},
                                                  {"R80", kR80}}};

void check(const Value& value) {
  if (!value.is_number()) {
    engine::fail_evaluation(
        40258,
        "$bucketAuto can specify a 'granularity' with numeric boundaries only, but found a "
        "value with type: " +
            std::string(value.type_name()));
  }
  if (engine::is_nan(value)) {
    engine::fail_evaluation(40259,
                            "$bucketAuto can specify a 'granularity' with numeric boundaries only, "
                            "but found a NaN");
  }
  if (value.to_double() < 0) {
    engine::fail_evaluation(40260,
                            "$bucketAuto can specify a 'granularity' with non-negative numbers "
                            "only, but found a negative number");
  }
}

// The arithmetic of one kind of number.
struct Doubles {
  using Number = double;
  static Number of(int n) { return n; }
  static Number whole(int n) { return n; }
  static Number times(Number a, Number b) { return a * b; }
  static Number over(Number a, Number b) { return a / b; }
  static bool less(Number a, Number b) { return a < b; }
};
struct Decimals {
  using Number = Decimal128;
  static Number of(int n) { return decimal::from_double(n); }  // with its 15 digits, as 6.0.5
  static Number whole(int n) { return decimal::from_int64(n); }
  static Number times(Number a, Number b) { return decimal::multiply(a, b); }
  static Number over(Number a, Number b) { return decimal::divide(a, b); }
  static bool less(Number a, Number b) { return decimal::compare(a, b) < 0; }
};

template <typename Kind>
typename Kind::Number next_above(typename Kind::Number number, std::span<const int> series) {
  auto scale = Kind::whole(1);
  const auto ten = Kind::whole(10);
  auto scaled = [&](int n) { return Kind::times(Kind::of(n), scale); };
  while (!Kind::less(number, scaled(series.back()))) scale = Kind::times(scale, ten);
  while (Kind::less(number, scaled(series.front()))) {
    auto lowest = scaled(series.front());
    scale = Kind::over(scale, ten);
    if (!Kind::less(number, scaled(series.back()))) return lowest;
  }
  for (int n : series) {
    if (Kind::less(number, scaled(n))) return scaled(n);
  }
  return scaled(series.back());
}

template <typename Kind>
typename Kind::Number next_below(typename Kind::Number number, std::span<const int> series) {
  auto scale = Kind::whole(1);
  const auto ten = Kind::whole(10);
  auto scaled = [&](int n) { return Kind::times(Kind::of(n), scale); };
  while (!Kind::less(scaled(series.front()), number)) scale = Kind::over(scale, ten);
  while (Kind::less(scaled(series.back()), number)) {
    auto highest = scaled(series.back());
    if (!Kind::less(Kind::whole(0), scale)) return highest;  // below the least number there is
    scale = Kind::times(scale, ten);
    if (!Kind::less(scaled(series.front()), number)) return highest;
  }
  for (size_t i = series.size(); i-- > 0;) {
    if (Kind::less(scaled(series[i]), number)) return scaled(series[i]);
  }
  return scaled(series.front());
}

Value power_of_two(int exponent, bool as_decimal, Arena& arena) {
  if (as_decimal) {
    return Value::decimal(decimal::power(decimal::from_int64(2), decimal::from_int64(exponent)),
                          arena);
  }
  if (exponent < 0 || exponent > 62) return Value::number(std::ldexp(1.0, exponent));
  return Value::integer(int64_t{1} << exponent);
}

// The exponent of the greatest power of two that is no greater than a positive number.
int floor_of_log2(const Value& value) {
  if (value.is_integer()) return std::bit_width(static_cast<uint64_t>(value.integer_value())) - 1;
  if (value.is(Type::kDouble)) return std::ilogb(value.as_double());
  int least = -1100;
  int beyond = 20'500;  // the greatest decimal is below 2^20414
  while (beyond - least > 1) {
    int middle = least + (beyond - least) / 2;
    auto power = decimal::power(decimal::from_int64(2), decimal::from_int64(middle));
    (decimal::compare(power, value.as_decimal()) <= 0 ? least : beyond) = middle;
  }
  return least;
}

}  // namespace

std::optional<Granularity> Granularity::find(std::string_view name) {
  for (const auto& series : kSeries) {
    if (series.name != name) continue;
    Granularity found;
    found.series_ = series.numbers;
    return found;
  }
  return std::nullopt;
}

Value Granularity::above(const Value& value, Arena& arena) const {
  check(value);
  double number = value.to_double();
  if (number == 0 || engine::is_infinite(value)) return value;
  bool as_decimal = value.is(Type::kDecimal);
  if (series_.empty()) return power_of_two(floor_of_log2(value) + 1, as_decimal, arena);
  if (std::isinf(number)) return value;
  if (value.is(Type::kDecimal))
    return Value::decimal(next_above<Decimals>(value.as_decimal(), series_), arena);
  return Value::number(next_above<Doubles>(number, series_));
}

Value Granularity::below(const Value& value, Arena& arena) const {
  check(value);
  double number = value.to_double();
  if (number == 0 || engine::is_infinite(value)) return value;
  if (series_.empty()) {
    bool as_decimal = value.is(Type::kDecimal);
    int exponent = floor_of_log2(value);
    bool itself = engine::equal(power_of_two(exponent, as_decimal, arena), value);
    return power_of_two(itself ? exponent - 1 : exponent, as_decimal, arena);
  }
  if (std::isinf(number)) return value;
  if (value.is(Type::kDecimal))
    return Value::decimal(next_below<Decimals>(value.as_decimal(), series_), arena);
  return Value::number(next_below<Doubles>(number, series_));
}

}  // namespace millrace::commands
