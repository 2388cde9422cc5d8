// Sets one field of a document as $addFields does: for stages that add what they have computed.
#pragma once

#include <span>
#include <string_view>

#include "engine/document/value.h"

namespace millrace::commands {

// `object` with `value` at the path `parts`. An array on the way is entered: each of its elements
// gets the field; what is no document becomes one. A missing value takes the field out. The result
// and the copied parts live in `arena`, the rest as long as `object`.
engine::Value with_field(const engine::Value& object, std::span<const std::string_view> parts,
                         const engine::Value& value, engine::Arena& arena);

// The same as $lookup and $graphLookup set their `as`: an array on the way is replaced, as anything
// that is no document.
engine::Value with_nested_field(const engine::Value& object,
                                std::span<const std::string_view> parts, const engine::Value& value,
                                engine::Arena& arena);

}  // namespace millrace::commands
