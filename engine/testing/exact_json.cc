#include "engine/testing/exact_json.h"

#include <cmath>

#include "engine/document/extended_json.h"

namespace millrace::engine {

void append_json_string(std::string_view text, std::string& out) {
  append_json(Value::string(text), out);
}

void append_exact_json(const Value& value, std::string& out) {
  switch (value.type()) {
    case Type::kObject: {
      out += '{';
      bool first = true;
      for (const Field& field : value.as_object()) {
        if (!first) out += ", ";
        first = false;
        append_json_string(field.name(), out);
        out += ": ";
        append_exact_json(field.value, out);
      }
      out += '}';
      return;
    }
    case Type::kArray: {
      out += '[';
      bool first = true;
      for (const Value& element : value.as_array()) {
        if (!first) out += ", ";
        first = false;
        append_exact_json(element, out);
      }
      out += ']';
      return;
    }
    case Type::kInt64:
      // A plain number is an int as soon as it fits one.
      append_json(value, out,
                  value.as_int64() == static_cast<int32_t>(value.as_int64())
                      ? JsonFormat::kCanonical
                      : JsonFormat::kRelaxed);
      return;
    case Type::kDouble: {
      std::string text = to_json(value, JsonFormat::kRelaxed);
      Value again = parse_json_number(text);
      bool plain = again.is(Type::kDouble) &&
                   !std::signbit(value.as_double()) == !std::signbit(again.as_double());
      out += plain ? text : to_json(value, JsonFormat::kCanonical);
      return;
    }
    case Type::kMissing:
      out += "(missing)";
      return;
    default:
      append_json(value, out, JsonFormat::kRelaxed);
  }
}

std::string exact_json(const Value& value) {
  std::string out;
  append_exact_json(value, out);
  return out;
}

}  // namespace millrace::engine
