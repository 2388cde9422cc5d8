// What a case expects of a reply that is not the same at each run: ids, times, counters.
#pragma once

#include <map>
#include <string>

#include "engine/document/bson.h"
#include "tests/runner/case_file.h"

namespace millrace::tests {

// Where values of earlier replies can be had for a command or an expectation:
//   {"$reply": "cursor.id"}   that value of the reply before (array elements by their number)
//   {"$saved": "id"}          what a step before put aside under this name
struct KnownValues {
  engine::Value last;
  std::map<std::string, engine::Document, std::less<>> saved;  // {value: …}
};

// `value` with those put in. One that leads nowhere is named in `lost`. Lives in `arena` and in
// `known`.
engine::Value substitute(engine::Value value, const KnownValues& known, engine::Arena& arena,
                         std::string* lost);

// The value at a dotted path; numbers are positions in arrays.
engine::Value at_path(engine::Value value, std::string_view path);

enum class Fields {
  kThese,  // documents have exactly the fields expected, in this order
  kMore,   // they may have others as well, anywhere
};

// Where `actual` first differs from `expected`, in a sentence; nothing when it does not. Arrays
// have exactly the elements expected. A value is the same when type and value are, but for these
// documents of one field in `expected`:
//   {"$type": "long"}          there, and of this type (names of the operator $type; "any": all)
//   {"$matches": "^[0-9a-f]$"} a string in which this regular expression is found
//   {"$atLeast": 1}            a number of the same type, and no smaller
//   {"$absent": true}          the field is not there
//   {"$contains": <document>}  an array with an element that is like this (fields as kMore)
//   {"$length": 3}             an array or string of so many elements or bytes
CaseFailure difference(engine::Value actual, engine::Value expected, Fields fields);

// For messages.
std::string describe(engine::Value value);

}  // namespace millrace::tests
