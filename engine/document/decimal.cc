#include "engine/document/decimal.h"

// The library is built in several variants; these three choose libbidgcc000.a: arguments by value,
// rounding and flags passed in.
#define DECIMAL_CALL_BY_REFERENCE 0
#define DECIMAL_GLOBAL_ROUNDING 0
#define DECIMAL_GLOBAL_EXCEPTION_FLAGS 0
#include <bid_conf.h>
#include <bid_functions.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace millrace::engine::decimal {
namespace {

using Coefficient = unsigned __int128;

constexpr int kMaxDigits = 34;
constexpr int kMinExponent = -6176;
constexpr int kMaxExponent = 6111;  // of a coefficient of 34 digits
constexpr unsigned kNearestEven = BID_ROUNDING_TO_NEAREST;

constexpr Coefficient power_of_ten(int n) {
  Coefficient p = 1;
  for (int i = 0; i < n; ++i) p *= 10;
  return p;
}
constexpr Coefficient kCoefficientLimit = power_of_ten(kMaxDigits);

constexpr uint64_t kSignBit = uint64_t{1} << 63;
constexpr uint64_t kNanBits = uint64_t{0x7c} << 56;
constexpr uint64_t kInfinityBits = uint64_t{0x78} << 56;

BID_UINT128 to_bid(Decimal128 d) {
  BID_UINT128 bid;
  bid.w[0] = d.low;
  bid.w[1] = d.high;
  return bid;
}
Decimal128 from_bid(BID_UINT128 bid) { return {bid.w[0], bid.w[1]}; }

Decimal128 encode(bool negative, Coefficient coefficient, int exponent) {
  auto high = static_cast<uint64_t>(coefficient >> 64) |
              static_cast<uint64_t>(exponent - kMinExponent) << 49;
  return {static_cast<uint64_t>(coefficient), high | (negative ? kSignBit : 0)};
}

// A finite number taken apart. Coefficients out of range (non-canonical encodings) count as zero,
// as IEEE 754 wants.
struct Parts {
  bool negative;
  Coefficient coefficient;
  int exponent;
};
Parts take_apart(Decimal128 d) {
  bool large =
      (d.high >> 61 & 3) == 3;  // the form for coefficients of 2^113 and more: always out of range
  int exponent = static_cast<int>(d.high >> (large ? 47 : 49) & 0x3fff) + kMinExponent;
  Coefficient coefficient =
      large ? 0 : Coefficient{d.high & ((uint64_t{1} << 49) - 1)} << 64 | d.low;
  if (coefficient >= kCoefficientLimit) coefficient = 0;
  return {(d.high & kSignBit) != 0, coefficient, exponent};
}

int digit_count(Coefficient c) {
  int n = 0;
  for (; c != 0; c /= 10) ++n;
  return n;
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(
      text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

// The digits of a number's text, cut at 34 with a note of what was cut, and the exponent that goes
// with them.
struct Digits {
  Coefficient coefficient = 0;
  int count = 0;  // of digits kept, without leading zeros
  int64_t exponent = 0;
  int first_cut = -1;     // the first digit cut off
  bool rest_cut = false;  // whether another one behind it was not 0

  void add(int digit, bool behind_point) {
    if (count == 0 && digit == 0) {
      exponent -= behind_point;
      return;
    }
    if (count < kMaxDigits) {
      coefficient = coefficient * 10 + static_cast<unsigned>(digit);
      ++count;
      exponent -= behind_point;
      return;
    }
    exponent += !behind_point;
    if (first_cut < 0) {
      first_cut = digit;
    } else {
      rest_cut |= digit != 0;
    }
  }
  bool exact() const { return first_cut <= 0 && !rest_cut; }
  // Half to even.
  void round() {
    if (first_cut < 5 || (first_cut == 5 && !rest_cut && coefficient % 2 == 0)) return;
    if (++coefficient == kCoefficientLimit) {
      coefficient /= 10;
      ++exponent;
    }
  }
};

constexpr int64_t kExponentLimit =
    1'000'000'000'000;  // more than the length of any text can make good again

// Reads "[eE][+-]?digits" at the end of a number; false if it is anything else.
bool scan_exponent(std::string_view text, int64_t* exponent) {
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.empty()) return false;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = std::min(value * 10 + (c - '0'), kExponentLimit);
  }
  *exponent += negative ? -value : value;
  return true;
}

bool scan_number(std::string_view text, Digits* digits) {
  bool any = false;
  bool behind_point = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !behind_point) {
      behind_point = true;
    } else if (text[i] >= '0' && text[i] <= '9') {
      digits->add(text[i] - '0', behind_point);
      any = true;
    } else {
      break;
    }
  }
  return any && scan_exponent(text.substr(i), &digits->exponent);
}

std::optional<Decimal128> parse(std::string_view text, bool only_exact) {
  bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  uint64_t sign = negative ? kSignBit : 0;
  if (equal_ignoring_case(text, "inf") || equal_ignoring_case(text, "infinity"))
    return Decimal128{0, kInfinityBits | sign};
  if (equal_ignoring_case(text, "nan")) return Decimal128{0, kNanBits};
  Digits digits;
  if (!scan_number(text, &digits)) return std::nullopt;
  if (digits.coefficient == 0) {
    auto exponent = std::clamp<int64_t>(digits.exponent, kMinExponent, kMaxExponent);
    return encode(negative, 0, static_cast<int>(exponent));
  }
  if (only_exact && !digits.exact()) return std::nullopt;
  digits.round();
  // An exponent a little too large or too small is made up for with zeros of the coefficient.
  for (; digits.exponent > kMaxExponent && digits.coefficient < kCoefficientLimit / 10;
       --digits.exponent)
    digits.coefficient *= 10;
  for (; digits.exponent < kMinExponent && digits.coefficient % 10 == 0; ++digits.exponent)
    digits.coefficient /= 10;
  if (digits.exponent > kMaxExponent || digits.exponent < kMinExponent) return std::nullopt;
  return encode(negative, digits.coefficient, static_cast<int>(digits.exponent));
}

// Finite, not zero: the exponent of the first digit.
int adjusted_exponent(Decimal128 d) {
  Parts parts = take_apart(d);
  return parts.exponent + digit_count(parts.coefficient) - 1;
}

// With the last digit at 10^exponent. NaN when 34 digits do not reach that far.
Decimal128 with_exponent(Decimal128 d, int exponent, unsigned rounding) {
  unsigned flags = 0;
  return from_bid(bid128_quantize(to_bid(d), to_bid(encode(false, 1, exponent)), rounding, &flags));
}

// The same number with as many digits as fit: what is left when it has no room for the places asked
// for.
Decimal128 with_all_digits(Decimal128 d) {
  return with_exponent(d, std::max(adjusted_exponent(d) - (kMaxDigits - 1), kMinExponent),
                       kNearestEven);
}

}  // namespace

Decimal128 from_int64(int64_t v) { return from_bid(bid128_from_int64(v)); }

Decimal128 from_double_exact(double v) {
  unsigned flags = 0;
  return from_bid(binary64_to_bid128(v, kNearestEven, &flags));
}

Decimal128 from_double(double v) {
  if (std::isnan(v)) return {0, kNanBits};
  Decimal128 exact = from_double_exact(v);
  if (v == 0 || std::isinf(v)) return exact;
  constexpr int kDigits = 15;
  Decimal128 rounded = with_exponent(exact, adjusted_exponent(exact) - (kDigits - 1), kNearestEven);
  // 9.99…96 became 10.0…0 with 16 digits: one of its zeros goes.
  if (take_apart(rounded).coefficient < power_of_ten(kDigits)) return rounded;
  return with_exponent(rounded, adjusted_exponent(rounded) - (kDigits - 1), kNearestEven);
}

std::optional<Decimal128> from_string(std::string_view text) { return parse(text, false); }
std::optional<Decimal128> from_string_exact(std::string_view text) { return parse(text, true); }

double to_double(Decimal128 d) {
  unsigned flags = 0;
  return bid128_to_binary64(to_bid(d), kNearestEven, &flags);
}

size_t format(Decimal128 d, char* to) {
  char* at = to;
  auto put = [&at](std::string_view text) { at = std::ranges::copy(text, at).out; };
  if (is_nan(d)) {
    put("NaN");
    return at - to;
  }
  Parts parts = take_apart(d);
  if (parts.negative) *at++ = '-';
  if (is_infinite(d)) {
    put("Infinity");
    return at - to;
  }
  char buffer[kMaxDigits];
  char* first = buffer + kMaxDigits;
  do {
    *--first = static_cast<char>('0' + static_cast<int>(parts.coefficient % 10));
    parts.coefficient /= 10;
  } while (parts.coefficient != 0);
  std::string_view digits(first, buffer + kMaxDigits - first);
  auto count = static_cast<int>(digits.size());
  int scientific = parts.exponent + count - 1;
  if (parts.exponent > 0 || scientific < -6) {
    put(digits.substr(0, 1));
    if (count > 1) {
      *at++ = '.';
      put(digits.substr(1));
    }
    put(scientific < 0 ? "E" : "E+");
    at = std::to_chars(at, to + kMaxTextSize, scientific).ptr;
  } else if (parts.exponent == 0) {
    put(digits);
  } else if (int whole = count + parts.exponent; whole > 0) {
    put(digits.substr(0, whole));
    *at++ = '.';
    put(digits.substr(whole));
  } else {
    put("0.");
    at = std::fill_n(at, -whole, '0');
    put(digits);
  }
  return at - to;
}

std::string to_string(Decimal128 d) {
  char buffer[kMaxTextSize];
  return std::string(buffer, format(d, buffer));
}

std::optional<int64_t> to_int64_truncated(Decimal128 d) {
  unsigned flags = 0;
  int64_t v = bid128_to_int64_int(to_bid(d), &flags);
  if (flags & BID_INVALID_EXCEPTION) return std::nullopt;
  return v;
}

std::optional<int64_t> to_int64_exact(Decimal128 d) {
  unsigned flags = 0;
  int64_t v = bid128_to_int64_xint(to_bid(d), &flags);
  if (flags & (BID_INVALID_EXCEPTION | BID_INEXACT_EXCEPTION)) return std::nullopt;
  return v;
}

bool is_nan(Decimal128 d) { return (d.high & kNanBits) == kNanBits; }
bool is_infinite(Decimal128 d) { return (d.high & kNanBits) == kInfinityBits; }
bool is_zero(Decimal128 d) {
  return (d.high & kInfinityBits) != kInfinityBits && take_apart(d).coefficient == 0;
}
bool is_negative(Decimal128 d) { return (d.high & kSignBit) != 0; }

int compare(Decimal128 a, Decimal128 b) {
  if (is_nan(a) || is_nan(b)) return is_nan(a) ? (is_nan(b) ? 0 : -1) : 1;
  unsigned flags = 0;
  if (bid128_quiet_less(to_bid(a), to_bid(b), &flags)) return -1;
  return bid128_quiet_greater(to_bid(a), to_bid(b), &flags) ? 1 : 0;
}

Decimal128 modulo(Decimal128 a, Decimal128 b) {
  unsigned flags = 0;
  return from_bid(bid128_fmod(to_bid(a), to_bid(b), &flags));
}
Decimal128 negate(Decimal128 a) { return {a.low, a.high ^ kSignBit}; }
Decimal128 absolute(Decimal128 a) { return {a.low, a.high & ~kSignBit}; }
Decimal128 floor(Decimal128 a) { return with_exponent(a, 0, BID_ROUNDING_DOWN); }
Decimal128 ceil(Decimal128 a) { return with_exponent(a, 0, BID_ROUNDING_UP); }
Decimal128 truncate(Decimal128 a) { return quantize(a, 0, true); }

Decimal128 quantize(Decimal128 a, int place, bool toward_zero) {
  if (is_nan(a) || is_infinite(a)) return a;
  int exponent = std::clamp(-place, kMinExponent, kMaxExponent);
  Decimal128 rounded =
      with_exponent(a, exponent, toward_zero ? BID_ROUNDING_TO_ZERO : BID_ROUNDING_TO_NEAREST);
  return is_nan(rounded) ? with_all_digits(a) : rounded;
}

Decimal128 power(Decimal128 a, Decimal128 b) {
  unsigned flags = 0;
  BID_UINT128 result = bid128_pow(to_bid(a), to_bid(b), kNearestEven, &flags);
  // Adding the zero of the smallest exponent gives exact results all their digits.
  return from_bid(bid128_add(result, to_bid(encode(false, 0, kMinExponent)), kNearestEven, &flags));
}

// The rest is the library's function with our rounding and without its flags.
// clang-format off
#define MR_UNARY(name, function)                                          \
  Decimal128 name(Decimal128 a) {                                         \
    unsigned flags = 0;                                                   \
    return from_bid(function(to_bid(a), kNearestEven, &flags));           \
  }
#define MR_BINARY(name, function)                                         \
  Decimal128 name(Decimal128 a, Decimal128 b) {                           \
    unsigned flags = 0;                                                   \
    return from_bid(function(to_bid(a), to_bid(b), kNearestEven, &flags)); \
  }
MR_BINARY(add, bid128_add)
MR_BINARY(subtract, bid128_sub)
MR_BINARY(multiply, bid128_mul)
MR_BINARY(divide, bid128_div)
MR_BINARY(atan2, bid128_atan2)
MR_UNARY(sqrt, bid128_sqrt)
MR_UNARY(exp, bid128_exp)
MR_UNARY(ln, bid128_log)
MR_UNARY(log10, bid128_log10)
MR_UNARY(log2, bid128_log2)
MR_UNARY(sin, bid128_sin)
MR_UNARY(cos, bid128_cos)
MR_UNARY(tan, bid128_tan)
MR_UNARY(asin, bid128_asin)
MR_UNARY(acos, bid128_acos)
MR_UNARY(atan, bid128_atan)
MR_UNARY(sinh, bid128_sinh)
MR_UNARY(cosh, bid128_cosh)
MR_UNARY(tanh, bid128_tanh)
MR_UNARY(asinh, bid128_asinh)
MR_UNARY(acosh, bid128_acosh)
MR_UNARY(atanh, bid128_atanh)
#undef MR_UNARY
#undef MR_BINARY
// clang-format on

}  // namespace millrace::engine::decimal
