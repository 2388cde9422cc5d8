// Numbers as arguments: whole numbers out of any numeric type, and how values are shown in
// messages.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/document/decimal.h"
#include "engine/document/value.h"

namespace millrace::engine {

// The number as int64 if it is whole and fits, whatever its type; nullopt for everything else (1.5,
// NaN, "1").
inline std::optional<int64_t> whole_int64(const Value& v) {
  switch (v.type()) {
    case Type::kInt32:
      return v.as_int32();
    case Type::kInt64:
      return v.as_int64();
    case Type::kDouble: {
      double d = v.as_double();
      if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != std::trunc(d))
        return std::nullopt;
      return static_cast<int64_t>(d);
    }
    case Type::kDecimal:
      return decimal::to_int64_exact(v.as_decimal());
    default:
      return std::nullopt;
  }
}

// The same for int32: what indices, positions and counts have to be.
inline std::optional<int32_t> whole_int32(const Value& v) {
  auto wide = whole_int64(v);
  if (!wide || *wide != static_cast<int32_t>(*wide)) return std::nullopt;
  return static_cast<int32_t>(*wide);
}

// Any number as a decimal; doubles with MongoDB's 15 digits. Requires: v.is_number().
inline Decimal128 to_decimal(const Value& v) {
  switch (v.type()) {
    case Type::kDecimal:
      return v.as_decimal();
    case Type::kDouble:
      return decimal::from_double(v.as_double());
    default:
      return decimal::from_int64(v.integer_value());
  }
}

// True for a NaN of either kind. Requires: v.is_number().
inline bool is_nan(const Value& v) {
  if (v.is(Type::kDecimal)) return decimal::is_nan(v.as_decimal());
  return v.is(Type::kDouble) && std::isnan(v.as_double());
}

// True for an infinity of either kind and sign. Requires: v.is_number().
inline bool is_infinite(const Value& v) {
  if (v.is(Type::kDecimal)) return decimal::is_infinite(v.as_decimal());
  return v.is(Type::kDouble) && std::isinf(v.as_double());
}

// Requires: v.is_number().
inline bool is_finite(const Value& v) { return !is_nan(v) && !is_infinite(v); }

// A value in an error message: its relaxed Extended JSON, cut short when it is long.
std::string shown(const Value& v);

}  // namespace millrace::engine
