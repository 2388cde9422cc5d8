#include "engine/connection/options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace millrace::engine {

std::string joined(std::initializer_list<std::string_view> words) {
  std::string text;
  size_t index = 0;
  for (std::string_view word : words) {
    if (index > 0) text += index + 1 == words.size() ? " or " : ", ";
    text += word;
    ++index;
  }
  return text;
}

Status Options::error(std::string_view name, std::string_view what) const {
  return Status(code_, where_ + "." + std::string(name) + " " + std::string(what));
}

Status Options::wrong_type(std::string_view name, std::string_view expected) const {
  return error(name,
               "must be " + std::string(expected) + ", not " + std::string(get(name).type_name()));
}

Status Options::check() const {
  if (object_.is_missing() || object_.is_object()) return {};
  return Status(code_, where_ + " must be an object, not " + std::string(object_.type_name()));
}

Status Options::only(std::initializer_list<std::string_view> known,
                     std::initializer_list<std::string_view> later) const {
  MR_RETURN_IF_ERROR(check());
  if (!object_.is_object()) return {};
  for (const Field& field : object_.as_object()) {
    if (std::find(known.begin(), known.end(), field.name()) != known.end()) continue;
    if (std::find(later.begin(), later.end(), field.name()) != later.end())
      return unsupported(field.name());
    return Status(code_, where_ + " has an unknown field '" + std::string(field.name()) + "'");
  }
  return {};
}

Result<std::string> Options::required_string(std::string_view name) const {
  Value value = get(name);
  if (value.is_missing()) return error(name, "is required");
  if (!value.is_string()) return wrong_type(name, "a string");
  if (value.as_string().empty()) return error(name, "must not be empty");
  return std::string(value.as_string());
}

Result<std::optional<std::string>> Options::string(std::string_view name) const {
  Value value = get(name);
  if (value.is_missing()) return std::optional<std::string>();
  if (!value.is_string()) return wrong_type(name, "a string");
  return std::optional<std::string>(value.as_string());
}

Result<std::optional<bool>> Options::boolean(std::string_view name) const {
  Value value = get(name);
  if (value.is_missing()) return std::optional<bool>();
  if (!value.is(Type::kBool)) return wrong_type(name, "a boolean");
  return std::optional<bool>(value.as_bool());
}

namespace {

std::optional<int64_t> whole_number(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  if (!value.is(Type::kDouble) || std::trunc(value.as_double()) != value.as_double())
    return std::nullopt;
  if (std::abs(value.as_double()) > 9e15) return std::nullopt;
  return static_cast<int64_t>(value.as_double());
}

}  // namespace

Result<std::optional<int64_t>> Options::integer(std::string_view name, int64_t min,
                                                int64_t max) const {
  Value value = get(name);
  if (value.is_missing()) return std::optional<int64_t>();
  auto number = whole_number(value);
  if (!number) return wrong_type(name, "a whole number");
  if (*number < min || *number > max) {
    return error(name, "must be between " + std::to_string(min) + " and " + std::to_string(max) +
                           ", not " + std::to_string(*number));
  }
  return number;
}

Result<std::optional<std::string>> Options::choice(
    std::string_view name, std::initializer_list<std::string_view> choices) const {
  MR_ASSIGN_OR_RETURN(auto text, string(name));
  if (!text || std::find(choices.begin(), choices.end(), *text) != choices.end()) return text;
  return error(name, "must be " + joined(choices) + ", not '" + *text + "'");
}

Result<std::optional<int64_t>> Options::duration_ms(std::string_view name) const {
  if (!has(name)) return std::optional<int64_t>();
  struct Unit {
    std::string_view name;
    int64_t ms;
  };
  static constexpr std::array kUnits = {Unit{"ms", 1},           Unit{"millisecond", 1},
                                        Unit{"second", 1000},    Unit{"minute", 60'000},
                                        Unit{"hour", 3'600'000}, Unit{"day", 86'400'000}};
  Options duration = sub(name);
  MR_RETURN_IF_ERROR(duration.only({"size", "unit"}));
  MR_ASSIGN_OR_RETURN(std::string unit, duration.required_string("unit"));
  std::string_view singular = unit;
  if (singular.size() > 2 && singular.back() == 's') singular.remove_suffix(1);
  auto row =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == singular; });
  if (row == kUnits.end())
    return duration.error("unit", "must be ms, second, minute, hour or day, not '" + unit + "'");
  if (!duration.has("size")) return duration.error("size", "is required");
  MR_ASSIGN_OR_RETURN(auto size,
                      duration.integer("size", 1, std::numeric_limits<int64_t>::max() / row->ms));
  return std::optional<int64_t>(*size * row->ms);
}

}  // namespace millrace::engine
