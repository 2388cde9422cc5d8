#include "engine/expression/sort_pattern.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "engine/document/array_position.h"
#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/convert.h"

namespace millrace::engine {

namespace {

constexpr size_t kMaxPaths = 32;

// What {$meta: <name>} stands for as a key: nothing but randVal is known of documents that no
// search has found. Codes: 8.x.
Result<ExpressionPtr> parse_meta(const Value& spec, ParseContext& context) {
  auto fields = spec.as_object();
  if (fields.size() > 1)
    return Status(ErrorCode::kFailedToParse,
                  "Cannot have additional keys in a $meta sort specification");
  Value name = fields.get("$meta");
  std::string_view meta = name.is_string() ? name.as_string() : std::string_view();
  if (meta == "randVal") {
    ObjectBuilder rand(context.constants(), 1);
    rand.add("$rand", Value::object({}));
    return parse_expression(rand.finish(), context);
  }
  if (meta == "searchScore") return parse_expression(spec, context);
  if (meta == "textScore" || meta == "geoNearDistance") {
    return Status(40218,
                  "query requires " + std::string(meta) + " metadata, but it is not available");
  }
  return Status(31138, "Illegal $meta sort: $meta: " + value_to_text(name));
}

// Doubles are cut, decimals rounded to even (6.0.5); 0 for what is no direction.
int read_direction(const Value& number) {
  double direction = number.is(Type::kDecimal)
                         ? decimal::to_double(decimal::quantize(number.as_decimal(), 0, false))
                         : std::trunc(number.to_double());
  return direction == 1 ? 1 : direction == -1 ? -1 : 0;
}

}  // namespace

Result<SortPattern> SortPattern::parse(const Value& spec, ParseContext& context, Paths paths) {
  if (!spec.is_object()) return Status(15973, "the $sort key specification must be an object");
  SortPattern pattern;
  for (const Field& field : spec.as_object()) {
    if (field.value.is_object()) {
      if (!field.value.as_object().has("$meta"))
        return Status(17312, "$meta is the only expression supported by $sort right now");
      MR_ASSIGN_OR_RETURN(auto meta, parse_meta(field.value, context));
      pattern.parts_.push_back({{}, std::move(meta), true});
      continue;
    }
    if (!field.value.is_number()) {
      return Status(15974, "Illegal key in $sort specification: " + std::string(field.name()) +
                               ": the ordering must be specified using a number");
    }
    int direction = read_direction(field.value);
    if (direction == 0) {
      return Status(15975, "$sort key ordering must be 1 (for ascending) or -1 (for descending)");
    }
    MR_ASSIGN_OR_RETURN(FieldPath path, parse_field_path(field.name(), context.names()));
    pattern.parts_.push_back({path, make_field_path(path), direction < 0});
  }
  pattern.by_id_alone_ = pattern.parts_.size() == 1 && pattern.parts_[0].path.dotted() == "_id";
  if (pattern.parts_.empty()) return Status(9657900, "a sort needs at least one key");
  if (paths == Paths::kDistinct) MR_RETURN_IF_ERROR(pattern.check_paths());
  return pattern;
}

// Codes: 8.x; the first one also 6.0.5.
Status SortPattern::check_paths() const {
  std::vector<std::string> names;
  for (const Part& part : parts_) {
    if (part.path.size() > 0) names.push_back(part.path.dotted());
  }
  if (names.size() > kMaxPaths) return Status(13103, "too many compound keys");
  std::sort(names.begin(), names.end());
  auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return Status(7472500, "'" + *twice + "' is a sort key twice");
  return {};
}

void SortPattern::sort_key(EvalContext& context, Value* to) const {
  bool arrays = false;
  for (size_t i = 0; i < parts_.size(); ++i) {
    to[i] = parts_[i].value->evaluate(context);
    arrays = arrays || to[i].is_array();  // also the answer for a path through an array
    if (to[i].is_missing()) to[i] = Value::null();
  }
  if (!arrays || by_id_alone_) return;
  std::vector<Walk> walks(parts_.size(), Walk{context.root, 0});
  bool found = false;
  smallest_key(std::move(walks), to, &found);
}

namespace {

// The number that a name of a path says, when it can be a position in an array.
// "a.0" of an array of documents that have a field "0" themselves could mean either.
void check_unambiguous(const Value& element, std::string_view name) {
  if (element.is_object() && element.as_object().has(name)) {
    fail_evaluation(16746,
                    "Ambiguous field name found in array (do not use numeric field names in "
                    "embedded elements in an array), field: '" +
                        std::string(name) + "'");
  }
}

}  // namespace

// Follows all paths as far as the first array; then once more from each of its elements.
void SortPattern::smallest_key(std::vector<Walk> walks, Value* best, bool* found) const {
  const void* array = nullptr;
  Value elements;
  for (size_t i = 0; i < walks.size(); ++i) {
    Walk& walk = walks[i];
    const FieldPath& path = parts_[i].path;
    while (walk.depth < path.size() && walk.at.is_object())
      walk.at = walk.at.as_object().get(path.parts[walk.depth++]);
    if (!walk.at.is_array() || walk.depth > path.size()) continue;
    if (array != nullptr && array != walk.at.address()) {
      fail_evaluation(ErrorCode::kBadValue, "cannot sort with keys that are parallel arrays");
    }
    array = walk.at.address();
    elements = walk.at;
  }
  auto position = [&](const FieldPath& path, size_t depth) -> Value {
    std::optional<size_t> index = array_position(path.parts[depth]);
    return index ? elements.as_array().at(*index) : Value();
  };
  auto step_into = [&](const Value& element) {  // missing: the array is empty
    std::vector<Walk> inner = walks;
    for (size_t i = 0; i < inner.size(); ++i) {
      Walk& walk = inner[i];
      if (!walk.at.is_array() || walk.depth > parts_[i].path.size()) continue;
      bool leaf = walk.depth == parts_[i].path.size();
      if (leaf) {
        walk.at = element.is_missing() ? Value::undefined() : element;
      } else if (Value at = position(parts_[i].path, walk.depth); !at.is_missing()) {
        check_unambiguous(element, parts_[i].path.parts[walk.depth]);
        walk.at = at;
        leaf = ++walk.depth == parts_[i].path.size();
        if (leaf && walk.at.is_array() && walk.at.as_array().empty()) walk.at = Value::undefined();
        if (!leaf && (walk.at.is_object() || walk.at.is_array())) continue;
        if (!leaf) walk.at = Value();
      } else {
        walk.at = element.is_object() ? element : Value();
      }
      if (leaf || !walk.at.is_object())
        walk.depth = parts_[i].path.size() + 1;  // done: an array found here is a value
    }
    smallest_key(std::move(inner), best, found);
  };
  if (array != nullptr) {
    bool empty = true;
    for (const Value& element : elements.as_array()) {
      empty = false;
      step_into(element);
    }
    if (empty) step_into(Value());
    return;
  }
  std::vector<Value> key(walks.size());
  for (size_t i = 0; i < walks.size(); ++i) {
    bool computed = parts_[i].path.size() == 0;
    bool reached = walks[i].depth >= parts_[i].path.size();
    key[i] = computed                               ? best[i]
             : !reached || walks[i].at.is_missing() ? Value::null()
                                                    : walks[i].at;
  }
  if (*found && compare(key.data(), best) >= 0) return;
  *found = true;
  std::copy(key.begin(), key.end(), best);
}

void SortPattern::top_key(EvalContext& context, Value* to) const {
  bool array = false;
  for (const Part& part : parts_) {
    Value value = part.value->evaluate(context);
    if (value.is_array() && std::exchange(array, true))
      fail_evaluation(ErrorCode::kBadValue, "cannot sort with keys that are parallel arrays");
    if (value.is_array() && value.as_array().empty()) value = Value::undefined();
    *to++ = value.is_missing() ? Value::null() : value;
  }
}

void SortPattern::whole_key(const Value& element, Value* to) const {
  for (const Part& part : parts_) {
    Value at = element.is_object() ? element : Value();
    for (std::string_view name : part.path.parts) {
      if (at.is_object()) {
        at = at.as_object().get(name);
      } else {
        std::optional<size_t> index = at.is_array() ? array_position(name) : std::nullopt;
        at = index ? at.as_array().at(*index) : Value();
      }
    }
    *to++ = at.is_missing() ? Value::null() : at;
  }
}

int SortPattern::compare(const Value* a, const Value* b) const {
  for (const Part& part : parts_) {
    int c = engine::compare(*a++, *b++);
    if (c != 0) return part.descending ? -c : c;
  }
  return 0;
}

void SortPattern::add_dependencies(Dependencies& dependencies) const {
  for (const Part& part : parts_) part.value->add_dependencies(dependencies);
}

}  // namespace millrace::engine
