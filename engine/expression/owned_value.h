// Values that outlive their batch one by one: group keys, the $first of a group. Scalars stay
// inside the Value; the rest is one block from malloc. (Values that die together belong into an
// Arena instead.)
#pragma once

#include "engine/document/value.h"
#include "engine/expression/accumulator.h"

namespace millrace::engine {

// A copy of `value` that owns its memory until disown(). Documents and arrays are kept encoded.
Value own(const Value& value, HeapBytes& heap);
// Requires: `value` came from own(), and is not used again.
void disown(const Value& value, HeapBytes& heap);

}  // namespace millrace::engine
