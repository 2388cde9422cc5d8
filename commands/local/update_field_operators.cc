// Update operators on one field: $set, $inc and their like. $rename works on two paths and stands
// in update.cc.
#include "commands/local/index_keys.h"
#include "commands/local/update_operator.h"
#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/number.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

// ---- $set, $setOnInsert, $unset

class SetAction final : public UpdateAction {
 public:
  SetAction(Value value, bool on_insert) : value_(value), on_insert_(on_insert) {}
  Absent absent() const override { return Absent::kCreate; }
  bool only_on_insert() const override { return on_insert_; }
  Result<Value> apply(const Value&, const UpdateTarget&) const override { return value_; }

 private:
  Value value_;
  bool on_insert_;
};

Result<UpdateActionPtr> parse_set(std::string_view, const Value& operand, Evaluation&) {
  return UpdateActionPtr(std::make_unique<SetAction>(operand, false));
}
Result<UpdateActionPtr> parse_set_on_insert(std::string_view, const Value& operand, Evaluation&) {
  return UpdateActionPtr(std::make_unique<SetAction>(operand, true));
}

class UnsetAction final : public UpdateAction {
 public:
  Absent absent() const override { return Absent::kNothing; }
  // An element becomes null, which it may have been.
  bool counts(const Value& current) const override { return !current.is_missing(); }
  Result<Value> apply(const Value&, const UpdateTarget&) const override { return Value::missing(); }
};

Result<UpdateActionPtr> parse_unset(std::string_view, const Value&, Evaluation&) {
  return UpdateActionPtr(std::make_unique<UnsetAction>());
}

// ---- $inc, $mul

Value decimal_of(const Value& number, engine::Arena& arena) {
  if (number.is(Type::kDecimal)) return number;
  return Value::decimal(number.is(Type::kDouble)
                            ? engine::decimal::from_double(number.as_double())
                            : engine::decimal::from_int64(number.integer_value()),
                        arena);
}

// Missing when the result does not fit a 64-bit integer.
Value calculate(const Value& a, const Value& b, bool multiply, engine::Arena& arena) {
  if (a.is(Type::kDecimal) || b.is(Type::kDecimal)) {
    auto x = decimal_of(a, arena).as_decimal();
    auto y = decimal_of(b, arena).as_decimal();
    return Value::decimal(multiply ? engine::decimal::multiply(x, y) : engine::decimal::add(x, y),
                          arena);
  }
  if (a.is(Type::kDouble) || b.is(Type::kDouble)) {
    double x = a.to_double();
    double y = b.to_double();
    return Value::number(multiply ? x * y : x + y);
  }
  int64_t result = 0;
  bool overflow = multiply ? __builtin_mul_overflow(a.integer_value(), b.integer_value(), &result)
                           : __builtin_add_overflow(a.integer_value(), b.integer_value(), &result);
  if (overflow) return Value::missing();
  bool narrow = a.is(Type::kInt32) && b.is(Type::kInt32);
  return narrow ? Value::integer(result) : Value::int64(result);
}

class ArithmeticAction final : public UpdateAction {
 public:
  ArithmeticAction(Value operand, bool multiply) : operand_(operand), multiply_(multiply) {}
  Absent absent() const override { return Absent::kCreate; }
  bool counts(const Value& current) const override { return engine::is_nan(current); }
  Result<Value> apply(const Value& current, const UpdateTarget& target) const override {
    std::string name = multiply_ ? "$mul" : "$inc";
    if (current.is_missing())
      return multiply_ ? calculate(operand_, Value::int32(0), true, target.arena) : operand_;
    if (!current.is_number()) {
      return Status(ErrorCode::kTypeMismatch,
                    "Cannot apply " + name + " to a value of non-numeric type. {" +
                        id_text(target.document) + "} has the field '" + std::string(target.field) +
                        "' of non-numeric type " + std::string(current.type_name()));
    }
    Value result = calculate(current, operand_, multiply_, target.arena);
    if (result.is_missing()) {
      std::string type = current.is(Type::kInt64) ? "NumberLong" : "NumberInt";
      return Status(ErrorCode::kBadValue,
                    "Failed to apply " + name + " operations to current value ((" + type + ")" +
                        shell_text(current) + ") for document {" + id_text(target.document) + "}");
    }
    // A result of the same type and value changes nothing, whatever its digits: 5.0 * 1.00.
    if (result.type() == current.type() && engine::equal(result, current)) return current;
    return result;
  }

 private:
  Value operand_;
  bool multiply_;
};

Result<UpdateActionPtr> parse_arithmetic(std::string_view path, const Value& operand,
                                         bool multiply) {
  if (!operand.is_number()) {
    return Status(ErrorCode::kTypeMismatch,
                  std::string("Cannot ") + (multiply ? "multiply" : "increment") +
                      " with non-numeric argument: {" + std::string(path) + ": " +
                      shell_text(operand) + "}");
  }
  return UpdateActionPtr(std::make_unique<ArithmeticAction>(operand, multiply));
}
Result<UpdateActionPtr> parse_inc(std::string_view path, const Value& operand, Evaluation&) {
  return parse_arithmetic(path, operand, false);
}
Result<UpdateActionPtr> parse_mul(std::string_view path, const Value& operand, Evaluation&) {
  return parse_arithmetic(path, operand, true);
}

// ---- $min, $max

class ExtremeAction final : public UpdateAction {
 public:
  ExtremeAction(Value operand, bool max) : operand_(operand), max_(max) {}
  Absent absent() const override { return Absent::kCreate; }
  Result<Value> apply(const Value& current, const UpdateTarget&) const override {
    if (current.is_missing()) return operand_;
    int order = engine::compare(operand_, current);
    return (max_ ? order > 0 : order < 0) ? operand_ : current;
  }

 private:
  Value operand_;
  bool max_;
};

Result<UpdateActionPtr> parse_min(std::string_view, const Value& operand, Evaluation&) {
  return UpdateActionPtr(std::make_unique<ExtremeAction>(operand, false));
}
Result<UpdateActionPtr> parse_max(std::string_view, const Value& operand, Evaluation&) {
  return UpdateActionPtr(std::make_unique<ExtremeAction>(operand, true));
}

// ---- $currentDate

class CurrentDateAction final : public UpdateAction {
 public:
  explicit CurrentDateAction(bool timestamp) : timestamp_(timestamp) {}
  Absent absent() const override { return Absent::kCreate; }
  Result<Value> apply(const Value&, const UpdateTarget& target) const override {
    if (!timestamp_) return Value::date(target.now_ms);
    return Value::timestamp(static_cast<uint32_t>(target.now_ms / 1000),
                            static_cast<uint32_t>(target.now_ms % 1000) + 1);
  }

 private:
  bool timestamp_;
};

Result<UpdateActionPtr> parse_current_date(std::string_view, const Value& operand, Evaluation&) {
  if (operand.is(Type::kBool)) return UpdateActionPtr(std::make_unique<CurrentDateAction>(false));
  if (!operand.is_object()) {
    return Status(ErrorCode::kBadValue, std::string(operand.type_name()) +
                                            " is not valid type for $currentDate. Please use a "
                                            "boolean ('true') or a $type expression "
                                            "({$type: 'timestamp/date'}).");
  }
  bool timestamp = false;
  bool typed = false;
  for (const auto& field : operand.as_object()) {
    if (!field.has_name("$type"))
      return Status(ErrorCode::kBadValue,
                    "Unrecognized $currentDate option: " + std::string(field.name()));
    typed = field.value.is_string() &&
            (field.value.as_string() == "date" || field.value.as_string() == "timestamp");
    timestamp = typed && field.value.as_string() == "timestamp";
  }
  if (!typed) {
    return Status(ErrorCode::kBadValue,
                  "The '$type' string field is required to be 'date' or 'timestamp': "
                  "{$currentDate: {field : {$type: 'date'}}}");
  }
  return UpdateActionPtr(std::make_unique<CurrentDateAction>(timestamp));
}

// ---- $bit

class BitAction final : public UpdateAction {
 public:
  enum class Kind { kAnd, kOr, kXor };
  struct Step {
    Kind kind;
    Value operand;
  };
  explicit BitAction(std::vector<Step> steps) : steps_(std::move(steps)) {}
  Absent absent() const override { return Absent::kCreate; }
  Result<Value> apply(const Value& current, const UpdateTarget& target) const override {
    if (!current.is_missing() && !current.is_integer()) {
      return Status(ErrorCode::kBadValue, "Cannot apply $bit to a value of non-integral type." +
                                              id_text(target.document) + " has the field " +
                                              std::string(target.field) + " of non-integer type " +
                                              std::string(current.type_name()));
    }
    int64_t bits = current.is_missing() ? 0 : current.integer_value();
    bool wide = current.is(Type::kInt64);
    for (const Step& step : steps_) {
      int64_t operand = step.operand.integer_value();
      wide = wide || step.operand.is(Type::kInt64);
      bits = step.kind == Kind::kAnd  ? bits & operand
             : step.kind == Kind::kOr ? bits | operand
                                      : bits ^ operand;
    }
    return wide ? Value::int64(bits) : Value::int32(static_cast<int32_t>(bits));
  }

 private:
  std::vector<Step> steps_;
};

Result<UpdateActionPtr> parse_bit(std::string_view, const Value& operand, Evaluation&) {
  if (!operand.is_object()) {
    return Status(ErrorCode::kBadValue,
                  "The $bit modifier is not compatible with a " + std::string(operand.type_name()) +
                      ". You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}");
  }
  std::vector<BitAction::Step> steps;
  for (const auto& field : operand.as_object()) {
    BitAction::Step step{BitAction::Kind::kAnd, field.value};
    std::string shown = "{" + std::string(field.name()) + ": " + shell_text(field.value) + "}";
    if (field.has_name("or")) {
      step.kind = BitAction::Kind::kOr;
    } else if (field.has_name("xor")) {
      step.kind = BitAction::Kind::kXor;
    } else if (!field.has_name("and")) {
      return Status(ErrorCode::kFailedToParse,
                    "The $bit modifier only supports 'and', 'or', and 'xor', not '" +
                        std::string(field.name()) + "' which is an unknown operator: " + shown);
    }
    if (!field.value.is_integer()) {
      return Status(ErrorCode::kBadValue,
                    "The $bit modifier field must be an Integer(32/64 bit); a '" +
                        std::string(field.value.type_name()) + "' is not supported here: " + shown);
    }
    steps.push_back(step);
  }
  if (steps.empty()) {
    return Status(ErrorCode::kFailedToParse,
                  "You must pass in at least one bitwise operation. The format is: {$bit: {field: "
                  "{and/or/xor: #}}");
  }
  return UpdateActionPtr(std::make_unique<BitAction>(std::move(steps)));
}

// clang-format off
constexpr std::array kFieldOperators = {
    UpdateRow{"$bit",         parse_bit,           "update/bit"},
    UpdateRow{"$currentDate", parse_current_date,  "update/currentDate"},
    UpdateRow{"$inc",         parse_inc,           "update/inc"},
    UpdateRow{"$max",         parse_max,           "update/max"},
    UpdateRow{"$min",         parse_min,           "update/min"},
    UpdateRow{"$mul",         parse_mul,           "update/mul"},
    UpdateRow{"$rename",      nullptr,             "update/rename"},
    UpdateRow{"$set",         parse_set,           "update/set"},
    UpdateRow{"$setOnInsert", parse_set_on_insert, "update/setOnInsert"},
    UpdateRow{"$unset",       parse_unset,         "update/unset"},
};
// clang-format on
static_assert(sorted_and_unique(kFieldOperators));

}  // namespace

std::span<const UpdateRow> field_update_operators() { return kFieldOperators; }

std::span<const std::span<const UpdateRow>> update_operator_families() {
  static const std::array<std::span<const UpdateRow>, 2> kFamilies = {field_update_operators(),
                                                                      array_update_operators()};
  return kFamilies;
}

const UpdateRow* find_update_operator(std::string_view name) {
  for (auto family : update_operator_families()) {
    for (const auto& row : family) {
      if (row.name == name) return &row;
    }
  }
  return nullptr;
}

std::string id_text(const Value& document) {
  Value id = document.as_object().get("_id");
  return id.is_missing() ? "no _id" : "_id: " + shell_text(id);
}

}  // namespace millrace::commands
