// Date operators: parts of a date, dates from parts, arithmetic by calendar units. All in UTC
// unless a timezone is given.
#include <limits>
#include <optional>

#include "engine/document/decimal.h"
#include "engine/expression/calendar.h"
#include "engine/expression/convert.h"
#include "engine/expression/date_arithmetic.h"
#include "engine/expression/families.h"
#include "engine/expression/zone_argument.h"

namespace millrace::engine {
namespace {

std::string type_text(const Value& value) { return std::string(value.type_name()); }

// An integer of any number type; nullopt otherwise.
std::optional<int64_t> exact_int64(const Value& value) {
  switch (value.type()) {
    case Type::kInt32:
    case Type::kInt64:
      return value.integer_value();
    case Type::kDouble: {
      double d = value.as_double();
      if (d >= -0x1p63 && d < 0x1p63 && d == static_cast<double>(static_cast<int64_t>(d)))
        return static_cast<int64_t>(d);
      return std::nullopt;
    }
    case Type::kDecimal:
      return decimal::to_int64_exact(value.as_decimal());
    default:
      return std::nullopt;
  }
}

// ---- $year, $month, …: one part

using PartFunction = Value (*)(const calendar::Parts& parts);

Value year_of(const calendar::Parts& parts) {
  return Value::int32(static_cast<int32_t>(parts.date.year));
}
Value month_of(const calendar::Parts& parts) { return Value::int32(parts.date.month); }
Value day_of_month(const calendar::Parts& parts) { return Value::int32(parts.date.day); }
Value day_of_week(const calendar::Parts& parts) {
  return Value::int32(calendar::weekday(parts.days) + 1);
}
Value day_of_year(const calendar::Parts& parts) {
  return Value::int32(
      static_cast<int32_t>(parts.days - calendar::days_from_date(parts.date.year, 1, 1)) + 1);
}
// Week 1 begins with the year's first Sunday.
Value week_of(const calendar::Parts& parts) {
  auto day = static_cast<int32_t>(parts.days - calendar::days_from_date(parts.date.year, 1, 1));
  return Value::int32((day + 7 - calendar::weekday(parts.days)) / 7);
}
Value iso_day_of_week(const calendar::Parts& parts) {
  return Value::int32(calendar::iso_weekday(parts.days));
}
Value iso_week_of(const calendar::Parts& parts) {
  return Value::int32(calendar::iso_week(parts.days).week);
}
Value iso_week_year(const calendar::Parts& parts) {
  return Value::int64(calendar::iso_week(parts.days).year);
}
Value hour_of(const calendar::Parts& parts) { return Value::int32(parts.hour); }
Value minute_of(const calendar::Parts& parts) { return Value::int32(parts.minute); }
Value second_of(const calendar::Parts& parts) { return Value::int32(parts.second); }
Value millisecond_of(const calendar::Parts& parts) { return Value::int32(parts.millisecond); }

template <PartFunction kPart>
class DatePartExpression final : public Expression {
 public:
  static constexpr size_t kDate = 0;
  static constexpr size_t kZone = 1;

  DatePartExpression(std::string name, NamedArguments arguments)
      : name_(std::move(name)), arguments_(std::move(arguments)), zone_(arguments_, kZone) {}
  Value evaluate(EvalContext& context) const override {
    Value date = arguments_.evaluate(kDate, context);
    if (date.is_nullish()) return Value::null();
    int64_t ms = coerce_to_date(date);
    const TimeZone* zone = nullptr;
    try {
      zone = zone_.get(arguments_, context);
    } catch (const EvaluationError& error) {
      if (error.status().code() != 40517) throw;
      fail_evaluation(40517, name_ + " requires a string for the timezone argument: " +
                                 error.status().message());
    }
    if (zone == nullptr) return Value::null();
    return kPart(calendar::parts_from_ms(zone->to_local(ms)));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  std::string name_;
  NamedArguments arguments_;
  ZoneArgument zone_;
};

// {$year: <date>}, {$year: [<date>]} or {$year: {date: …, timezone: …}}.
template <PartFunction kPart>
Result<ExpressionPtr> parse_part(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  std::string text(name);
  std::vector<ExpressionPtr> parsed(2);
  bool named = operand.is_object() && (operand.as_object().empty() ||
                                       !operand.as_object().begin()->name().starts_with('$'));
  if (named) {
    for (const Field& field : operand.as_object()) {
      size_t i = field.name() == "date" ? 0 : (field.name() == "timezone" ? 1 : 2);
      if (i == 2)
        return Status(40535,
                      "unrecognized option to " + text + ": \"" + std::string(field.name()) + "\"");
      MR_ASSIGN_OR_RETURN(parsed[i], parse_expression(field.value, context));
    }
    if (parsed[0] == nullptr) return Status(40539, "missing 'date' argument to " + text);
  } else if (operand.is_array()) {
    size_t size = operand.as_array().size();
    if (size != 1)
      return Status(40536, text +
                               " accepts exactly one argument if given an array, but was given " +
                               std::to_string(size));
    MR_ASSIGN_OR_RETURN(parsed[0], parse_expression(operand.as_array().at(0), context));
  } else {
    MR_ASSIGN_OR_RETURN(parsed[0], parse_expression(operand, context));
  }
  NamedArguments arguments(std::move(parsed));
  bool constant = arguments.all_constant();
  return fold_node(
      std::make_unique<DatePartExpression<kPart>>(std::move(text), std::move(arguments)), constant,
      context);
}

// ---- $dateToParts

class DateToPartsExpression final : public Expression {
 public:
  explicit DateToPartsExpression(NamedArguments arguments)
      : arguments_(std::move(arguments)), zone_(arguments_, kZone) {}
  static constexpr size_t kDate = 0;
  static constexpr size_t kZone = 1;
  static constexpr size_t kIso = 2;

  Value evaluate(EvalContext& context) const override {
    Value date = arguments_.evaluate(kDate, context);
    const TimeZone* zone = zone_.get(arguments_, context);
    if (zone == nullptr) return Value::null();
    bool iso = false;
    if (arguments_.given(kIso)) {
      Value flag = arguments_.evaluate(kIso, context);
      if (flag.is_nullish()) return Value::null();
      if (!flag.is(Type::kBool))
        fail_evaluation(40521, "iso8601 must evaluate to a bool, found " + type_text(flag));
      iso = flag.as_bool();
    }
    if (date.is_nullish()) return Value::null();
    calendar::Parts parts = calendar::parts_from_ms(zone->to_local(coerce_to_date(date)));
    ObjectBuilder result(*context.arena, 7);
    if (iso) {
      calendar::IsoWeek week = calendar::iso_week(parts.days);
      result.add("isoWeekYear", Value::int32(static_cast<int32_t>(week.year)));
      result.add("isoWeek", Value::int32(week.week));
      result.add("isoDayOfWeek", Value::int32(calendar::iso_weekday(parts.days)));
    } else {
      result.add("year", Value::int32(static_cast<int32_t>(parts.date.year)));
      result.add("month", Value::int32(parts.date.month));
      result.add("day", Value::int32(parts.date.day));
    }
    result.add("hour", Value::int32(parts.hour));
    result.add("minute", Value::int32(parts.minute));
    result.add("second", Value::int32(parts.second));
    result.add("millisecond", Value::int32(parts.millisecond));
    return result.finish();
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  NamedArguments arguments_;
  ZoneArgument zone_;
};

Result<ExpressionPtr> parse_date_to_parts(std::string_view, const Value& operand,
                                          ParseContext& context) {
  const ArgumentRule rules[] = {
      {"date", 40522, "Missing 'date' parameter to $dateToParts"}, {"timezone"}, {"iso8601"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {40524, "$dateToParts only supports an object as its argument",
                                40520, "Unrecognized argument to $dateToParts: "},
                               context));
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<DateToPartsExpression>(std::move(arguments)), constant,
                   context);
}

// ---- $dateFromParts

// The arguments in the order in which they are checked; timezone first.
constexpr std::array<std::string_view, 11> kPartNames = {
    "timezone",    "year",    "month",        "day",    "hour",       "minute",
    "isoWeekYear", "isoWeek", "isoDayOfWeek", "second", "millisecond"};

class DateFromPartsExpression final : public Expression {
 public:
  enum Index : size_t {
    kZone,
    kYear,
    kMonth,
    kDay,
    kHour,
    kMinute,
    kIsoWeekYear,
    kIsoWeek,
    kIsoDayOfWeek,
    kSecond,
    kMillisecond
  };

  explicit DateFromPartsExpression(NamedArguments arguments)
      : arguments_(std::move(arguments)), zone_(arguments_, kZone) {}

  Value evaluate(EvalContext& context) const override {
    std::array<int64_t, kPartNames.size()> parts;
    // In the server's order: of several that are wrong its error is the first one's.
    for (size_t i : {kHour, kMinute, kSecond, kMillisecond}) {
      if (!read_part(i, 0, parts, context)) return Value::null();
    }
    const TimeZone* zone = zone_.get(arguments_, context);
    if (zone == nullptr) return Value::null();
    for (size_t i : {kYear, kMonth, kDay, kIsoWeekYear, kIsoWeek, kIsoDayOfWeek}) {
      if (!read_part(i, 1, parts, context)) return Value::null();
    }
    for (size_t i : {kYear, kIsoWeekYear}) check_year(i, parts[i]);
    int64_t days = 0;
    if (arguments_.given(kIsoWeekYear)) {
      days =
          calendar::days_from_iso_week(parts[kIsoWeekYear], parts[kIsoWeek], parts[kIsoDayOfWeek]);
    } else {
      int64_t month = parts[kYear] * 12 + parts[kMonth] - 1;
      days = calendar::days_from_date(calendar::floor_div(month, 12),
                                      static_cast<int>(calendar::floor_mod(month, 12)) + 1,
                                      parts[kDay]);
    }
    int64_t local = days * calendar::kMsPerDay + parts[kHour] * calendar::kMsPerHour +
                    parts[kMinute] * calendar::kMsPerMinute;
    int64_t second_ms = 0;
    int64_t microseconds = 0;  // the server counts in these on the way
    if (__builtin_mul_overflow(parts[kMillisecond], int64_t{1000}, &microseconds) ||
        __builtin_mul_overflow(parts[kSecond], calendar::kMsPerSecond, &second_ms) ||
        __builtin_add_overflow(local, second_ms, &local) ||
        __builtin_add_overflow(local, parts[kMillisecond], &local)) {
      fail_evaluation(
          159, "Overflow casting from a lower-precision duration to a higher-precision duration");
    }
    return Value::date(zone->to_utc(local));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  // False: it is null.
  bool read_part(size_t i, int64_t otherwise, std::span<int64_t> parts,
                 EvalContext& context) const {
    parts[i] = otherwise;
    if (!arguments_.given(i)) return true;
    Value value = arguments_.evaluate(i, context);
    if (value.is_nullish()) return false;
    parts[i] = checked_part(i, value);
    return true;
  }
  static void check_year(size_t i, int64_t year) {
    if (year >= 1 && year <= 9999) return;
    fail_evaluation(i == kYear ? 40523 : 31095,
                    "'" + std::string(kPartNames[i]) +
                        "' must evaluate to an integer in the range 1 to 9999, found " +
                        std::to_string(year));
  }
  static int64_t checked_part(size_t i, const Value& value) {
    std::string name = "'" + std::string(kPartNames[i]) + "'";
    auto number = exact_int64(value);
    if (!number)
      fail_evaluation(40515, name + " must evaluate to an integer, found " + type_text(value) +
                                 " with value " + value_to_text(value));
    bool wide = i == kYear || i == kIsoWeekYear || i == kSecond || i == kMillisecond;
    if (!wide && (*number < -32768 || *number > 32767)) {
      fail_evaluation(31034, name +
                                 " must evaluate to a value in the range [-32768, 32767]; value " +
                                 std::to_string(*number) + " is not in range");
    }
    return *number;
  }

  NamedArguments arguments_;
  ZoneArgument zone_;
};

Result<ExpressionPtr> parse_date_from_parts(std::string_view, const Value& operand,
                                            ParseContext& context) {
  std::vector<ArgumentRule> rules;
  for (std::string_view part : kPartNames) rules.push_back({part, 0, ""});
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {40519, "$dateFromParts only supports an object as its argument",
                                40518, "Unrecognized argument to $dateFromParts: "},
                               context));
  using E = DateFromPartsExpression;
  bool natural =
      arguments.given(E::kYear) || arguments.given(E::kMonth) || arguments.given(E::kDay);
  bool iso = arguments.given(E::kIsoWeekYear) || arguments.given(E::kIsoWeek) ||
             arguments.given(E::kIsoDayOfWeek);
  if (!arguments.given(E::kYear) && !arguments.given(E::kIsoWeekYear)) {
    return Status(40516, "$dateFromParts requires either 'year' or 'isoWeekYear' to be present");
  }
  if (arguments.given(E::kYear) && iso)
    return Status(40489, "$dateFromParts does not allow mixing natural dates with ISO dates");
  if (arguments.given(E::kIsoWeekYear) && natural)
    return Status(40525, "$dateFromParts does not allow mixing ISO dates with natural dates");
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<DateFromPartsExpression>(std::move(arguments)), constant,
                   context);
}

// ---- $dateAdd, $dateSubtract

class DateAddExpression final : public Expression {
 public:
  static constexpr size_t kStart = 0;
  static constexpr size_t kUnit = 1;
  static constexpr size_t kAmount = 2;
  static constexpr size_t kZone = 3;

  DateAddExpression(std::string name, NamedArguments arguments)
      : name_(std::move(name)), arguments_(std::move(arguments)), zone_(arguments_, kZone) {}
  Value evaluate(EvalContext& context) const override {
    Value start = arguments_.evaluate(kStart, context);
    if (start.is_nullish()) return Value::null();
    Value unit_value = arguments_.evaluate(kUnit, context);
    if (unit_value.is_nullish()) return Value::null();
    Value amount_value = arguments_.evaluate(kAmount, context);
    if (amount_value.is_nullish()) return Value::null();
    const TimeZone* zone = zone_.get(arguments_, context);
    if (zone == nullptr) return Value::null();
    auto start_ms = date_of(start);
    if (!start_ms)
      fail_evaluation(5166403, name_ + " requires startDate to be convertible to a date");
    if (!unit_value.is_string())
      fail_evaluation(5439013, name_ + " expects string defining the time unit");
    auto unit = parse_date_unit(unit_value.as_string());
    if (!unit)
      fail_evaluation(ErrorCode::kFailedToParse,
                      "unknown time unit value: " + std::string(unit_value.as_string()));
    auto amount = exact_int64(amount_value);
    if (!amount) fail_evaluation(5166405, name_ + " expects integer amount of time units");
    if (name_ == "$dateSubtract") {
      if (*amount == std::numeric_limits<int64_t>::min()) {
        fail_evaluation(
            6045000, "invalid $dateSubtract 'amount' parameter value: " + std::to_string(*amount));
      }
      amount = -*amount;
    }
    return Value::date(date_add(*start_ms, *unit, *amount, *zone));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  std::string name_;
  NamedArguments arguments_;
  ZoneArgument zone_;
};

Result<ExpressionPtr> parse_date_add(std::string_view name, const Value& operand,
                                     ParseContext& context) {
  std::string text(name);
  std::string required = text + " requires startDate, unit, and amount to be present";
  const ArgumentRule rules[] = {{"startDate", 5166402, required},
                                {"unit", 5166402, required},
                                {"amount", 5166402, required},
                                {"timezone"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(
          operand, rules,
          {5166400, text + " expects an object as its argument", 5166401,
           "Arguments of " + text + " are startDate, unit, amount and timezone, not "},
          context));
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<DateAddExpression>(std::move(text), std::move(arguments)),
                   constant, context);
}

// ---- $dateDiff, $dateTrunc

DateUnit unit_argument(const std::string& name, const Value& value) {
  if (!value.is_string())
    fail_evaluation(5439013, name + " requires 'unit' to be a string, but got " + type_text(value));
  auto unit = parse_date_unit(value.as_string());
  if (!unit)
    fail_evaluation(ErrorCode::kFailedToParse,
                    name + " parameter 'unit' value cannot be recognized as a time unit: " +
                        std::string(value.as_string()));
  return *unit;
}

int start_of_week_argument(const std::string& name, const Value& value) {
  if (!value.is_string())
    fail_evaluation(5439015,
                    name + " requires 'startOfWeek' to be a string, but got " + type_text(value));
  auto day = parse_weekday(value.as_string());
  if (!day) {
    fail_evaluation(
        5439016, name + " parameter 'startOfWeek' value cannot be recognized as a day of a week: " +
                     std::string(value.as_string()));
  }
  return *day;
}

// The zone with the operator's name before the reason of a failure.
const TimeZone* zone_of(const std::string& name, const ZoneArgument& zone,
                        const NamedArguments& arguments, EvalContext& context) {
  try {
    return zone.get(arguments, context);
  } catch (const EvaluationError& error) {
    fail_evaluation(error.status().code(),
                    name + " parameter 'timezone' value parsing failed :: caused by :: " +
                        error.status().message());
  }
}

class DateDiffExpression final : public Expression {
 public:
  static constexpr size_t kStart = 0;
  static constexpr size_t kEnd = 1;
  static constexpr size_t kUnit = 2;
  static constexpr size_t kZone = 3;
  static constexpr size_t kStartOfWeek = 4;

  explicit DateDiffExpression(NamedArguments arguments)
      : arguments_(std::move(arguments)), zone_(arguments_, kZone) {}
  Value evaluate(EvalContext& context) const override {
    static const std::string kName = "$dateDiff";
    Value start = arguments_.evaluate(kStart, context);
    if (start.is_nullish()) return Value::null();
    Value end = arguments_.evaluate(kEnd, context);
    if (end.is_nullish()) return Value::null();
    Value unit_value = arguments_.evaluate(kUnit, context);
    if (unit_value.is_nullish()) return Value::null();
    // Null anywhere is null; then the zone, the dates, and the names in the end (as 6.0.5 has it).
    bool weeks =
        unit_value.is_string() && parse_date_unit(unit_value.as_string()) == DateUnit::kWeek;
    Value day;
    if (weeks && arguments_.given(kStartOfWeek)) {
      day = arguments_.evaluate(kStartOfWeek, context);
      if (day.is_nullish()) return Value::null();
    }
    const TimeZone* zone = zone_of(kName, zone_, arguments_, context);
    if (zone == nullptr) return Value::null();
    int64_t from = date_argument("startDate", start);
    int64_t to = date_argument("endDate", end);
    DateUnit unit = unit_argument(kName, unit_value);
    int start_of_week = day.is_missing() ? 0 : start_of_week_argument(kName, day);
    return Value::int64(date_diff(from, to, unit, *zone, start_of_week));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  static int64_t date_argument(const char* argument, const Value& value) {
    auto ms = date_of(value);
    if (!ms)
      fail_evaluation(5166307, std::string("$dateDiff requires '") + argument +
                                   "' to be a date, but got " + type_text(value));
    return *ms;
  }
  NamedArguments arguments_;
  ZoneArgument zone_;
};

Result<ExpressionPtr> parse_date_diff(std::string_view, const Value& operand,
                                      ParseContext& context) {
  const ArgumentRule rules[] = {
      {"startDate", 5166303, "Missing 'startDate' parameter to $dateDiff"},
      {"endDate", 5166304, "Missing 'endDate' parameter to $dateDiff"},
      {"unit", 5166305, "Missing 'unit' parameter to $dateDiff"},
      {"timezone"},
      {"startOfWeek"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {5166301, "$dateDiff only supports an object as its argument",
                                5166302, "Unrecognized argument to $dateDiff: "},
                               context));
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<DateDiffExpression>(std::move(arguments)), constant, context);
}

class DateTruncExpression final : public Expression {
 public:
  static constexpr size_t kDate = 0;
  static constexpr size_t kUnit = 1;
  static constexpr size_t kBinSize = 2;
  static constexpr size_t kZone = 3;
  static constexpr size_t kStartOfWeek = 4;

  explicit DateTruncExpression(NamedArguments arguments)
      : arguments_(std::move(arguments)), zone_(arguments_, kZone) {}
  Value evaluate(EvalContext& context) const override {
    static const std::string kName = "$dateTrunc";
    // All are looked at for null before any is checked; a time zone is checked where it is read.
    Value date = arguments_.evaluate(kDate, context);
    if (date.is_nullish()) return Value::null();
    Value unit_value = arguments_.evaluate(kUnit, context);
    if (unit_value.is_nullish()) return Value::null();
    Value size = Value::int32(1);
    if (arguments_.given(kBinSize)) size = arguments_.evaluate(kBinSize, context);
    if (size.is_nullish()) return Value::null();
    const TimeZone* zone = zone_of(kName, zone_, arguments_, context);
    if (zone == nullptr) return Value::null();
    auto ms = date_of(date);
    if (!ms)
      fail_evaluation(5166307,
                      "$dateTrunc requires 'date' to be a date, but got " + type_text(date));
    DateUnit unit = unit_argument(kName, unit_value);
    int64_t bin_size = bin_size_argument(size);
    int start_of_week = 0;
    if (unit == DateUnit::kWeek && arguments_.given(kStartOfWeek)) {
      Value day = arguments_.evaluate(kStartOfWeek, context);
      if (day.is_nullish()) return Value::null();
      start_of_week = start_of_week_argument(kName, day);
    }
    return Value::date(date_trunc(*ms, unit, bin_size, *zone, start_of_week));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  static int64_t bin_size_argument(const Value& value) {
    auto size = exact_int64(value);
    if (!size) {
      fail_evaluation(5439017,
                      "$dateTrunc requires 'binSize' to be a 64-bit integer, but got value '" +
                          value_to_text(value) + "' of type " + type_text(value));
    }
    if (*size <= 0)
      fail_evaluation(5439018,
                      "$dateTrunc requires 'binSize' to be greater than 0, but got value " +
                          std::to_string(*size));
    return *size;
  }
  NamedArguments arguments_;
  ZoneArgument zone_;
};

Result<ExpressionPtr> parse_date_trunc(std::string_view, const Value& operand,
                                       ParseContext& context) {
  const ArgumentRule rules[] = {{"date", 5439009, "Missing 'date' parameter to $dateTrunc"},
                                {"unit", 5439010, "Missing 'unit' parameter to $dateTrunc"},
                                {"binSize"},
                                {"timezone"},
                                {"startOfWeek"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(
          operand, rules,
          {5439007, "$dateTrunc only supports an object as its argument", 5439008,
           "Arguments of $dateTrunc are date, unit, binSize, timezone and startOfWeek, not "},
          context));
  bool constant = arguments.all_constant();
  const Value* day = arguments.constant(DateTruncExpression::kStartOfWeek);
  if (!constant && arguments.given(DateTruncExpression::kStartOfWeek) && day != nullptr &&
      day->is_nullish())
    return make_constant(Value::null(), context);  // whatever the unit is, unlike one of a document
  return fold_node(std::make_unique<DateTruncExpression>(std::move(arguments)), constant, context);
}

// clang-format off
constexpr std::array kDateExpressions = {
    //             name              arguments  evaluate  parse                        manual page
    ExpressionRow{"$dateAdd",       {1, 1},    nullptr,  parse_date_add,              "aggregation/dateAdd"},
    ExpressionRow{"$dateDiff",      {1, 1},    nullptr,  parse_date_diff,             "aggregation/dateDiff"},
    ExpressionRow{"$dateFromParts", {1, 1},    nullptr,  parse_date_from_parts,       "aggregation/dateFromParts"},
    ExpressionRow{"$dateSubtract",  {1, 1},    nullptr,  parse_date_add,              "aggregation/dateSubtract"},
    ExpressionRow{"$dateToParts",   {1, 1},    nullptr,  parse_date_to_parts,         "aggregation/dateToParts"},
    ExpressionRow{"$dateTrunc",     {1, 1},    nullptr,  parse_date_trunc,            "aggregation/dateTrunc"},
    ExpressionRow{"$dayOfMonth",    {1, 1},    nullptr,  parse_part<day_of_month>,    "aggregation/dayOfMonth"},
    ExpressionRow{"$dayOfWeek",     {1, 1},    nullptr,  parse_part<day_of_week>,     "aggregation/dayOfWeek"},
    ExpressionRow{"$dayOfYear",     {1, 1},    nullptr,  parse_part<day_of_year>,     "aggregation/dayOfYear"},
    ExpressionRow{"$hour",          {1, 1},    nullptr,  parse_part<hour_of>,         "aggregation/hour"},
    ExpressionRow{"$isoDayOfWeek",  {1, 1},    nullptr,  parse_part<iso_day_of_week>, "aggregation/isoDayOfWeek"},
    ExpressionRow{"$isoWeek",       {1, 1},    nullptr,  parse_part<iso_week_of>,     "aggregation/isoWeek"},
    ExpressionRow{"$isoWeekYear",   {1, 1},    nullptr,  parse_part<iso_week_year>,   "aggregation/isoWeekYear"},
    ExpressionRow{"$millisecond",   {1, 1},    nullptr,  parse_part<millisecond_of>,  "aggregation/millisecond"},
    ExpressionRow{"$minute",        {1, 1},    nullptr,  parse_part<minute_of>,       "aggregation/minute"},
    ExpressionRow{"$month",         {1, 1},    nullptr,  parse_part<month_of>,        "aggregation/month"},
    ExpressionRow{"$second",        {1, 1},    nullptr,  parse_part<second_of>,       "aggregation/second"},
    ExpressionRow{"$week",          {1, 1},    nullptr,  parse_part<week_of>,         "aggregation/week"},
    ExpressionRow{"$year",          {1, 1},    nullptr,  parse_part<year_of>,         "aggregation/year"},
};
// clang-format on
static_assert(sorted_and_unique(kDateExpressions));

}  // namespace

std::span<const ExpressionRow> date_expressions() { return kDateExpressions; }

}  // namespace millrace::engine
