// Comparing what came out with what a case expects: exactly, in types and in the order of fields,
// but for markers where a value cannot be known.
//
// A marker is an object whose first field starts with "$$":
//   {$$any: true}                    any value
//   {$$any: "objectId"}              any value of a type, by its BSON alias; "number": any number
//   {$$regex: "text"}                a string that the regular expression finds a match in
//   {$$near: 3.1, within: 0.05}      a number of any type at most so far away
//   {$$contains: {a: 1}}             a document with at least these fields, in any order; inside
//                                    them documents are compared the same way
//   {$$unordered: [1, 2]}            an array with these elements in any order
//   {$$message: {topic: "t", key: …, document: {…}}}
//                                    only as an expected output: what the sink got beside the
//                                    document, compared as with $$contains
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

struct Difference {
  std::string path;  // "a.b[2].c"; "" is the value itself
  std::string expected;
  std::string actual;
};

// Nothing when `actual` is as expected.
std::optional<Difference> find_difference(const Value& expected, const Value& actual);
// The same as if `expected` stood in {$$contains: …}.
std::optional<Difference> find_missing_part(const Value& expected, const Value& actual);

// Errors: a marker that does not exist or is wrong. `messages`: $$message may stand at the top.
Status check_markers(const Value& expected, bool messages = false);

// Something that came out: the document, and all that the sink got ({document, target, key,
// headers, …}); the latter may be {}. Of a dead letter: {reason, operatorName, doc}, and the whole
// of it as it is stored.
struct Actual {
  Document document;
  Document message;
};

enum class ListKind : uint8_t {
  kOutput,
  kDeadLetters,  // only the fields that an expected one has are compared; `reason` is
                 // errInfo.reason
};

// Compares lists. In any order: each of `expected` must have an actual one of its own. The text
// shows, line by line, what is missing ("-"), what is too much ("+") and where two differ; nothing
// when all is as expected.
std::optional<std::string> list_difference(const std::vector<Value>& expected,
                                           const std::vector<Actual>& actual, ListKind kind,
                                           bool any_order = false);

}  // namespace millrace::engine
