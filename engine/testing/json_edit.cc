#include "engine/testing/json_edit.h"

#include <optional>

#include "engine/testing/exact_json.h"

namespace millrace::engine {
namespace {

constexpr size_t kLineLength = 100;

struct Range {
  size_t begin;
  size_t end;
};

// Walks valid JSON without building anything.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  size_t skip_space(size_t at) const {
    while (at < text_.size() && std::string_view(" \t\r\n").find(text_[at]) != std::string::npos)
      ++at;
    return at;
  }

  // Behind the value that starts at `at`.
  size_t skip_value(size_t at) const {
    if (at >= text_.size()) return at;
    if (text_[at] == '"') return skip_string(at);
    if (text_[at] == '{' || text_[at] == '[') return skip_container(at);
    while (at < text_.size() && std::string_view(",]} \t\r\n").find(text_[at]) == std::string::npos)
      ++at;
    return at;
  }

  // Where the name of the last field of an object begins; nothing if it has none.
  std::optional<size_t> last_name(size_t object) const {
    std::optional<size_t> last;
    size_t at = skip_space(object + 1);
    while (at < text_.size() && text_[at] == '"') {
      last = at;
      at = skip_space(skip_space(skip_string(at)) + 1);
      at = skip_space(skip_value(at));
      if (at < text_.size() && text_[at] == ',') at = skip_space(at + 1);
    }
    return last;
  }

  // The child's value; nothing if there is none.
  std::optional<Range> child(size_t container, const JsonStep& step) const {
    bool object = text_[container] == '{';
    if (object != std::holds_alternative<std::string>(step)) return std::nullopt;
    size_t at = skip_space(container + 1);
    for (size_t index = 0; at < text_.size() && text_[at] != '}' && text_[at] != ']'; ++index) {
      bool found = !object && std::get<size_t>(step) == index;
      if (object) {
        size_t end = skip_string(at);
        // Names in case files are plain: what is escaped is not looked for.
        found = text_.substr(at + 1, end - at - 2) == std::get<std::string>(step);
        at = skip_space(skip_space(end) + 1);
      }
      size_t end = skip_value(at);
      if (found) return Range{at, end};
      at = skip_space(end);
      if (at < text_.size() && text_[at] == ',') at = skip_space(at + 1);
    }
    return std::nullopt;
  }

 private:
  size_t skip_string(size_t at) const {
    for (++at; at < text_.size() && text_[at] != '"'; ++at) {
      if (text_[at] == '\\') ++at;
    }
    return at + 1;
  }

  size_t skip_container(size_t at) const {
    int depth = 0;
    while (at < text_.size()) {
      if (text_[at] == '"') {
        at = skip_string(at);
        continue;
      }
      if (text_[at] == '{' || text_[at] == '[') ++depth;
      if (text_[at] == '}' || text_[at] == ']') --depth;
      ++at;
      if (depth == 0) break;
    }
    return at;
  }

  std::string_view text_;
};

size_t indent_of_line(std::string_view text, size_t at) {
  size_t begin = text.rfind('\n', at);
  begin = begin == std::string_view::npos ? 0 : begin + 1;
  size_t end = text.find_first_not_of(' ', begin);
  return end == std::string_view::npos ? 0 : end - begin;
}

bool begins_line(std::string_view text, size_t at) {
  size_t before = text.find_last_not_of(" \t", at == 0 ? 0 : at - 1);
  return before != std::string_view::npos && text[before] == '\n';
}

void lay_out(const Value& value, size_t indent, size_t used, std::string& out) {
  std::string line = exact_json(value);
  bool container = value.is_object() || value.is_array();
  if (!container || indent + used + line.size() <= kLineLength) {
    out += line;
    return;
  }
  bool object = value.is_object();
  std::string margin = "\n" + std::string(indent + 2, ' ');
  bool first = true;
  auto next = [&] {
    out += first ? "" : ",";
    out += margin;
    first = false;
  };
  out += object ? '{' : '[';
  if (object) {
    for (const Field& field : value.as_object()) {
      next();
      append_json_string(field.name(), out);
      out += ": ";
      lay_out(field.value, indent + 2, field.name().size() + 4, out);
    }
  } else {
    for (const Value& element : value.as_array()) {
      next();
      // A document of a list stays on its line, however long: that is how lists are compared.
      out += exact_json(element);
    }
  }
  out += "\n" + std::string(indent, ' ');
  out += object ? '}' : ']';
}

}  // namespace

Status set_json_value(std::string& text, const JsonPath& path, std::string_view json) {
  Scanner scanner(text);
  size_t at = scanner.skip_space(0);
  for (size_t i = 0; i < path.size(); ++i) {
    auto found = scanner.child(at, path[i]);
    if (!found) {
      bool can_add =
          i + 1 == path.size() && text[at] == '{' && std::holds_alternative<std::string>(path[i]);
      if (!can_add) return Status(ErrorCode::kBadValue, "the file has no such place");
      size_t last = text.find_last_not_of(" \t\r\n", scanner.skip_value(at) - 2);
      auto name = scanner.last_name(at);
      std::string added = name ? ", " : "";
      if (name && begins_line(text, *name))
        added = ",\n" + std::string(indent_of_line(text, *name), ' ');
      append_json_string(std::get<std::string>(path[i]), added);
      added += ": ";
      added += json;
      text.insert(last + 1, added);
      return {};
    }
    if (i + 1 == path.size()) {
      text.replace(found->begin, found->end - found->begin, json);
      return {};
    }
    at = found->begin;
  }
  return Status(ErrorCode::kBadValue, "an empty path");
}

size_t json_indent(std::string_view text, const JsonPath& path) {
  Scanner scanner(text);
  size_t at = scanner.skip_space(0);
  for (const JsonStep& step : path) {
    auto found = scanner.child(at, step);
    if (!found) {
      auto name = text[at] == '{' ? scanner.last_name(at) : std::nullopt;
      return indent_of_line(text, name.value_or(at));
    }
    at = found->begin;
  }
  return indent_of_line(text, at);
}

std::string lay_out_json(const Value& value, size_t indent) {
  std::string out;
  lay_out(value, indent, 0, out);
  return out;
}

}  // namespace millrace::engine
