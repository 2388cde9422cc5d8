#include "commands/local/field_set.h"

namespace millrace::commands {

using engine::Arena;
using engine::Value;

namespace {

Value set_at(const Value& object, std::span<const std::string_view> parts, const Value& value,
             bool enter_arrays, Arena& arena) {
  if (parts.empty()) return value;
  if (object.is_array() && enter_arrays) {
    engine::ArrayBuilder elements(arena);
    for (const Value& element : object.as_array())
      elements.add(set_at(element, parts, value, enter_arrays, arena));
    return elements.finish();
  }
  engine::ObjectBuilder result(arena);
  bool set = false;
  if (object.is_object()) {
    for (const auto& field : object.as_object()) {
      bool here = !set && field.name() == parts.front();
      set = set || here;
      result.add(
          field.name(),
          here ? set_at(field.value, parts.subspan(1), value, enter_arrays, arena) : field.value);
    }
  }
  if (!set) {
    result.add(parts.front(),
               set_at(Value::missing(), parts.subspan(1), value, enter_arrays, arena));
  }
  return result.finish();
}

}  // namespace

Value with_field(const Value& object, std::span<const std::string_view> parts, const Value& value,
                 Arena& arena) {
  return set_at(object, parts, value, true, arena);
}

Value with_nested_field(const Value& object, std::span<const std::string_view> parts,
                        const Value& value, Arena& arena) {
  return set_at(object, parts, value, false, arena);
}

}  // namespace millrace::commands
