// Reads Extended JSON through simdjson's On-Demand interface into a tree. For configuration,
// commands' texts, keys and tests; events of a source have a decoder of their own that reads only
// the fields a pipeline needs.
#include "engine/document/extended_json.h"

#include <simdjson.h>

#include <charconv>
#include <memory>
#include <unordered_map>

namespace millrace::engine {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::string_view kJsonSpace = " \t\n\r";

Status invalid(std::string_view what) {
  return Status(ErrorCode::kFailedToParse, "Invalid JSON: " + std::string(what));
}
Status invalid(simdjson::error_code error) { return invalid(simdjson::error_message(error)); }

// MR_ASSIGN_OR_RETURN for what simdjson gives.
#define MR_JSON(target, expression)                                         \
  do {                                                                      \
    if (auto mr_error = (expression).get(target)) return invalid(mr_error); \
  } while (false)

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(kJsonSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kJsonSpace) - first + 1);
}

// Of fields of one name the last, in the place of the first.
Value without_duplicates(const ObjectBuilder& builder) {
  std::span<const Field> fields = builder.finish().tree_fields();
  std::unordered_map<std::string_view, size_t> places;
  places.reserve(fields.size());
  Field* kept = const_cast<Field*>(fields.data());
  for (const Field& field : fields) {
    auto [place, fresh] = places.emplace(field.name(), places.size());
    kept[place->second] = field;
  }
  return Value::object(fields.first(places.size()));
}

class Reader {
 public:
  // `plain`: by JSON alone, see parse_plain_json_value.
  Reader(Arena& arena, bool plain) : arena_(arena), plain_(plain) {}

  // `depth` counts the levels of objects and arrays around the value.
  Result<Value> value(ondemand::value json, int depth) {
    ondemand::json_type type;
    MR_JSON(type, json.type());
    switch (type) {
      case ondemand::json_type::object: {
        ondemand::object fields;
        MR_JSON(fields, json.get_object());
        return object(fields, depth + 1);
      }
      case ondemand::json_type::array: {
        ondemand::array elements;
        MR_JSON(elements, json.get_array());
        return array(elements, depth + 1);
      }
      case ondemand::json_type::string: {
        std::string_view text;
        MR_JSON(text, json.get_string());
        return Value::string(arena_.copy(text));
      }
      case ondemand::json_type::number:
        return number(json);
      case ondemand::json_type::boolean: {
        bool truth;
        MR_JSON(truth, json.get_bool());
        return Value::boolean(truth);
      }
      case ondemand::json_type::null: {
        bool null;
        MR_JSON(null, json.is_null());
        if (!null) return invalid("expected null");
        return Value::null();
      }
    }
    return invalid("unknown token");
  }

  Result<Value> object(ondemand::object json, int depth) {
    MR_RETURN_IF_ERROR(check_depth(depth));
    ObjectBuilder builder(arena_, 4);
    for (auto item : json) {
      ondemand::field field;
      MR_JSON(field, std::move(item));
      std::string_view name;
      MR_JSON(name, field.unescaped_key());
      if (name.find('\0') != std::string_view::npos)
        return invalid("field names must not contain a null character");
      name = arena_.copy(name);
      MR_ASSIGN_OR_RETURN(Value v, value(field.value(), depth));
      builder.add(name, v);
    }
    if (plain_) return builder.size() > 1 ? without_duplicates(builder) : builder.finish();
    Value object = builder.finish();
    if (builder.size() == 0 || !builder.at(0).name().starts_with('$')) return object;
    MR_ASSIGN_OR_RETURN(Value special, special_from_fields(object.tree_fields(), arena_));
    return special.is_missing() ? object : special;
  }

  Result<Value> array(ondemand::array json, int depth) {
    MR_RETURN_IF_ERROR(check_depth(depth));
    ArrayBuilder builder(arena_, 4);
    for (auto item : json) {
      ondemand::value element;
      MR_JSON(element, std::move(item));
      MR_ASSIGN_OR_RETURN(Value v, value(element, depth));
      builder.add(v);
    }
    return builder.finish();
  }

 private:
  static Status check_depth(int depth) {
    if (depth <= kMaxNestingDepth) return {};
    return invalid("more than " + std::to_string(kMaxNestingDepth) + " levels of nesting");
  }

  static Result<Value> number(ondemand::value json) {
    Value v = parse_json_number(trimmed(json.raw_json_token()));
    if (v.is_missing()) return invalid("a number is malformed or too large");
    return v;
  }

  Arena& arena_;
  bool plain_;
};

#undef MR_JSON

// The parser and the padded copy of the text that it wants. Kept by each thread for the next text
// unless that one was large.
struct Workspace {
  ondemand::parser parser;
  std::string padded;

  simdjson::error_code open(std::string_view before, std::string_view text, std::string_view after,
                            ondemand::document* document) {
    padded.clear();
    padded.reserve(before.size() + text.size() + after.size() + simdjson::SIMDJSON_PADDING);
    padded.append(before).append(text).append(after);
    return parser.iterate(padded.data(), padded.size(), padded.capacity()).get(*document);
  }
};

class WorkspaceLease {
 public:
  WorkspaceLease() : workspace_(kept() ? std::move(kept()) : std::make_unique<Workspace>()) {}
  WorkspaceLease(const WorkspaceLease&) = delete;
  WorkspaceLease& operator=(const WorkspaceLease&) = delete;
  ~WorkspaceLease() {
    if (workspace_->padded.capacity() <= kKeptBytes) kept() = std::move(workspace_);
  }
  Workspace* operator->() { return workspace_.get(); }

 private:
  static constexpr size_t kKeptBytes = 1 << 20;
  static std::unique_ptr<Workspace>& kept() {
    thread_local std::unique_ptr<Workspace> workspace;
    return workspace;
  }
  std::unique_ptr<Workspace> workspace_;
};

Result<Value> read_container(ondemand::document& document, bool plain, Arena& arena) {
  Reader reader(arena, plain);
  ondemand::json_type type;
  if (auto error = document.type().get(type)) return invalid(error);
  Result<Value> result = Value();
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    if (auto error = document.get_object().get(object)) return invalid(error);
    result = reader.object(object, 1);
  } else {
    ondemand::array array;
    if (auto error = document.get_array().get(array)) return invalid(error);
    result = reader.array(array, 1);
  }
  if (result.ok() && document.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return invalid("there is text behind the value");
  return result;
}

Result<Value> read_value(std::string_view text, bool plain, Arena& arena) {
  text = trimmed(text);
  if (text.empty()) return invalid("the text is empty");
  if (text.size() > kMaxJsonTextBytes) return invalid("the text is too large");
  WorkspaceLease workspace;
  ondemand::document document;
  if (text[0] == '{' || text[0] == '[') {
    if (auto error = workspace->open("", text, "", &document)) return invalid(error);
    return read_container(document, plain, arena);
  }
  // A scalar is read as the only element of an array: one way to read for all.
  if (auto error = workspace->open("[", text, "]", &document)) return invalid(error);
  MR_ASSIGN_OR_RETURN(Value array, read_container(document, plain, arena));
  if (array.tree_elements().size() != 1) return invalid("there is text behind the value");
  return array.tree_elements()[0];
}

}  // namespace

Result<Value> parse_extended_json_value(std::string_view text, Arena& arena) {
  return read_value(text, false, arena);
}

Result<Value> parse_plain_json_value(std::string_view text, Arena& arena) {
  return read_value(text, true, arena);
}

Result<Document> parse_extended_json(std::string_view text) {
  Arena arena;
  MR_ASSIGN_OR_RETURN(Value value, parse_extended_json_value(text, arena));
  if (!value.is_object())
    return invalid("expected an object, found " + std::string(value.type_name()));
  return Document(value);
}

Result<std::vector<Document>> parse_extended_json_array(std::string_view text) {
  Arena arena;
  MR_ASSIGN_OR_RETURN(Value value, parse_extended_json_value(text, arena));
  if (!value.is_array())
    return invalid("expected an array, found " + std::string(value.type_name()));
  std::vector<Document> documents;
  documents.reserve(value.tree_elements().size());
  for (const Value& element : value.tree_elements()) {
    if (!element.is_object()) {
      return invalid("expected only objects in the array, found " +
                     std::string(element.type_name()));
    }
    documents.emplace_back(element);
  }
  return documents;
}

Value parse_json_number(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  auto digits = [&at, end] {
    const char* first = at;
    while (at != end && *at >= '0' && *at <= '9') ++at;
    return at - first;
  };
  if (at != end && *at == '-') ++at;
  bool zero = at != end && *at == '0';
  auto whole = digits();
  if (whole == 0 || (zero && whole > 1)) return {};
  bool integer = at == end;
  if (at != end && *at == '.') {
    ++at;
    if (digits() == 0) return {};
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (digits() == 0) return {};
  }
  if (at != end) return {};
  if (integer) {
    int64_t value = 0;
    if (std::from_chars(text.data(), end, value).ec == std::errc()) return Value::integer(value);
  }
  double value = 0;
  auto error = std::from_chars(text.data(), end, value).ec;
  if (error == std::errc()) return Value::number(value);
  // Out of range: too small is zero, too large is refused. from_chars leaves the value as it was in
  // both cases.
  auto exponent = text.find_first_of("eE");
  bool small =
      exponent != std::string_view::npos && exponent + 1 < text.size() && text[exponent + 1] == '-';
  return small ? Value::number(text[0] == '-' ? -0.0 : 0.0) : Value();
}

}  // namespace millrace::engine
