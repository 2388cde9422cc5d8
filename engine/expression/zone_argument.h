// The `timezone` argument of the date operators, prepared when it is constant.
#pragma once

#include "engine/document/status.h"
#include "engine/expression/named_arguments.h"
#include "engine/expression/time_zone.h"

namespace millrace::engine {

// The zone that an evaluated argument names, nullptr for null. Throws `type_code` for a value that
// is no string, 40485 for an unknown zone.
inline const TimeZone* zone_from_value(const Value& value, int type_code = 40517) {
  if (value.is_nullish()) return nullptr;
  if (!value.is_string())
    fail_evaluation(type_code,
                    "timezone must evaluate to a string, found " + std::string(value.type_name()));
  auto zone = TimeZone::find(value.as_string());
  if (!zone.ok()) throw EvaluationError(zone.status());
  return *zone;
}

class ZoneArgument {
 public:
  ZoneArgument() = default;
  ZoneArgument(const NamedArguments& arguments, size_t index) : index_(index) {
    if (!arguments.given(index)) {
      prepared_ = &TimeZone::utc();
      return;
    }
    const Value* constant = arguments.constant(index);
    if (constant == nullptr || !constant->is_string()) return;
    if (auto zone = TimeZone::find(constant->as_string()); zone.ok()) prepared_ = *zone;
  }
  // UTC when not given, nullptr for null. Throws 40517, 40485.
  const TimeZone* get(const NamedArguments& arguments, EvalContext& context) const {
    return prepared_ != nullptr ? prepared_ : zone_from_value(arguments.evaluate(index_, context));
  }

 private:
  size_t index_ = 0;
  const TimeZone* prepared_ = nullptr;
};

}  // namespace millrace::engine
