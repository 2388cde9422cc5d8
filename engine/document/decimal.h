// decimal128 arithmetic: a thin cover of Intel's decimal library, the one MongoDB itself uses.
// Rounding is half to even everywhere unless a function says otherwise; no function raises, NaN and
// infinities are results.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/document/value.h"

namespace millrace::engine::decimal {

Decimal128 from_int64(int64_t v);
// Rounded to 15 significant digits, always all of them ("5.50000000000000"): MongoDB's conversion,
// seen with $toDecimal of 6.0.5. Zeros and infinities keep their sign.
Decimal128 from_double(double v);
// Rounded to 34 digits from the double's exact binary value.
Decimal128 from_double_exact(double v);
// nullopt when the text is not a decimal number (an exponent out of range, junk around it, …). More
// than 34 digits are rounded, as $toDecimal does; the exact form refuses them instead, as the BSON
// decimal128 specification wants of a parser.
std::optional<Decimal128> from_string(std::string_view text);
std::optional<Decimal128> from_string_exact(std::string_view text);
double to_double(Decimal128 d);
// Scientific form as the BSON decimal128 specification has it ("1.5E+7", "NaN", "-Infinity").
std::string to_string(Decimal128 d);
// The same into a buffer of at least kMaxTextSize bytes; returns the length. Not terminated.
inline constexpr size_t kMaxTextSize = 48;
size_t format(Decimal128 d, char* to);
// Truncating conversions; nullopt when out of range or not a number.
std::optional<int64_t> to_int64_truncated(Decimal128 d);
std::optional<int64_t> to_int64_exact(Decimal128 d);

bool is_zero(Decimal128 d);
bool is_nan(Decimal128 d);
bool is_infinite(Decimal128 d);
bool is_negative(Decimal128 d);
// -1, 0, 1; NaN is smaller than everything and equal to itself, as in MongoDB's order.
int compare(Decimal128 a, Decimal128 b);

Decimal128 add(Decimal128 a, Decimal128 b);
Decimal128 subtract(Decimal128 a, Decimal128 b);
Decimal128 multiply(Decimal128 a, Decimal128 b);
Decimal128 divide(Decimal128 a, Decimal128 b);
Decimal128 modulo(Decimal128 a, Decimal128 b);  // sign of the dividend
Decimal128 power(Decimal128 a, Decimal128 b);   // with all 34 digits, as $pow has it
Decimal128 negate(Decimal128 a);
Decimal128 absolute(Decimal128 a);
// With all their digits ("1000" for 1E+3), and NaN for an infinity or where 34 digits do not reach
// the ones: as $floor and $ceil of MongoDB 6.0.5 have it. truncate keeps infinities and large
// numbers.
Decimal128 floor(Decimal128 a);
Decimal128 ceil(Decimal128 a);
Decimal128 truncate(Decimal128 a);
Decimal128 sqrt(Decimal128 a);
Decimal128 exp(Decimal128 a);
Decimal128 ln(Decimal128 a);
Decimal128 log10(Decimal128 a);
Decimal128 log2(Decimal128 a);
// Rounded to `place` decimal places (negative: left of the point), half to even, or toward zero
// when `toward_zero`. Has exactly these places, or as many as 34 digits allow ($round, $trunc).
Decimal128 quantize(Decimal128 a, int place, bool toward_zero);
Decimal128 sin(Decimal128 a);
Decimal128 cos(Decimal128 a);
Decimal128 tan(Decimal128 a);
Decimal128 asin(Decimal128 a);
Decimal128 acos(Decimal128 a);
Decimal128 atan(Decimal128 a);
Decimal128 atan2(Decimal128 y, Decimal128 x);
Decimal128 sinh(Decimal128 a);
Decimal128 cosh(Decimal128 a);
Decimal128 tanh(Decimal128 a);
Decimal128 asinh(Decimal128 a);
Decimal128 acosh(Decimal128 a);
Decimal128 atanh(Decimal128 a);

}  // namespace millrace::engine::decimal
