// Extended JSON v2: reading it (canonical, relaxed and the legacy spellings) and writing it in the
// three output formats of $emit. Source:
// https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md, its
// test data in tests/bson-corpus.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/bson.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

// Reading. Fields keep their order and may repeat. Plain integers become int32 when they fit, else
// int64, else double. Levels of nesting are limited to kMaxNestingDepth, texts to
// kMaxJsonTextBytes. Any thread. Errors: 9 FailedToParse.
inline constexpr size_t kMaxJsonTextBytes =
    256 * 1024 * 1024;  // so that the BSON form stays within its 31-bit lengths

// The text of one object.
Result<Document> parse_extended_json(std::string_view text);
// The text of an array of objects.
Result<std::vector<Document>> parse_extended_json_array(std::string_view text);
// The text of any value, as a tree in `arena`; nothing in it refers to `text`.
Result<Value> parse_extended_json_value(std::string_view text, Arena& arena);

// The text of any value by JSON alone: wrappers like {$oid: "…"} stay ordinary objects, and of
// fields of one name the last is kept, in the place of the first. Limits and errors as above.
Result<Value> parse_plain_json_value(std::string_view text, Arena& arena);

// What an object whose first key starts with "$" stands for: {$oid: "…"} an ObjectId, {$date: …} a
// date and so on, or missing if it is no such wrapper but an ordinary object. `fields` are decoded
// already, inner wrappers included ({$date: <int64>}). The value may refer to the strings of
// `fields` and to `arena`. Requires: at least one field. Errors: 9 FailedToParse for a wrapper with
// a wrong value, or with fields that do not belong to it.
Result<Value> special_from_fields(std::span<const Field> fields, Arena& arena);

// The number of a JSON number's text (no space around it): int32, int64 or double as above. Missing
// if it is not one by JSON's grammar, or too large for a double.
Value parse_json_number(std::string_view text);

// Milliseconds since 1970 of "YYYY-MM-DDTHH:MM:SS.fffZ". The zone may be Z, ±hh:mm, ±hhmm, ±hh or
// left out (UTC); the fraction may have any number of digits (what is below a millisecond is cut
// off) or be left out, as may the seconds or the whole time; a space may stand for the T.
std::optional<int64_t> parse_iso_date(std::string_view text);

// Writing. The formats and what they do to each type: the documentation of $emit,
// `config.outputFormat` and `config.dateFormat`.
enum class JsonFormat : uint8_t {
  kRelaxed,    // Extended JSON, numbers and the usual dates plain
  kCanonical,  // Extended JSON, every type kept
  kBasic,      // no wrappers: dates in milliseconds, ObjectIds in hexadecimal, …
};
enum class DateFormat : uint8_t {
  kDefault,  // the format's own rule
  kIso8601,  // "YYYY-MM-DDTHH:MM:SS.fffZ" in every format
};

// Appends the text of any value; a missing value gives "null". Errors: throws EvaluationError 15
// Overflow for values nested deeper than any document can be (kMaxNestingDepth and a margin), as
// BsonWriter does.
void append_json(Value value, std::string& out, JsonFormat format = JsonFormat::kRelaxed,
                 DateFormat dates = DateFormat::kDefault);
std::string to_json(Value value, JsonFormat format = JsonFormat::kRelaxed,
                    DateFormat dates = DateFormat::kDefault);

// Appends "YYYY-MM-DDTHH:MM:SS.fffZ". Years outside 0 to 9999 get a sign and at least six digits,
// as ISO 8601 allows.
void append_iso_date(int64_t ms, std::string& out);
// The same into a buffer of at least kIsoDateBytes; returns the end of the text.
inline constexpr size_t kIsoDateBytes = 40;
char* write_iso_date(int64_t ms, char* to);

}  // namespace millrace::engine
