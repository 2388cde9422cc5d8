#include "engine/expression/sort_pattern.h"

#include "engine/document/compare.h"

namespace millrace::engine {
namespace {

// An empty array sorts as undefined, before null: so do MongoDB's index keys.
Value array_key(const Value& array, bool descending) {
  Value best;
  for (const Value& element : array.as_array()) {
    if (best.is_missing()) {
      best = element;
      continue;
    }
    int c = compare(element, best);
    if (descending ? c > 0 : c < 0) best = element;
  }
  return best.is_missing() ? Value::undefined() : best;
}

}  // namespace

Result<SortPattern> SortPattern::parse(const Value& spec, ParseContext& context) {
  if (!spec.is_object()) return Status(15973, "the $sort key specification must be an object");
  SortPattern pattern;
  for (const Field& field : spec.as_object()) {
    if (field.value.is_object()) {
      return Status(ErrorCode::kNotImplemented, "$sort by {$meta: …} is not supported by Millrace yet");
    }
    if (!field.value.is_number()) {
      return Status(15974, "Illegal key in $sort specification: " + std::string(field.name()) +
                               ": the ordering must be specified using a number");
    }
    double direction = field.value.to_double();
    if (direction != 1 && direction != -1) {
      return Status(15975, "$sort key ordering must be 1 (for ascending) or -1 (for descending)");
    }
    MR_ASSIGN_OR_RETURN(FieldPath path, parse_field_path(field.name(), context.names()));
    pattern.parts_.push_back({make_field_path(std::move(path)), direction < 0});
  }
  if (pattern.parts_.empty()) return Status(15976, "$sort stage must have at least one sort key");
  return pattern;
}

void SortPattern::key(EvalContext& context, Value* to) const {
  for (const Part& part : parts_) {
    Value value = part.value->evaluate(context);
    if (value.is_array()) value = array_key(value, part.descending);
    *to++ = value.is_missing() ? Value::null() : value;
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
