#include "engine/document/decimal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

namespace millrace::engine::decimal {
namespace {

Decimal128 of(std::string_view text) {
  auto d = from_string(text);
  EXPECT_TRUE(d.has_value()) << text;
  return d.value_or(Decimal128{});
}
std::string text(std::optional<Decimal128> d) { return d ? to_string(*d) : "refused"; }
std::string number(std::optional<int64_t> v) { return v ? std::to_string(*v) : "none"; }

// Expected texts here and below: what MongoDB 6.0.5 answers for $toDecimal, $round and so on.
TEST(Decimal, DoublesBecomeFifteenDigits) {
  const std::pair<double, const char*> cases[] = {
      {0.1, "0.100000000000000"},
      {1.0 / 3, "0.333333333333333"},
      {2.0 / 3, "0.666666666666667"},
      {1e300, "1.00000000000000E+300"},
      {-5.5, "-5.50000000000000"},
      {0.0, "0"},
      {-0.0, "-0"},
      {1e15, "1.00000000000000E+15"},
      {1e-5, "0.0000100000000000000"},
      {100.0, "100.000000000000"},
      {4.35, "4.35000000000000"},
      {123456789012345678.0, "1.23456789012346E+17"},
      {0.9999999999999999, "1.00000000000000"},
      {999999999999999.9, "1.00000000000000E+15"},
      {5e-324, "4.94065645841247E-324"},
      {1.7976931348623157e308, "1.79769313486232E+308"},
      {-std::numeric_limits<double>::infinity(), "-Infinity"},
      {std::nan(""), "NaN"},
  };
  for (const auto& [value, expected] : cases)
    EXPECT_EQ(to_string(from_double(value)), expected) << value;
  EXPECT_EQ(to_string(from_double_exact(0.1)), "0.1000000000000000055511151231257827");
  EXPECT_EQ(to_string(from_double_exact(1e23)), "99999999999999991611392");
  EXPECT_EQ(to_string(from_double_exact(-5.5)), "-5.5");
}

TEST(Decimal, TextIsReadStrictly) {
  const std::pair<const char*, const char*> cases[] = {
      {"1", "1"},
      {"+1", "1"},
      {"1.", "1"},
      {".5", "0.5"},
      {"-.5e-3", "-0.0005"},
      {"1e5", "1E+5"},
      {"1.0E+3", "1.0E+3"},
      {"inf", "Infinity"},
      {"-INFINITY", "-Infinity"},
      {"nan", "NaN"},
      {"-nan", "NaN"},
      {"-0", "-0"},
      {"0E-7000", "0E-6176"},
      {"0E99999999999999999999", "0E+6111"},
      {"1E6112", "1.0E+6112"},
      {"10E-6177", "1E-6176"},
      {"12345678901234567890123456789012345", "1.234567890123456789012345678901234E+34"},
      {"12345678901234567890123456789012355", "1.234567890123456789012345678901236E+34"},
      {"99999999999999999999999999999999995", "1.000000000000000000000000000000000E+35"},
      {"1e6145", "refused"},
      {"1E400000000000000000000", "refused"},
      {"1e-6177", "refused"},
      {"1.1E-6176", "refused"},
      {" 1", "refused"},
      {"1 ", "refused"},
      {"", "refused"},
      {"-", "refused"},
      {".", "refused"},
      {"1e", "refused"},
      {"1e+", "refused"},
      {"1.2.3", "refused"},
      {"0x1", "refused"},
      {"infi", "refused"},
      {"sNaN", "refused"},
      {"1_0", "refused"},
  };
  for (const auto& [input, expected] : cases)
    EXPECT_EQ(text(from_string(input)), expected) << input;
  EXPECT_EQ(text(from_string("1" + std::string(200, '0'))),
            "1.000000000000000000000000000000000E+200");
  EXPECT_EQ(text(from_string("1" + std::string(100, '0') + "1")),
            "1.000000000000000000000000000000000E+101");
  EXPECT_EQ(text(from_string_exact("1" + std::string(100, '0') + "1")), "refused");
  EXPECT_EQ(text(from_string_exact("1" + std::string(100, '0'))),
            "1.000000000000000000000000000000000E+100");
}

TEST(Decimal, EveryTextReadsBackAsItself) {
  std::srand(7);
  for (int i = 0; i < 20000; ++i) {
    std::string digits(1, static_cast<char>('1' + std::rand() % 9));
    for (int n = std::rand() % 34; n > 0; --n) digits += static_cast<char>('0' + std::rand() % 10);
    int exponent = std::rand() % (i % 2 ? 60 : 12200) - (i % 2 ? 40 : 6100);
    std::string input = digits + "E" + std::to_string(exponent);
    auto d = from_string(input);
    if (!d) {
      EXPECT_TRUE(exponent + static_cast<int>(digits.size()) > 6145 || exponent < -6176) << input;
      continue;
    }
    auto again = from_string(to_string(*d));
    ASSERT_TRUE(again) << input;
    EXPECT_EQ(again->low, d->low) << input;
    EXPECT_EQ(again->high, d->high) << input;
  }
}

TEST(Decimal, NonCanonicalEncodingsAreZeroes) {
  EXPECT_EQ(to_string(Decimal128{~uint64_t{0}, 0x3041ffffffffffffull}), "0");
  EXPECT_EQ(to_string(Decimal128{1, 0x6c10000000000000ull}), "0");
  EXPECT_TRUE(is_zero(Decimal128{1, 0x6c10000000000000ull}));
  EXPECT_TRUE(is_zero(Decimal128{~uint64_t{0}, 0x3041ffffffffffffull}));
}

TEST(Decimal, RoundingKeepsThePlacesAskedFor) {
  EXPECT_EQ(to_string(quantize(of("2.5"), 0, false)), "2");
  EXPECT_EQ(to_string(quantize(of("12345.678"), -2, false)), "1.23E+4");
  EXPECT_EQ(to_string(quantize(of("1.2345"), 2, false)), "1.23");
  EXPECT_EQ(to_string(quantize(of("-12345.678"), 1, true)), "-12345.6");
  EXPECT_EQ(to_string(quantize(of("1E+30"), 5, false)), "1000000000000000000000000000000.000");
  EXPECT_EQ(to_string(quantize(of("1E+33"), 5, false)), "1000000000000000000000000000000000");
  EXPECT_EQ(to_string(quantize(of("1.5"), 20, true)), "1.50000000000000000000");
  EXPECT_EQ(to_string(quantize(of("123"), -5, false)), "0E+5");
  EXPECT_EQ(to_string(quantize(of("0.5"), 100, false)), "0.5000000000000000000000000000000000");
  EXPECT_EQ(to_string(quantize(of("0E+40"), 5, false)), "0.00000");
  EXPECT_EQ(to_string(quantize(of("Infinity"), 2, false)), "Infinity");
  EXPECT_EQ(to_string(quantize(of("NaN"), 2, false)), "NaN");
  EXPECT_EQ(to_string(truncate(of("1E+40"))), "1.000000000000000000000000000000000E+40");
  EXPECT_EQ(to_string(truncate(of("1E+3"))), "1000");
  EXPECT_EQ(to_string(floor(of("-1.5"))), "-2");
  EXPECT_EQ(to_string(ceil(of("-0.5"))), "-0");
  EXPECT_EQ(to_string(floor(of("1E+10"))), "10000000000");
  EXPECT_EQ(to_string(floor(of("1E+40"))), "NaN");
  EXPECT_EQ(to_string(floor(of("Infinity"))), "NaN");
}

TEST(Decimal, ArithmeticGivesTheDigitsOfMongoDB) {
  EXPECT_EQ(to_string(add(of("0.1"), of("0.20"))), "0.30");
  EXPECT_EQ(to_string(subtract(of("1"), of("1.00"))), "0.00");
  EXPECT_EQ(to_string(multiply(of("-1.5"), of("2"))), "-3.0");
  EXPECT_EQ(to_string(divide(of("1"), of("3"))), "0.3333333333333333333333333333333333");
  EXPECT_EQ(to_string(divide(of("1"), of("0"))), "Infinity");
  EXPECT_EQ(to_string(modulo(of("-7"), of("3"))), "-1");
  EXPECT_EQ(to_string(modulo(of("7"), of("-3"))), "1");
  EXPECT_EQ(to_string(modulo(of("1E+40"), of("7"))), "4");
  EXPECT_EQ(to_string(modulo(of("7.50"), of("2.0"))), "1.50");
  EXPECT_EQ(to_string(power(of("2"), of("0.5"))), "1.414213562373095048801688724209698");
  EXPECT_EQ(to_string(power(of("2"), of("10"))), "1024.000000000000000000000000000000");
  EXPECT_EQ(to_string(power(of("10"), of("-3"))), "0.001000000000000000000000000000000000");
  EXPECT_EQ(to_string(power(of("0"), of("0"))), "1.000000000000000000000000000000000");
  EXPECT_EQ(to_string(power(of("0"), of("2"))), "0E-6176");
  EXPECT_EQ(to_string(power(of("-2"), of("0.5"))), "NaN");
  EXPECT_EQ(to_string(sqrt(of("16"))), "4");
  EXPECT_EQ(to_string(exp(of("1"))), "2.718281828459045235360287471352662");
  EXPECT_EQ(to_string(ln(of("10"))), "2.302585092994045684017991454684364");
  EXPECT_EQ(to_string(log10(of("1000"))), "3");
  EXPECT_EQ(to_string(sin(of("1"))), "0.8414709848078965066525023216302991");
  EXPECT_EQ(to_string(cos(of("1"))), "0.5403023058681397174009366074429766");
  EXPECT_EQ(to_string(tan(of("1.5"))), "14.10141994717171938764608365198776");
  EXPECT_EQ(to_string(asin(of("0.3"))), "0.3046926540153975079720029612275292");
  EXPECT_EQ(to_string(acos(of("0.3"))), "1.266103672779499111259318730412222");
  EXPECT_EQ(to_string(atan(of("3"))), "1.249045772398254425829917077281090");
  EXPECT_EQ(to_string(atan2(of("1"), of("1"))), "0.7853981633974483096156608458198757");
  EXPECT_EQ(to_string(sinh(of("3"))), "10.01787492740990189897459361946583");
  EXPECT_EQ(to_string(cosh(of("1"))), "1.543080634815243778477905620757062");
  EXPECT_EQ(to_string(tanh(of("1"))), "0.7615941559557648881194582826047936");
  EXPECT_EQ(to_string(asinh(of("1"))), "0.8813735870195430252326093249797923");
  EXPECT_EQ(to_string(acosh(of("2"))), "1.316957896924816708625046347307968");
  EXPECT_EQ(to_string(atanh(of("0.5"))), "0.5493061443340548456976226184612628");
  EXPECT_EQ(to_string(absolute(of("-1.50"))), "1.50");
  EXPECT_EQ(to_string(negate(of("1.50"))), "-1.50");
}

TEST(Decimal, IntegersConvertOnlyInRange) {
  EXPECT_EQ(number(to_int64_truncated(of("1.9"))), "1");
  EXPECT_EQ(number(to_int64_truncated(of("-1.9"))), "-1");
  EXPECT_EQ(number(to_int64_truncated(of("9223372036854775807.9"))), "9223372036854775807");
  EXPECT_EQ(number(to_int64_truncated(of("9223372036854775808"))), "none");
  EXPECT_EQ(number(to_int64_truncated(of("NaN"))), "none");
  EXPECT_EQ(number(to_int64_exact(of("1.9"))), "none");
  EXPECT_EQ(number(to_int64_exact(of("1.00E+2"))), "100");
  EXPECT_EQ(number(to_int64_exact(of("-9223372036854775808"))), "-9223372036854775808");
  EXPECT_EQ(to_string(from_int64(INT64_MIN)), "-9223372036854775808");
}

TEST(Decimal, OrderPutsNaNFirst) {
  const char* ordered[] = {"NaN",     "-Infinity", "-1E+10", "-1",      "0",
                           "1E-6176", "1",         "1.5",    "Infinity"};
  for (size_t i = 0; i < std::size(ordered); ++i) {
    for (size_t j = 0; j < std::size(ordered); ++j) {
      EXPECT_EQ(compare(of(ordered[i]), of(ordered[j])), i < j ? -1 : (i > j ? 1 : 0))
          << ordered[i] << " " << ordered[j];
    }
  }
  EXPECT_EQ(compare(of("1"), of("1.00")), 0);
  EXPECT_EQ(compare(of("0"), of("-0E+5")), 0);
  EXPECT_EQ(to_double(of("0.1")), 0.1);
  EXPECT_EQ(to_double(of("-1E+400")), -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace millrace::engine::decimal
