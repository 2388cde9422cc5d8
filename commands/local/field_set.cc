#include "commands/local/field_set.h"

namespace millrace::commands {

using engine::Arena;
using engine::Value;

Value with_field(const Value& object, std::span<const std::string_view> parts, const Value& value,
                 Arena& arena) {
  if (parts.empty()) return value;
  if (object.is_array()) {
    engine::ArrayBuilder elements(arena);
    for (const Value& element : object.as_array())
      elements.add(with_field(element, parts, value, arena));
    return elements.finish();
  }
  engine::ObjectBuilder result(arena);
  bool set = false;
  if (object.is_object()) {
    for (const auto& field : object.as_object()) {
      bool here = !set && field.name() == parts.front();
      set = set || here;
      result.add(field.name(),
                 here ? with_field(field.value, parts.subspan(1), value, arena) : field.value);
    }
  }
  if (!set) result.add(parts.front(), with_field(Value::missing(), parts.subspan(1), value, arena));
  return result.finish();
}

}  // namespace millrace::commands
