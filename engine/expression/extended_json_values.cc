#include "engine/expression/extended_json_values.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/document/base64.h"
#include "engine/document/bson.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"
#include "engine/expression/convert.h"
#include "engine/expression/limits.h"
#include "engine/expression/named_arguments.h"

namespace millrace::engine {
namespace {

// Levels of a value that stands in a field of a document.
constexpr int kMaxValueDepth = kMaxNestingDepth - 1;
constexpr int64_t kFirstMsOfYear10000 = 253'402'300'800'000;

[[noreturn]] void fail_conversion(std::string_view name, const std::string& why) {
  fail_evaluation(ErrorCode::kConversionFailure, std::string(name) + " failed: " + why);
}

// Values as their Extended JSON.
class Serializer {
 public:
  Serializer(bool relaxed, Arena& arena) : relaxed_(relaxed), arena_(arena) {}

  // `depth`: levels of objects and arrays around the value.
  Value value(const Value& v, int depth) {
    switch (v.type()) {
      case Type::kMissing:
      case Type::kNull:
        return Value::null();
      case Type::kBool:
      case Type::kString:
        return v;
      case Type::kObject: {
        check(depth + 1);
        ObjectBuilder object(arena_);
        for (const Field& field : v.as_object())
          object.add(field.name(), value(field.value, depth + 1));
        return object.finish();
      }
      case Type::kArray: {
        check(depth + 1);
        ArrayBuilder array(arena_);
        for (const Value& element : v.as_array()) array.add(value(element, depth + 1));
        return array.finish();
      }
      default:
        return scalar(v, depth);
    }
  }

 private:
  void check(int depth) const {
    if (depth > kMaxValueDepth)
      fail_conversion("$serializeEJSON", "the result is nested too deeply");
  }
  Value wrap(int depth, std::string_view key, Value inner) {
    check(depth + 1);
    return Value::object({arena_.make<Field>(key, inner), 1});
  }
  Value pair(int depth, std::string_view first_key, Value first, std::string_view second_key,
             Value second) {
    check(depth + 1);
    ObjectBuilder object(arena_, 2);
    object.add(first_key, first);
    object.add(second_key, second);
    return object.finish();
  }
  Value text(std::string_view text) { return Value::string(arena_.copy(text)); }

  Value scalar(const Value& v, int depth) {
    switch (v.type()) {
      case Type::kInt32:
        if (relaxed_) return v;
        return wrap(depth, "$numberInt", text(std::to_string(v.as_int32())));
      case Type::kInt64:
        if (relaxed_) return v;
        return wrap(depth, "$numberLong", text(std::to_string(v.as_int64())));
      case Type::kDouble:
        return number(v, depth);
      case Type::kDecimal:
        return wrap(depth, "$numberDecimal", text(decimal::to_string(v.as_decimal())));
      case Type::kDate:
        return date(v, depth);
      case Type::kObjectId:
        return wrap(depth, "$oid", text(v.as_object_id().to_hex()));
      case Type::kBinData:
        return binary(v, depth);
      case Type::kTimestamp:
        return wrap(depth, "$timestamp",
                    pair(depth + 1, "t", Value::integer(v.timestamp_seconds()), "i",
                         Value::integer(v.timestamp_increment())));
      case Type::kRegex:
        return wrap(depth, "$regularExpression",
                    pair(depth + 1, "pattern", text(v.as_regex().pattern), "options",
                         text(v.as_regex().options)));
      case Type::kDBPointer: {
        DBPointerParts parts = v.as_db_pointer();
        return wrap(depth, "$dbPointer",
                    pair(depth + 1, "$ref", text(parts.ns), "$id",
                         wrap(depth + 2, "$oid", text(parts.id->to_hex()))));
      }
      case Type::kCode:
        return wrap(depth, "$code", text(v.as_string()));
      case Type::kCodeWScope: {
        CodeWScopeParts parts = v.as_code_w_scope();
        return pair(depth, "$code", text(parts.code), "$scope", value(parts.scope, depth + 1));
      }
      case Type::kSymbol:
        return wrap(depth, "$symbol", text(v.as_string()));
      case Type::kUndefined:
        return wrap(depth, "$undefined", Value::boolean(true));
      case Type::kMinKey:
        return wrap(depth, "$minKey", Value::int32(1));
      default:
        return wrap(depth, "$maxKey", Value::int32(1));
    }
  }
  // Whole numbers without a fraction: "1", not "1.0".
  Value number(const Value& v, int depth) {
    double d = v.as_double();
    if (!std::isfinite(d)) return wrap(depth, "$numberDouble", text(double_to_text(d)));
    if (relaxed_) return v;
    std::string shortest = fmt::format("{}", d);
    if (shortest.ends_with(".0")) shortest.resize(shortest.size() - 2);
    return wrap(depth, "$numberDouble", text(shortest));
  }
  Value date(const Value& v, int depth) {
    int64_t ms = v.as_date();
    if (relaxed_ && ms >= 0 && ms < kFirstMsOfYear10000)
      return wrap(depth, "$date", Value::string(date_to_text(ms, arena_)));
    return wrap(depth, "$date", wrap(depth + 1, "$numberLong", text(std::to_string(ms))));
  }
  Value binary(const Value& v, int depth) {
    std::string_view bytes = v.as_string();
    // BSON repeats the length in front of the bytes of subtype 2; JSON does not show it.
    if (v.binary_subtype() == 2 && bytes.size() >= 4) bytes.remove_prefix(4);
    char* to = static_cast<char*>(arena_.allocate(base64_size(bytes.size()), 1));
    std::string_view encoded(to, base64_encode(bytes, to) - to);
    return wrap(depth, "$binary",
                pair(depth + 1, "base64", Value::string(encoded), "subType",
                     text(fmt::format("{:02x}", v.binary_subtype()))));
  }

  bool relaxed_;
  Arena& arena_;
};

// The value that Extended JSON stands for.
Value deserialize(const Value& v, int depth, Arena& arena) {
  if (!v.is_object() && !v.is_array()) return v.is_missing() ? Value::null() : v;
  if (depth > kMaxNestingDepth)
    fail_conversion("$deserializeEJSON", "the input is nested too deeply");
  if (v.is_array()) {
    ArrayBuilder array(arena);
    for (const Value& element : v.as_array()) array.add(deserialize(element, depth + 1, arena));
    return array.finish();
  }
  ObjectBuilder object(arena);
  for (const Field& field : v.as_object())
    object.add(field.name(), deserialize(field.value, depth + 1, arena));
  Value plain = object.finish();
  if (object.size() == 0 || !object.at(0).name().starts_with('$')) return plain;
  auto special = special_from_fields(plain.tree_fields(), arena);
  if (!special.ok()) fail_conversion("$deserializeEJSON", special.status().message());
  return special->is_missing() ? plain : *special;
}

class EjsonExpression final : public Expression {
 public:
  enum Index : size_t { kInput, kOnError, kRelaxed };
  EjsonExpression(NamedArguments arguments, bool serialize)
      : arguments_(std::move(arguments)), serialize_(serialize) {}
  Value evaluate(EvalContext& context) const override {
    Value input = checked_size(arguments_.evaluate(kInput, context));
    bool relaxed = serialize_ && arguments_.given(kRelaxed) &&
                   relaxed_from_value(arguments_.evaluate(kRelaxed, context));
    try {
      return serialize_ ? Serializer(relaxed, *context.arena).value(input, 0)
                        : deserialize(input, 1, *context.arena);
    } catch (const EvaluationError& error) {
      if (!arguments_.given(kOnError) || !error.status().is(ErrorCode::kConversionFailure)) throw;
    }
    return arguments_.evaluate(kOnError, context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

  static bool relaxed_from_value(const Value& value) {
    if (value.is_nullish()) return false;
    if (!value.is(Type::kBool))
      fail_evaluation(ErrorCode::kBadValue,
                      "Unexpected value for relaxed: " + value_to_text(value));
    return value.as_bool();
  }

 private:
  NamedArguments arguments_;
  bool serialize_;
};

Result<ExpressionPtr> parse(std::string_view name, const Value& operand, bool serialize,
                            ParseContext& context) {
  constexpr int kFailedToParse = static_cast<int>(ErrorCode::kFailedToParse);
  const std::string text(name);
  const ArgumentRule rules[] = {
      {"input", kFailedToParse, "Missing 'input' parameter to " + text}, {"onError"}, {"relaxed"}};
  NamedArgumentErrors errors{
      kFailedToParse,
      text + " expects an object of named arguments but found: " + std::string(operand.type_name()),
      kFailedToParse, text + " found an unknown argument: "};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, std::span(rules, serialize ? 3 : 2), errors, context));
  if (serialize && arguments.constant(EjsonExpression::kRelaxed) != nullptr) {
    try {
      EjsonExpression::relaxed_from_value(*arguments.constant(EjsonExpression::kRelaxed));
    } catch (const EvaluationError& error) {
      return error.status();
    }
  }
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<EjsonExpression>(std::move(arguments), serialize), constant,
                   context);
}

}  // namespace

Result<ExpressionPtr> parse_serialize_ejson(std::string_view name, const Value& operand,
                                            ParseContext& context) {
  return parse(name, operand, true, context);
}

Result<ExpressionPtr> parse_deserialize_ejson(std::string_view name, const Value& operand,
                                              ParseContext& context) {
  return parse(name, operand, false, context);
}

}  // namespace millrace::engine
