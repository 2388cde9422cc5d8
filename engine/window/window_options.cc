#include "engine/window/window_options.h"

#include <array>
#include <string>

#include "engine/document/decimal.h"

namespace millrace::engine {
namespace {

Status invalid(std::string message) {
  return Status(ErrorCode::kStreamProcessorInvalidOptions, std::move(message));
}

struct Unit {
  std::string_view name;
  std::string_view plural;
  int64_t ms;
};
constexpr std::array kUnits = {
    Unit{"ms", "ms", 1},
    Unit{"second", "seconds", 1000},
    Unit{"minute", "minutes", 60'000},
    Unit{"hour", "hours", 3'600'000},
    Unit{"day", "days", 86'400'000},
};

// Far beyond any use, and small enough that start + interval + lateness cannot overflow.
constexpr int64_t kMaxDurationMs = int64_t{1} << 58;
// More windows over one document than this are a mistake, and no memory would hold their results.
constexpr int64_t kMaxOverlap = 100'000;

std::optional<int64_t> whole_number(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  if (value.is(Type::kDecimal)) return decimal::to_int64_exact(value.as_decimal());
  if (!value.is(Type::kDouble)) return std::nullopt;
  double d = value.as_double();
  if (!(d > -9.0e18 && d < 9.0e18) || d != static_cast<double>(static_cast<int64_t>(d)))
    return std::nullopt;
  return static_cast<int64_t>(d);
}

struct OptionUse {
  std::string_view name;
  bool tumbling;
  bool hopping;
  bool session;
  bool required;
};
constexpr std::array kOptions = {
    //        option             tumbling hopping session required
    OptionUse{"boundary", true, true, true, false},
    OptionUse{"interval", true, true, false, true},
    OptionUse{"hopSize", false, true, false, true},
    OptionUse{"gap", false, false, true, true},
    OptionUse{"partitionBy", false, false, true, true},
    OptionUse{"pipeline", true, true, true, true},
    OptionUse{"offset", true, true, false, false},
    OptionUse{"idleTimeout", true, true, false, false},
    OptionUse{"allowedLateness", true, true, true, false},
};

bool allowed(const OptionUse& option, WindowKind kind) {
  switch (kind) {
    case WindowKind::kTumbling:
      return option.tumbling;
    case WindowKind::kHopping:
      return option.hopping;
    case WindowKind::kSession:
      return option.session;
  }
  return false;
}

Status check_fields(WindowKind kind, const std::string& stage, const Value& spec) {
  if (!spec.is_object()) return invalid(stage + " must be an object");
  for (const Field& field : spec.as_object()) {
    bool known = false;
    for (const OptionUse& option : kOptions)
      known = known || (option.name == field.name() && allowed(option, kind));
    if (!known) return invalid(stage + " has no option '" + std::string(field.name()) + "'");
  }
  for (const OptionUse& option : kOptions) {
    if (option.required && allowed(option, kind) && !spec.as_object().has(option.name)) {
      return invalid(stage + " needs the option '" + std::string(option.name) + "'");
    }
  }
  return {};
}

// One field path or one expression: {a: …, b: …} would group by a document that never equals a
// plain value.
Result<ExpressionPtr> parse_partition_by(const std::string& stage, const Value& spec,
                                         ParseContext& context) {
  if (spec.is_object() && spec.as_object().size() != 1) {
    return invalid(stage + ".partitionBy must be one field path or expression");
  }
  return parse_expression(spec, context);
}

}  // namespace

Result<int64_t> parse_duration(std::string_view what, const Value& spec, const DurationForm& form) {
  std::string name(what);
  if (form.zero && spec.is_number() && whole_number(spec) == 0) return 0;
  if (!spec.is_object()) {
    return invalid(name + " must be an object with '" + std::string(form.size_field) +
                   "' and 'unit'" + (form.zero ? ", or 0" : ""));
  }
  Value size = spec.as_object().get(form.size_field);
  Value unit = spec.as_object().get("unit");
  for (const Field& field : spec.as_object()) {
    if (field.name() != form.size_field && field.name() != "unit") {
      return invalid(name + " has no field '" + std::string(field.name()) + "'");
    }
  }
  if (size.is_missing()) return invalid(name + " needs '" + std::string(form.size_field) + "'");
  std::optional<int64_t> count = whole_number(size);
  const int64_t least = form.zero ? 0 : 1;
  if (!count || *count < least) {
    return invalid(name + "." + std::string(form.size_field) + " must be an integer of at least " +
                   std::to_string(least));
  }
  if (!unit.is_string()) return invalid(name + ".unit must be a string");
  for (const Unit& known : kUnits) {
    if (unit.as_string() != known.name && unit.as_string() != known.plural) continue;
    if (known.name == "day" && !form.days) break;
    if (*count > kMaxDurationMs / known.ms) return invalid(name + " is too long");
    return *count * known.ms;
  }
  return invalid(name + ".unit must be one of 'ms', 'second', 'minute', 'hour'" +
                 (form.days ? ", 'day'" : "") + ", not '" + std::string(unit.as_string()) + "'");
}

Result<WindowOptions> parse_window_options(WindowKind kind, std::string_view stage_name,
                                           const Value& spec, ParseContext& context) {
  std::string stage(stage_name);
  MR_RETURN_IF_ERROR(check_fields(kind, stage, spec));
  ObjectView fields = spec.as_object();
  WindowOptions options;
  if (Value boundary = fields.get("boundary"); !boundary.is_missing()) {
    if (!boundary.is_string() ||
        (boundary.as_string() != "eventTime" && boundary.as_string() != "processingTime")) {
      return invalid(stage + ".boundary must be 'eventTime' or 'processingTime'");
    }
    options.processing_time = boundary.as_string() == "processingTime";
  }
  if (options.processing_time) {
    for (std::string_view excluded : {"idleTimeout", "allowedLateness"}) {
      if (fields.has(excluded)) {
        return invalid(stage + ": '" + std::string(excluded) +
                       "' cannot be used with boundary 'processingTime'");
      }
    }
    options.allowed_lateness_ms = 0;
  }
  if (kind == WindowKind::kSession) {
    MR_ASSIGN_OR_RETURN(options.gap_ms, parse_duration(stage + ".gap", fields.get("gap")));
    MR_ASSIGN_OR_RETURN(options.partition_by,
                        parse_partition_by(stage, fields.get("partitionBy"), context));
  } else {
    MR_ASSIGN_OR_RETURN(options.interval_ms,
                        parse_duration(stage + ".interval", fields.get("interval")));
    options.hop_ms = options.interval_ms;
  }
  if (kind == WindowKind::kHopping) {
    MR_ASSIGN_OR_RETURN(options.hop_ms, parse_duration(stage + ".hopSize", fields.get("hopSize")));
    if (options.interval_ms / options.hop_ms > kMaxOverlap) {
      return invalid(stage + ".interval must not be more than " + std::to_string(kMaxOverlap) +
                     " times hopSize");
    }
  }
  if (Value offset = fields.get("offset"); !offset.is_missing()) {
    MR_ASSIGN_OR_RETURN(
        options.offset_ms,
        parse_duration(stage + ".offset", offset, {.size_field = "offsetFromUtc", .days = false}));
    options.offset_ms %= options.hop_ms;
  }
  if (Value lateness = fields.get("allowedLateness"); !lateness.is_missing()) {
    MR_ASSIGN_OR_RETURN(options.allowed_lateness_ms,
                        parse_duration(stage + ".allowedLateness", lateness, {.zero = true}));
  }
  if (Value idle = fields.get("idleTimeout"); !idle.is_missing()) {
    MR_ASSIGN_OR_RETURN(options.idle_timeout_ms,
                        parse_duration(stage + ".idleTimeout", idle, {.zero = true}));
  }
  options.pipeline = fields.get("pipeline");
  if (!options.pipeline.is_array()) return invalid(stage + ".pipeline must be an array of stages");
  return options;
}

}  // namespace millrace::engine
