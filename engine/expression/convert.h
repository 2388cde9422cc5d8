// Conversions between types, as $convert and the operators that coerce their arguments do them.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/convert/ and
// MongoDB 6.0.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/document/arena.h"
#include "engine/document/value.h"

namespace millrace::engine {

// A date, a timestamp's seconds or an ObjectId's time as milliseconds since 1970; nullopt for every
// other type.
std::optional<int64_t> date_of(const Value& value);
// The same; throws 16006 for every other type.
int64_t coerce_to_date(const Value& value);

// The text of a number, date, timestamp, string, code or symbol, "" for null: what $toLower,
// $substrBytes and others do with arguments that are no strings. In `arena` or in the value. Throws
// 16007 for every other type.
std::string_view coerce_to_string(const Value& value, Arena& arena);

// "1.5", "1e+20": a double as the server prints it, with at most six significant digits.
std::string double_to_text(double d);
// "YYYY-MM-DDTHH:MM:SS.fffZ". Throws 18537 for years that do not fit in four digits.
std::string_view date_to_text(int64_t ms, Arena& arena);
// How error messages show a value: 1.5, "abc", an ISO date, …
std::string value_to_text(const Value& value);

// What {$convert: …} asks for beside input and type.
struct ConvertOptions {
  enum class Format : uint8_t { kNone, kBase64, kBase64Url, kHex, kUuid, kUtf8, kAuto };
  int subtype = 0;  // of binary results
  Format format = Format::kNone;
  bool big_endian = false;  // byteOrder
  int base = 0;             // of numbers in text; 0: not given
};

// `value` as `target`. Requires: not null, undefined or missing. Throws 241 ConversionFailure.
Value convert(const Value& value, Type target, const ConvertOptions& options, Arena& arena);

// The type that a type's name ("int", "binData", …) or number stands for. Throws 2 BadValue or 9
// FailedToParse.
Type type_from_value(const Value& to);

}  // namespace millrace::engine
