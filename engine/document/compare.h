// MongoDB's order, equality and hashing of values across types.
// Source: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
#pragma once

#include <cstdint>

#include "engine/document/value.h"

namespace millrace::engine {

// The rank of a type in the comparison order: types of one rank (all numbers; string and symbol)
// compare by value. Missing sorts with undefined, before null, and array after object.
int canonical_type(Type type);

// <0, 0, >0. Numbers compare exactly across int32, int64, double and decimal; NaN is equal to
// itself and the smallest number.
int compare(const Value& a, const Value& b);
inline bool equal(const Value& a, const Value& b) { return compare(a, b) == 0; }

// Equal values have equal hashes (1, 1.0, NumberLong(1) and NumberDecimal("1.0") are equal).
uint64_t hash(const Value& value, uint64_t seed = 0);

// Same type, same bits, same field order: what "unchanged" means for an update. 1 and 1.0 are not
// identical.
bool identical(const Value& a, const Value& b);

}  // namespace millrace::engine
