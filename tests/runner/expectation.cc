#include "tests/runner/expectation.h"

#include <charconv>
#include <regex>

#include "engine/document/compare.h"
#include "engine/document/extended_json.h"

namespace millrace::tests {
namespace {

using engine::Value;

// The field of a document that has just one; nothing for every other value.
std::optional<engine::Field> only_field(Value value) {
  if (!value.is_object() || value.as_object().size() != 1) return std::nullopt;
  return *value.as_object().begin();
}

std::string at(const std::string& path) {
  return path.empty() ? "the document" : "\"" + path + "\"";
}

std::string under(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

class Comparison {
 public:
  explicit Comparison(Fields fields) : fields_(fields) {}
  CaseFailure compare(Value actual, Value expected, const std::string& path) const;

 private:
  // Nothing: `expected` is no matcher. Else what the matcher says.
  std::optional<CaseFailure> match(Value actual, Value expected, const std::string& path) const;
  CaseFailure documents(engine::ObjectView actual, engine::ObjectView expected,
                        const std::string& path) const;
  CaseFailure arrays(engine::ArrayView actual, engine::ArrayView expected,
                     const std::string& path) const;

  Fields fields_;
};

CaseFailure unlike(Value actual, Value expected, const std::string& path) {
  return at(path) + " is " + describe(actual) + ", not " + describe(expected);
}

CaseFailure check_type(Value actual, Value wanted, const std::string& path) {
  if (!wanted.is_string()) return "\"$type\" takes the name of a type";
  if (actual.is_missing()) return at(path) + " is not there";
  if (wanted.as_string() == "any" || wanted.as_string() == actual.type_name()) return std::nullopt;
  return at(path) + " is of type " + std::string(actual.type_name()) + ", not " +
         std::string(wanted.as_string());
}

CaseFailure check_text(Value actual, Value wanted, const std::string& path) {
  if (!wanted.is_string()) return "\"$matches\" takes a regular expression";
  if (!actual.is_string()) return unlike(actual, wanted, path);
  try {
    std::regex expression{std::string(wanted.as_string())};
    if (std::regex_search(std::string(actual.as_string()), expression)) return std::nullopt;
  } catch (const std::regex_error& error) {
    return "\"$matches\": " + std::string(error.what());
  }
  return at(path) + " is " + describe(actual) + ", which does not match " + describe(wanted);
}

CaseFailure check_least(Value actual, Value wanted, const std::string& path) {
  if (!wanted.is_number()) return "\"$atLeast\" takes a number";
  bool same_type = actual.type() == wanted.type();
  if (same_type && engine::compare(actual, wanted) >= 0) return std::nullopt;
  return at(path) + " is " + describe(actual) + ", not at least " + describe(wanted);
}

CaseFailure check_length(Value actual, Value wanted, const std::string& path) {
  if (!wanted.is_integer()) return "\"$length\" takes a number";
  if (!actual.is_array() && !actual.is_string())
    return at(path) + " is " + describe(actual) + ", which has no length";
  size_t length = actual.is_array() ? actual.as_array().size() : actual.as_string().size();
  if (static_cast<int64_t>(length) == wanted.integer_value()) return std::nullopt;
  return at(path) + " has the length " + std::to_string(length) + ", not " + describe(wanted);
}

CaseFailure check_contains(Value actual, Value wanted, const std::string& path) {
  if (actual.is_array()) {
    for (Value element : actual.as_array()) {
      if (!difference(element, wanted, Fields::kMore)) return std::nullopt;
    }
  }
  return at(path) + " is " + describe(actual) + ", without an element like " + describe(wanted);
}

std::optional<CaseFailure> Comparison::match(Value actual, Value expected,
                                             const std::string& path) const {
  auto only = only_field(expected);
  if (!only) return std::nullopt;
  const engine::Field& field = *only;
  if (field.has_name("$type")) return check_type(actual, field.value, path);
  if (field.has_name("$matches")) return check_text(actual, field.value, path);
  if (field.has_name("$atLeast")) return check_least(actual, field.value, path);
  if (field.has_name("$length")) return check_length(actual, field.value, path);
  if (field.has_name("$contains")) return check_contains(actual, field.value, path);
  if (field.has_name("$absent")) {
    CaseFailure failure;
    if (!actual.is_missing()) failure = at(path) + " is there: " + describe(actual);
    return failure;
  }
  return std::nullopt;
}

CaseFailure Comparison::documents(engine::ObjectView actual, engine::ObjectView expected,
                                  const std::string& path) const {
  auto position = actual.begin();
  for (const auto& field : expected) {
    std::string inner = under(path, field.name());
    bool here = position != actual.end() && position->name() == field.name();
    bool in_order = fields_ == Fields::kThese && here;  // a name may come twice
    Value value = in_order ? position->value : actual.get(field.name());
    if (auto failure = compare(value, field.value, inner)) return failure;
    if (fields_ == Fields::kMore || value.is_missing()) continue;
    if (!here) return at(inner) + " stands at another place";
    ++position;
  }
  if (fields_ == Fields::kThese && position != actual.end())
    return at(under(path, position->name())) + " is one field too many";
  return std::nullopt;
}

CaseFailure Comparison::arrays(engine::ArrayView actual, engine::ArrayView expected,
                               const std::string& path) const {
  if (actual.size() != expected.size())
    return at(path) + " has " + std::to_string(actual.size()) + " elements, not " +
           std::to_string(expected.size());
  size_t index = 0;
  for (Value element : expected) {
    if (auto failure = compare(actual.at(index), element, under(path, std::to_string(index))))
      return failure;
    ++index;
  }
  return std::nullopt;
}

CaseFailure Comparison::compare(Value actual, Value expected, const std::string& path) const {
  if (auto matched = match(actual, expected, path)) return *matched;
  if (actual.is_object() && expected.is_object())
    return documents(actual.as_object(), expected.as_object(), path);
  if (actual.is_array() && expected.is_array())
    return arrays(actual.as_array(), expected.as_array(), path);
  if (describe(actual) == describe(expected)) return std::nullopt;
  return unlike(actual, expected, path);
}

// What {"$reply": …} or {"$saved": …} stands for; nothing for every other value.
std::optional<Value> known_value(Value value, const KnownValues& known) {
  auto only = only_field(value);
  if (!only || !only->value.is_string()) return std::nullopt;
  const engine::Field& field = *only;
  if (field.has_name("$reply")) return at_path(known.last, field.value.as_string());
  if (!field.has_name("$saved")) return std::nullopt;
  auto found = known.saved.find(field.value.as_string());
  return found == known.saved.end() ? Value() : found->second.get("value");
}

}  // namespace

std::string describe(Value value) {
  return value.is_missing() ? "missing" : engine::to_json(value, engine::JsonFormat::kCanonical);
}

Value at_path(Value value, std::string_view path) {
  while (!path.empty() && (value.is_object() || value.is_array())) {
    size_t dot = std::min(path.find('.'), path.size());
    std::string_view name = path.substr(0, dot);
    if (value.is_object()) {
      value = value.as_object().get(name);
    } else {
      size_t index = 0;
      auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
      bool good = error == std::errc() && end == name.data() + name.size();
      value = good && index < value.as_array().size() ? value.as_array().at(index) : Value();
    }
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return path.empty() ? value : Value();
}

Value substitute(Value value, const KnownValues& known, engine::Arena& arena, std::string* lost) {
  if (value.is_array()) {
    engine::ArrayBuilder array(arena);
    for (Value element : value.as_array()) array.add(substitute(element, known, arena, lost));
    return array.finish();
  }
  if (!value.is_object()) return value;
  if (auto found = known_value(value, known)) {
    if (found->is_missing()) *lost = describe(value);
    return *found;
  }
  engine::ObjectBuilder object(arena);
  for (const auto& field : value.as_object())
    object.add(field.name(), substitute(field.value, known, arena, lost));
  return object.finish();
}

CaseFailure difference(Value actual, Value expected, Fields fields) {
  return Comparison(fields).compare(actual, expected, "");
}

}  // namespace millrace::tests
