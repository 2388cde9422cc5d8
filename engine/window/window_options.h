// The options of the window stages, read and checked.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/document/value.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

enum class WindowKind : uint8_t { kTumbling, kHopping, kSession };

// Which stage a user wrote. All durations in milliseconds.
struct WindowOptions {
  bool processing_time = false;
  int64_t interval_ms = 0;  // tumbling, hopping
  int64_t hop_ms = 0;       // hopping; of a tumbling window the interval
  int64_t gap_ms = 0;       // session
  int64_t offset_ms = 0;
  int64_t allowed_lateness_ms = 3000;
  std::optional<int64_t> idle_timeout_ms;
  ExpressionPtr partition_by;  // session
  Value pipeline;              // a view into the stage's specification
};

// `spec` is what stands beside the stage's name. Errors: 420, and those of the partitionBy
// expression.
Result<WindowOptions> parse_window_options(WindowKind kind, std::string_view stage,
                                           const Value& spec, ParseContext& context);

// {size: 5, unit: "second"} in milliseconds; sizes are positive integers of any number type, units
// may be plural. `what` names the option in the error. Errors: 420.
struct DurationForm {
  std::string_view size_field = "size";  // "offsetFromUtc" in `offset`
  bool days = true;
  bool zero = false;  // no time at all is allowed: the literal 0, or a size of 0
};
Result<int64_t> parse_duration(std::string_view what, const Value& spec,
                               const DurationForm& form = {});

}  // namespace millrace::engine
