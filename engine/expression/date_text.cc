// $dateToString and $dateFromString.
#include "engine/document/extended_json.h"
#include "engine/expression/calendar.h"
#include "engine/expression/convert.h"
#include "engine/expression/date_parse.h"
#include "engine/expression/families.h"
#include "engine/expression/zone_argument.h"

namespace millrace::engine {
namespace {

// `format` given as an argument, prepared when it is constant.
class FormatArgument {
 public:
  FormatArgument() = default;
  // Errors of a constant format are errors of the pipeline.
  Status prepare(const NamedArguments& arguments, size_t index, bool reading, int type_code,
                 const char* name) {
    index_ = index;
    reading_ = reading;
    type_code_ = type_code;
    name_ = name;
    const Value* constant = arguments.constant(index);
    if (constant == nullptr || constant->is_nullish()) return {};
    try {
      prepared_ = parse(*constant);
    } catch (const EvaluationError& error) {
      return error.status();
    }
    return {};
  }
  // The format, kept in `scratch` if it is not constant; nullptr for null. Requires: it was given.
  const DatePattern* get(const NamedArguments& arguments, EvalContext& context,
                         DatePattern& scratch) const {
    if (prepared_) return &*prepared_;
    Value value = arguments.evaluate(index_, context);
    if (value.is_nullish()) return nullptr;
    scratch = parse(value);
    return &scratch;
  }

 private:
  DatePattern parse(const Value& value) const {
    if (!value.is_string()) {
      fail_evaluation(type_code_,
                      std::string(name_) + " requires that 'format' be a string, found: " +
                          std::string(value.type_name()) + " with value " + value_to_text(value));
    }
    auto format = DatePattern::parse(value.as_string(), reading_);
    if (!format.ok()) throw EvaluationError(format.status());
    return std::move(format).value();
  }

  size_t index_ = 0;
  bool reading_ = false;
  int type_code_ = 0;
  const char* name_ = "";
  std::optional<DatePattern> prepared_;
};

// ---- $dateToString

void append_padded(std::string& out, int64_t value, int width) {
  std::string digits = std::to_string(value);
  out.append(digits.size() < static_cast<size_t>(width) ? width - digits.size() : 0, '0')
      .append(digits);
}

void append_year(std::string& out, int64_t year) {
  if (year < 0 || year > 9999) {
    fail_evaluation(18537,
                    "Could not convert date to string: date component was outside the supported "
                    "range of 0-9999: " +
                        std::to_string(year));
  }
  append_padded(out, year, 4);
}

std::string format_date(int64_t ms, const DatePattern& format, const TimeZone& zone) {
  int64_t offset_ms = zone.offset_ms(ms);
  calendar::Parts parts = calendar::parts_from_ms(calendar::saturating_add(ms, offset_ms));
  int64_t day_of_year = parts.days - calendar::days_from_date(parts.date.year, 1, 1);
  int64_t offset_minutes = offset_ms / calendar::kMsPerMinute;
  std::string out;
  for (const DatePattern::Piece& piece : format.pieces) {
    switch (piece.specifier) {
      case 0:
        out += piece.literal;
        break;
      case 'Y':
        append_year(out, parts.date.year);
        break;
      case 'm':
        append_padded(out, parts.date.month, 2);
        break;
      case 'd':
        append_padded(out, parts.date.day, 2);
        break;
      case 'H':
        append_padded(out, parts.hour, 2);
        break;
      case 'M':
        append_padded(out, parts.minute, 2);
        break;
      case 'S':
        append_padded(out, parts.second, 2);
        break;
      case 'L':
        append_padded(out, parts.millisecond, 3);
        break;
      case 'j':
        append_padded(out, day_of_year + 1, 3);
        break;
      case 'w':
        append_padded(out, calendar::weekday(parts.days) + 1, 1);
        break;
      case 'U':
        append_padded(out, (day_of_year + 7 - calendar::weekday(parts.days)) / 7, 2);
        break;
      case 'G':
        append_year(out, calendar::iso_week(parts.days).year);
        break;
      case 'V':
        append_padded(out, calendar::iso_week(parts.days).week, 2);
        break;
      case 'u':
        append_padded(out, calendar::iso_weekday(parts.days), 1);
        break;
      case 'b':
        out += month_abbreviation(parts.date.month);
        break;
      case 'B':
        out += month_name(parts.date.month);
        break;
      case 'z':
        out += offset_ms < 0 ? '-' : '+';
        append_padded(out, std::abs(offset_minutes) / 60, 2);
        append_padded(out, std::abs(offset_minutes) % 60, 2);
        break;
      case 'Z':
        out += std::to_string(offset_minutes);
        break;
    }
  }
  return out;
}

class DateToStringExpression final : public Expression {
 public:
  static constexpr size_t kDate = 0;
  static constexpr size_t kFormat = 1;
  static constexpr size_t kZone = 2;
  static constexpr size_t kOnNull = 3;

  explicit DateToStringExpression(NamedArguments arguments)
      : arguments_(std::move(arguments)), zone_(arguments_, kZone) {}
  Status prepare() { return format_.prepare(arguments_, kFormat, false, 18533, "$dateToString"); }

  Value evaluate(EvalContext& context) const override {
    Value date = arguments_.evaluate(kDate, context);
    DatePattern scratch;
    const DatePattern* format = nullptr;
    if (arguments_.given(kFormat)) format = format_.get(arguments_, context, scratch);
    const TimeZone* zone = zone_.get(arguments_, context);
    // Of several nulls the date's counts: onNull is for that one alone.
    if (date.is_nullish())
      return arguments_.given(kOnNull) ? arguments_.evaluate(kOnNull, context) : Value::null();
    if (zone == nullptr || (format == nullptr && arguments_.given(kFormat))) return Value::null();
    int64_t ms = coerce_to_date(date);
    if (format != nullptr)
      return Value::string(context.arena->copy(format_date(ms, *format, *zone)));
    // ISO 8601: with "Z" in UTC, without a zone elsewhere.
    std::string_view text = date_to_text(zone->to_local(ms), *context.arena);
    if (arguments_.given(kZone) && !zone->is_utc()) text.remove_suffix(1);
    return Value::string(text);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  NamedArguments arguments_;
  ZoneArgument zone_;
  FormatArgument format_;
};

Result<ExpressionPtr> parse_date_to_string(std::string_view, const Value& operand,
                                           ParseContext& context) {
  const ArgumentRule rules[] = {{"date", 18628, "Missing 'date' parameter to $dateToString"},
                                {"format"},
                                {"timezone"},
                                {"onNull"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {18629, "$dateToString only supports an object as its argument",
                                18534, "Unrecognized argument to $dateToString: "},
                               context));
  bool constant = arguments.all_constant();
  auto node = std::make_unique<DateToStringExpression>(std::move(arguments));
  MR_RETURN_IF_ERROR(node->prepare());
  return fold_node(std::move(node), constant, context);
}

// ---- $dateFromString

class DateFromStringExpression final : public Expression {
 public:
  static constexpr size_t kText = 0;
  static constexpr size_t kFormat = 1;
  static constexpr size_t kZone = 2;
  static constexpr size_t kOnError = 3;
  static constexpr size_t kOnNull = 4;

  explicit DateFromStringExpression(NamedArguments arguments)
      : arguments_(std::move(arguments)),
        zone_(arguments_, kZone),
        plain_(!arguments_.given(kFormat) && !arguments_.given(kZone)) {}
  Status prepare() { return format_.prepare(arguments_, kFormat, true, 40684, "$dateFromString"); }

  Value evaluate(EvalContext& context) const override {
    Value text = arguments_.evaluate(kText, context);
    // The timeField of most streams: nothing but an ISO date.
    if (plain_ && text.is_string()) [[likely]] {
      if (auto ms = parse_iso_date(text.as_string())) return Value::date(*ms);
    }
    DatePattern scratch;
    const DatePattern* format = nullptr;
    if (arguments_.given(kFormat)) format = format_.get(arguments_, context, scratch);
    const TimeZone* zone = zone_.get(arguments_, context);
    if (text.is_nullish())
      return arguments_.given(kOnNull) ? arguments_.evaluate(kOnNull, context) : Value::null();
    // What is no string is an error even beside a null format or zone.
    bool nothing = zone == nullptr || (format == nullptr && arguments_.given(kFormat));
    if (nothing && text.is_string()) return Value::null();
    const TimeZone& its_zone = zone == nullptr ? TimeZone::utc() : *zone;
    if (!arguments_.given(kOnError)) return Value::date(parse(text, format, its_zone));
    try {
      return Value::date(parse(text, format, its_zone));
    } catch (const EvaluationError& error) {
      if (!error.status().is(ErrorCode::kConversionFailure)) throw;
    }
    return arguments_.evaluate(kOnError, context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  int64_t parse(const Value& text, const DatePattern* format, const TimeZone& zone) const {
    if (!text.is_string()) {
      fail_evaluation(ErrorCode::kConversionFailure,
                      "$dateFromString requires that 'dateString' be a string, found: " +
                          std::string(text.type_name()) + " with value " + value_to_text(text));
    }
    bool zone_given = arguments_.given(kZone);
    if (format != nullptr) return parse_formatted_date(text.as_string(), *format, zone, zone_given);
    return parse_date_text(text.as_string(), zone, zone_given);
  }

  NamedArguments arguments_;
  ZoneArgument zone_;
  FormatArgument format_;
  bool plain_;
};

Result<ExpressionPtr> parse_date_from_string(std::string_view, const Value& operand,
                                             ParseContext& context) {
  const ArgumentRule rules[] = {
      {"dateString", 40542, "Missing 'dateString' parameter to $dateFromString"},
      {"format"},
      {"timezone"},
      {"onError"},
      {"onNull"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {40540,
                                "$dateFromString only supports an object as an argument, found: " +
                                    std::string(operand.type_name()),
                                40541, "Unrecognized argument to $dateFromString: "},
                               context));
  bool constant = arguments.all_constant();
  auto node = std::make_unique<DateFromStringExpression>(std::move(arguments));
  MR_RETURN_IF_ERROR(node->prepare());
  return fold_node(std::move(node), constant, context);
}

// clang-format off
constexpr std::array kDateTextExpressions = {
    //             name               arguments  evaluate  parse                   manual page
    ExpressionRow{"$dateFromString", {1, 1},    nullptr,  parse_date_from_string, "aggregation/dateFromString"},
    ExpressionRow{"$dateToString",   {1, 1},    nullptr,  parse_date_to_string,   "aggregation/dateToString"},
};
// clang-format on
static_assert(sorted_and_unique(kDateTextExpressions));

}  // namespace

std::span<const ExpressionRow> date_text_expressions() { return kDateTextExpressions; }

}  // namespace millrace::engine
