// The conversions of $convert that came with MongoDB 8.3: documents and arrays to and from JSON
// text, and arrays of numbers to and from binary vectors (BSON binary subtype 9).
// Sources: https://www.mongodb.com/docs/manual/reference/operator/aggregation/convert/ and
// https://github.com/mongodb/specifications/blob/master/source/bson-binary-vector/bson-binary-vector.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/value.h"

namespace millrace::engine {

// Plain JSON without spaces: numbers as they are, everything that JSON does not know as the string
// that $toString makes of it. Throws 241 if the text would pass 16 MB. Requires: an object or
// array.
Value json_text_from_container(const Value& container, Arena& arena);

// "/a/i", "Timestamp(1, 2)", "MinKey", …: the types that have no conversion of their own.
std::string rare_type_to_text(const Value& value);

// The object or array that `text` is the JSON of; wrappers of Extended JSON stay objects. Throws
// 241 for other text, for the other of the two types, and beyond the limits of a document.
Value container_from_json_text(std::string_view text, Type target, Arena& arena);

inline constexpr int kVectorSubtype = 9;
// The elements of a binary vector: int32, double or bool. Throws 10506600 to 10506606 for bytes
// that are none. Requires: binData of kVectorSubtype.
Value array_from_vector(const Value& binary, bool big_endian, Arena& arena);
// The same as doubles (bits as 0 and 1).
std::vector<double> numbers_from_vector(const Value& binary, bool big_endian);
// The smallest kind of vector that holds the elements: bits for booleans, 0 and 1 (and for
// nothing), bytes for whole numbers from -128 to 127, 32-bit floats for doubles. Throws 241 for
// others. Requires: an array.
Value vector_from_array(const Value& array, bool big_endian, Arena& arena);

}  // namespace millrace::engine
