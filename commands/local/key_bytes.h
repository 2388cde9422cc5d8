// BSON values as bytes that memcmp puts in MongoDB's comparison order: the keys of the local
// database's indexes.
//
//   value    = rank (1) payload              rank: place of the type in the comparison order;
//   missing is written as null number   = double (8) tail               the greatest double <= the
//   number, its bits turned so that they order; big-endian tail     = 0x00 the number is that
//   double
//            | 0x01 exponent (2) digits end  it is more: adjusted exponent + 32768, decimal digits
//            in ASCII without zeros behind, 0x00;
//                                            all inverted for a negative number
//   string   = bytes, 0x00 as 00 FF; 00 01   (code, symbol too)
//   object   = (rank name payload)* 00       name as a string
//   array    = (rank payload)* 00
//   binary   = length (4) subtype (1) bytes
//   date     = 8 bytes, sign bit turned      timestamp = 8 bytes    ObjectId = 12    bool = 1 null,
//   MinKey, MaxKey = nothing
//
// No value's bytes are the beginning of another's, so values can stand one behind the other. In a
// descending part all bytes are inverted.
#pragma once

#include <string>

#include "engine/document/value.h"

namespace millrace::commands {

void append_key_bytes(std::string& key, const engine::Value& value, bool descending = false);

}  // namespace millrace::commands
