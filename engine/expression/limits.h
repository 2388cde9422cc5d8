// Bounds on what an evaluation builds, so that no pipeline ends the process: nesting, strings,
// arrays and the memory of the batch. All throw EvaluationError.
#pragma once

#include <string>

#include "engine/document/bson.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

// Levels of one value. More than a document may have (kMaxNestingDepth), which is checked when it
// is encoded, but few enough for code that recurses.
inline constexpr int kMaxValueLevels = 220;
static_assert(kMaxValueLevels > kMaxNestingDepth && kMaxValueLevels < Value::kMaxTreeDepth);
// Of one array that an operator makes: what MongoDB allows $range.
inline constexpr size_t kMaxArrayBytes = 100 * 1024 * 1024;
// Of a batch's arena, beyond which nothing large is made in it.
inline constexpr size_t kMaxArenaBytes = size_t{1} << 30;

// `value`. Errors: 15 for one that is nested too deeply.
inline Value checked_depth(const Value& value) {
  if (value.tree_depth() > kMaxValueLevels) [[unlikely]] {
    fail_evaluation(ErrorCode::kOverflow, "a value exceeds the depth limit of " +
                                              std::to_string(kMaxNestingDepth) + " levels");
  }
  return value;
}

// `value`, which may hold one part in many places and be far larger than its memory. Errors: 10334
// for one beyond what is encoded. Cost: by its parts, unless it is flat.
inline Value checked_size(const Value& value) {
  if (value.tree_depth() < 2) [[likely]]
    return value;
  const Field holder("", value);
  if (bson_size(Value::object({&holder, 1})) > kMaxTreeBytes) [[unlikely]]
    fail_evaluation(ErrorCode::kBsonObjectTooLarge, "a value is larger than 64 MB");
  return value;
}

// Errors: 146 when the arena has no room for `bytes` more.
inline void check_memory(const EvalContext& context, size_t bytes) {
  if (context.arena->capacity_bytes() + bytes > kMaxArenaBytes) [[unlikely]] {
    fail_evaluation(ErrorCode::kExceededMemoryLimit, "the evaluation would need more than " +
                                                         std::to_string(kMaxArenaBytes) +
                                                         " bytes of memory");
  }
}

// Errors: 146 for an array of too many elements.
inline void check_array_size(const EvalContext& context, std::string_view name, size_t elements) {
  if (elements * sizeof(Value) > kMaxArrayBytes) [[unlikely]] {
    fail_evaluation(ErrorCode::kExceededMemoryLimit, std::string(name) + " of " +
                                                         std::to_string(elements) +
                                                         " elements would need more than " +
                                                         std::to_string(kMaxArrayBytes) + " bytes");
  }
  check_memory(context, elements * sizeof(Value));
}

// Errors: 16493, as MongoDB has it, for a string of 16 MB or more.
inline void check_string_size(const EvalContext& context, size_t bytes) {
  if (bytes >= kMaxDocumentBytes) [[unlikely]]
    fail_evaluation(16493, "Tried to create string longer than 16MB");
  check_memory(context, bytes);
}

}  // namespace millrace::engine
