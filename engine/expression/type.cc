// Type operators: what type a value has, and values of other types made from it.
#include <optional>

#include "engine/expression/convert.h"
#include "engine/expression/extended_json_values.h"
#include "engine/expression/families.h"
#include "engine/expression/named_arguments.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

Value eval_type(EvalContext&, std::span<const Value> arguments) {
  return Value::string(arguments[0].type_name());
}
Value eval_is_number(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(arguments[0].is_number());
}

// Codes of $subtype: not documented; TypeMismatch is the closest.
Value eval_subtype(EvalContext&, std::span<const Value> arguments) {
  if (arguments[0].is_nullish()) return Value::null();
  if (!arguments[0].is(Type::kBinData)) {
    fail_evaluation(10389300, "$subtype requires a binData argument, found: " +
                                  std::string(arguments[0].type_name()));
  }
  return Value::int32(arguments[0].binary_subtype());
}

// ---- $toInt, $toDate, …: $convert without options

template <Type kTarget>
Value eval_to(EvalContext& context, std::span<const Value> arguments) {
  if (arguments[0].is_nullish()) return Value::null();
  static const ConvertOptions kOptions{.format = ConvertOptions::Format::kAuto};
  return convert(arguments[0], kTarget, kOptions, *context.arena);
}

// A string's UUID; a UUID stays as it is.
Value eval_to_uuid(EvalContext& context, std::span<const Value> arguments) {
  if (arguments[0].is_nullish()) return Value::null();
  static const ConvertOptions kOptions{.subtype = 4, .format = ConvertOptions::Format::kUuid};
  return convert(arguments[0], Type::kBinData, kOptions, *context.arena);
}

template <EagerFunction kEvaluate>
Result<ExpressionPtr> parse_shorthand(std::string_view name, const Value& operand,
                                      ParseContext& context) {
  if (operand.is_array() && operand.as_array().size() != 1) {
    return Status(50723, std::string(name) + " requires a single argument, got " +
                             std::to_string(operand.as_array().size()));
  }
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {1, 1}, context));
  return make_call(kEvaluate, std::move(arguments), true, context);
}

// ---- $convert

ConvertOptions::Format format_from_value(const Value& value) {
  using Format = ConvertOptions::Format;
  if (!value.is_string())
    fail_evaluation(4341114, "$convert requires that 'format' be a string, found: " +
                                 std::string(value.type_name()));
  std::string_view text = value.as_string();
  if (text == "base64") return Format::kBase64;
  if (text == "base64url") return Format::kBase64Url;
  if (text == "hex") return Format::kHex;
  if (text == "uuid") return Format::kUuid;
  if (text == "utf8") return Format::kUtf8;
  if (text == "auto") return Format::kAuto;
  fail_evaluation(4341125, "Invalid 'format' argument for $convert: " + std::string(text));
}

bool big_endian_from_value(const Value& value) {
  if (!value.is_string())
    fail_evaluation(9130001, "$convert requires that 'byteOrder' be a string, found: " +
                                 std::string(value.type_name()));
  if (value.as_string() != "big" && value.as_string() != "little") {
    fail_evaluation(9130002,
                    "$convert requires that 'byteOrder' be \"big\" or \"little\", found: " +
                        std::string(value.as_string()));
  }
  return value.as_string() == "big";
}

int base_from_value(const Value& value) {
  auto base = whole_int64(value);
  if (!base)
    fail_evaluation(
        3501300, "$convert requires that 'base' be a whole number, found: " + value_to_text(value));
  if (*base != 2 && *base != 8 && *base != 10 && *base != 16)
    fail_evaluation(
        3501301, "$convert requires that 'base' be 2, 8, 10 or 16, found: " + value_to_text(value));
  return static_cast<int>(*base);
}

int subtype_from_value(const Value& value) {
  if (!value.is_number())
    fail_evaluation(4341108, "$convert requires that 'subtype' be a number, found: " +
                                 std::string(value.type_name()));
  double subtype = value.to_double();
  if (subtype != std::trunc(subtype))
    fail_evaluation(4341106, "$convert requires that 'subtype' be a whole number, found: " +
                                 value_to_text(value));
  constexpr int kLastDefined = 9;
  constexpr int kFirstOfUsers = 128;
  if (!(subtype >= 0 && subtype <= 255) || (subtype > kLastDefined && subtype < kFirstOfUsers)) {
    fail_evaluation(
        4341107,
        "In $convert, numeric value for 'subtype' does not correspond to a BinData subtype: " +
            value_to_text(value));
  }
  return static_cast<int>(subtype);
}

class ConvertExpression final : public Expression {
 public:
  enum Index : size_t { kInput, kTo, kFormat, kByteOrder, kBase, kOnError, kOnNull };
  // What `to` and the options ask for; `type` is not set for a `to` that is null.
  struct Target {
    std::optional<Type> type;
    ConvertOptions options;
  };

  explicit ConvertExpression(NamedArguments arguments) : arguments_(std::move(arguments)) {}

  // Reads a constant target once. What is wrong with it is the pipeline's fault.
  Status prepare() {
    for (size_t i : {kTo, kFormat, kByteOrder, kBase}) {
      if (arguments_.given(i) && arguments_.constant(i) == nullptr) return {};
    }
    Arena scratch;
    EvalContext context;
    context.arena = &scratch;
    try {
      prepared_ = target(context);
    } catch (const EvaluationError& error) {
      return error.status();
    }
    return {};
  }

  Value evaluate(EvalContext& context) const override {
    Value input = arguments_.evaluate(kInput, context);
    Target evaluated;
    if (!prepared_) evaluated = target(context);
    const Target& wanted = prepared_ ? *prepared_ : evaluated;
    if (input.is_nullish())
      return arguments_.given(kOnNull) ? arguments_.evaluate(kOnNull, context) : Value::null();
    if (!wanted.type) return Value::null();
    if (!arguments_.given(kOnError))
      return convert(input, *wanted.type, wanted.options, *context.arena);
    try {
      return convert(input, *wanted.type, wanted.options, *context.arena);
    } catch (const EvaluationError& error) {
      constexpr int kYearOutOfRange = 18537;
      if (!error.status().is(ErrorCode::kConversionFailure) &&
          error.status().code() != kYearOutOfRange)
        throw;
    }
    return arguments_.evaluate(kOnError, context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  Target target(EvalContext& context) const {
    Target wanted;
    Value to = arguments_.evaluate(kTo, context);
    if (to.is_object()) {
      for (const Field& field : to.as_object()) {
        if (field.name() == "subtype") {
          wanted.options.subtype = subtype_from_value(field.value);
        } else if (field.name() != "type") {
          fail_evaluation(ErrorCode::kFailedToParse,
                          "$convert found an unknown argument: to." + std::string(field.name()));
        }
      }
      to = to.as_object().get("type");
      if (to.is_missing())
        fail_evaluation(ErrorCode::kFailedToParse,
                        "Missing 'type' field of the 'to' argument of $convert");
    }
    if (!to.is_nullish()) wanted.type = type_from_value(to);
    if (Value format = arguments_.evaluate(kFormat, context); !format.is_nullish())
      wanted.options.format = format_from_value(format);
    if (Value order = arguments_.evaluate(kByteOrder, context); !order.is_nullish())
      wanted.options.big_endian = big_endian_from_value(order);
    if (Value base = arguments_.evaluate(kBase, context); !base.is_nullish())
      wanted.options.base = base_from_value(base);
    return wanted;
  }

  NamedArguments arguments_;
  std::optional<Target> prepared_;
};

Result<ExpressionPtr> parse_convert(std::string_view, const Value& operand, ParseContext& context) {
  constexpr int kFailedToParse = static_cast<int>(ErrorCode::kFailedToParse);
  const ArgumentRule rules[] = {{"input", kFailedToParse, "Missing 'input' parameter to $convert"},
                                {"to", kFailedToParse, "Missing 'to' parameter to $convert"},
                                {"format"},
                                {"byteOrder"},
                                {"base"},
                                {"onError"},
                                {"onNull"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {kFailedToParse,
                                "$convert expects an object of named arguments but found: " +
                                    std::string(operand.type_name()),
                                kFailedToParse, "$convert found an unknown argument: "},
                               context));
  bool constant = arguments.all_constant();
  auto node = std::make_unique<ConvertExpression>(std::move(arguments));
  MR_RETURN_IF_ERROR(node->prepare());
  return fold_node(std::move(node), constant, context);
}

// clang-format off
constexpr std::array kTypeExpressions = {
    //             name                 arguments  evaluate        parse                                     manual page
    ExpressionRow{"$convert",          {1, 1},    nullptr,        parse_convert,                            "aggregation/convert"},
    ExpressionRow{"$deserializeEJSON", {1, 1},    nullptr,        parse_deserialize_ejson,                  "aggregation/deserializeEJSON"},
    ExpressionRow{"$isNumber",         {1, 1},    eval_is_number, nullptr,                                  "aggregation/isNumber"},
    ExpressionRow{"$serializeEJSON",   {1, 1},    nullptr,        parse_serialize_ejson,                    "aggregation/serializeEJSON"},
    ExpressionRow{"$subtype",          {1, 1},    eval_subtype,   nullptr,                                  "aggregation/subtype"},
    ExpressionRow{"$toArray",          {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kArray>>,    "aggregation/toArray"},
    ExpressionRow{"$toBool",           {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kBool>>,     "aggregation/toBool"},
    ExpressionRow{"$toDate",           {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kDate>>,     "aggregation/toDate"},
    ExpressionRow{"$toDecimal",        {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kDecimal>>,  "aggregation/toDecimal"},
    ExpressionRow{"$toDouble",         {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kDouble>>,   "aggregation/toDouble"},
    ExpressionRow{"$toInt",            {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kInt32>>,    "aggregation/toInt"},
    ExpressionRow{"$toLong",           {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kInt64>>,    "aggregation/toLong"},
    ExpressionRow{"$toObject",         {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kObject>>,   "aggregation/toObject"},
    ExpressionRow{"$toObjectId",       {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kObjectId>>, "aggregation/toObjectId"},
    ExpressionRow{"$toString",         {1, 1},    nullptr,        parse_shorthand<eval_to<Type::kString>>,   "aggregation/toString"},
    ExpressionRow{"$toUUID",           {1, 1},    nullptr,        parse_shorthand<eval_to_uuid>,             "aggregation/toUUID"},
    ExpressionRow{"$type",             {1, 1},    eval_type,      nullptr,                                  "aggregation/type"},
};
// clang-format on
static_assert(sorted_and_unique(kTypeExpressions));

}  // namespace

std::span<const ExpressionRow> type_expressions() { return kTypeExpressions; }

}  // namespace millrace::engine
