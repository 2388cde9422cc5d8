#include "commands/local/window_bounds.h"

#include <algorithm>
#include <array>

#include "commands/local/index_keys.h"
#include "engine/document/compare.h"
#include "engine/expression/number.h"
#include "engine/expression/registry.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::EvalContext;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

Status bad(std::string text) { return Status(ErrorCode::kFailedToParse, std::move(text)); }

Result<WindowBounds::Bound> parse_bound(const Value& spec, bool range, bool with_unit,
                                        engine::ParseContext& parse) {
  WindowBounds::Bound bound;
  if (spec.is_string() && spec.as_string() == "unbounded") return bound;
  if (spec.is_string() && spec.as_string() == "current") {
    bound.kind = WindowBounds::Kind::kCurrent;
    return bound;
  }
  if (spec.is_string()) return bad("Window bounds must be 'unbounded', 'current', or a number.");
  bound.kind = WindowBounds::Kind::kOffset;
  MR_ASSIGN_OR_RETURN(auto expression, engine::parse_expression(spec, parse));
  if (expression->constant() == nullptr)
    return bad("A window bound must be a constant: " + shell_text(spec));
  const Value& value = *expression->constant();
  auto whole = engine::whole_int64(value);
  if (!range || with_unit) {
    if (!whole) {
      return bad(range ? "With 'unit', range-based bounds must be an integer"
                       : "Numeric document-based bounds must be an integer");
    }
    bound.documents = *whole;
  } else if (!value.is_number()) {
    return bad("Range-based bounds expression must be a number");
  }
  bound.offset = engine::deep_copy(value, parse.constants());
  return bound;
}

Result<std::array<Value, 2>> two_bounds(const Value& spec, std::string_view name) {
  if (!spec.is_array() || spec.as_array().size() != 2) {
    return bad("Window bounds must be a 2-element array: " + std::string(name) + ": " +
               shell_text(spec));
  }
  return std::array<Value, 2>{spec.as_array().at(0), spec.as_array().at(1)};
}

Status check_options(const Value& spec) {
  auto fields = spec.as_object();
  if (fields.has("documents") && fields.has("range"))
    return bad("Window bounds can specify either 'documents' or 'unit', not both.");
  if (fields.has("documents") && fields.has("unit"))
    return bad("Window bounds can only specify 'unit' with range-based bounds.");
  if (fields.has("documents") && fields.size() > 1)
    return bad("'window' field that specifies documents cannot have other fields");
  for (const auto& field : fields) {
    if (field.has_name("documents") || field.has_name("range") || field.has_name("unit")) continue;
    return bad(fields.has("range")
                   ? "'window' field that specifies range cannot have other fields besides 'unit'"
                   : "'window' field can only contain 'documents' as the only argument or 'range' "
                     "with an optional 'unit' field");
  }
  if (fields.has("unit") && !fields.has("range"))
    return bad("'window' field that specifies 'unit' must also specify 'range'");
  return {};
}

}  // namespace

Status WindowBounds::check_order() const {
  auto place = [](const Bound& bound) {
    return bound.kind == Kind::kOffset ? bound.offset : Value::int32(0);
  };
  if (lower_.kind == Kind::kUnbounded || upper_.kind == Kind::kUnbounded) return {};
  if (engine::compare(place(lower_), place(upper_)) <= 0) return {};
  auto text = [&](const Bound& bound) {
    return bound.kind == Kind::kCurrent ? "\"current\"" : shell_text(bound.offset);
  };
  return Status(5339900, "Lower bound must not exceed upper bound: [" + text(lower_) + ", " +
                             text(upper_) + "]");
}

bool WindowBounds::has_current() const {
  Value zero = Value::int32(0);
  bool from = lower_.kind != Kind::kOffset || engine::compare(lower_.offset, zero) <= 0;
  return from && (upper_.kind != Kind::kOffset || engine::compare(upper_.offset, zero) >= 0);
}

Result<WindowBounds> WindowBounds::parse(const Value& spec, const WindowSort& sort,
                                         engine::ParseContext& parse) {
  WindowBounds bounds;
  if (spec.is_missing()) return bounds;
  if (!spec.is_object()) return bad("'window' field must be an object");
  MR_RETURN_IF_ERROR(check_options(spec));
  auto fields = spec.as_object();
  bounds.range_ = fields.has("range");
  if (!bounds.range_ && !fields.has("documents")) return bounds;
  if (Value unit = fields.get("unit"); !unit.is_missing()) {
    if (!unit.is_string()) return bad("'unit' must be a string");
    bounds.unit_ = engine::parse_date_unit(unit.as_string());
    if (!bounds.unit_) return bad("unknown time unit value: " + std::string(unit.as_string()));
  }
  std::string_view name = bounds.range_ ? "range" : "documents";
  MR_ASSIGN_OR_RETURN(auto both, two_bounds(fields.get(name), name));
  MR_ASSIGN_OR_RETURN(bounds.lower_,
                      parse_bound(both[0], bounds.range_, bounds.unit_.has_value(), parse));
  MR_ASSIGN_OR_RETURN(bounds.upper_,
                      parse_bound(both[1], bounds.range_, bounds.unit_.has_value(), parse));
  MR_RETURN_IF_ERROR(bounds.check_order());
  if (bounds.range_ && !sort.single())
    return Status(5339902, "Range-based bounds require sortBy a single field");
  if (bounds.range_ && sort.descending)
    return Status(8947401, "Range-based bounds require an ascending sortBy");
  if (!bounds.range_ && !bounds.whole() && !sort.given)
    return Status(5339901, "Document-based bounds require a sortBy");
  return bounds;
}

WindowBounds::Interval WindowBounds::documents_at(size_t index, size_t count) const {
  auto end = static_cast<int64_t>(count);
  auto at = [&](const Bound& bound, int64_t unbounded) {
    if (bound.kind == Kind::kUnbounded) return unbounded;
    int64_t offset = bound.kind == Kind::kOffset ? std::clamp(bound.documents, -end, end) : 0;
    return static_cast<int64_t>(index) + offset;
  };
  int64_t first = std::clamp<int64_t>(at(lower_, 0), 0, end);
  int64_t last = std::clamp<int64_t>(at(upper_, end - 1) + 1, 0, end);
  return {static_cast<size_t>(first), static_cast<size_t>(std::max(first, last))};
}

Value WindowBounds::moved(const Value& base, const Bound& bound, EvalContext& eval) const {
  if (unit_) {
    return Value::date(
        engine::date_add(base.as_date(), *unit_, bound.documents, engine::TimeZone::utc()));
  }
  std::array<Value, 2> both = {base, bound.offset};
  return engine::find_expression("$add")->evaluate(eval, both);
}

std::vector<WindowBounds::Interval> WindowBounds::intervals(const WindowPartition& partition,
                                                            EvalContext& eval) const {
  size_t count = partition.documents.size();
  std::vector<Interval> intervals;
  intervals.reserve(count);
  if (!range_ || whole()) {
    for (size_t i = 0; i < count; ++i) intervals.push_back(documents_at(i, count));
    return intervals;
  }
  // "current" is the document itself, and not those of the same value beside it (6.0.5).
  const auto& values = partition.sort_values;
  size_t first = 0;
  size_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    const Value& base = values[i];
    if (unit_ && !base.is(Type::kDate)) {
      engine::fail_evaluation(5429513,
                              "Invalid range: Expected the sortBy field to be a Date, but it was " +
                                  std::string(base.type_name()));
    }
    if (!unit_ && base.is(Type::kDate)) {
      engine::fail_evaluation(5429413,
                              "Invalid range: For windows that involve date or time ranges, a "
                              "unit must be provided.");
    }
    if (!unit_ && !base.is_number()) {
      engine::fail_evaluation(
          5429414, "Invalid range: Expected the sortBy field to be a number, but it was " +
                       std::string(base.type_name()));
    }
    if (lower_.kind == Kind::kCurrent) {
      first = i;
    } else if (lower_.kind == Kind::kOffset) {
      Value from = moved(base, lower_, eval);
      while (first < count && engine::compare(values[first], from) < 0) ++first;
    }
    if (upper_.kind == Kind::kUnbounded) {
      last = count;
    } else if (upper_.kind == Kind::kCurrent) {
      last = i + 1;
    } else {
      Value to = moved(base, upper_, eval);
      while (last < count && engine::compare(values[last], to) <= 0) ++last;
    }
    intervals.push_back({first, std::max(first, last)});
  }
  return intervals;
}

}  // namespace millrace::commands
