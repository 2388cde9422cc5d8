// $exists $type, and the names of types.
#include "engine/match/registry.h"
#include "engine/match/type_set.h"

namespace millrace::engine {
namespace {

constexpr Type kAllTypes[] = {Type::kDouble,  Type::kString,    Type::kObject,     Type::kArray,
                              Type::kBinData, Type::kUndefined, Type::kObjectId,   Type::kBool,
                              Type::kDate,    Type::kNull,      Type::kRegex,      Type::kDBPointer,
                              Type::kCode,    Type::kSymbol,    Type::kInt32,      Type::kTimestamp,
                              Type::kInt64,   Type::kDecimal,   Type::kCodeWScope, Type::kMaxKey,
                              Type::kMinKey};

class ExistsTest final : public ValueTest {
 public:
  bool test(const Value& value, EvalContext&) const override { return !value.is_missing(); }
};

class TypeTest final : public ValueTest {
 public:
  explicit TypeTest(TypeSet types) : types_(types) {}
  bool test(const Value& value, EvalContext&) const override {
    return !value.is_missing() && types_.has(value.type());
  }

 private:
  TypeSet types_;
};

Result<std::optional<FieldCondition>> parse_exists(const FieldOperator& field, QueryParse&) {
  FieldCondition condition;
  condition.test = std::make_unique<ExistsTest>();
  condition.negated = !field.operand.truthy();
  return std::optional(std::move(condition));
}

Result<std::optional<FieldCondition>> parse_type(const FieldOperator& field, QueryParse&) {
  TypeSet types;
  if (field.operand.is_array()) {
    for (const Value& element : field.operand.as_array()) {
      MR_ASSIGN_OR_RETURN(TypeSet more, types_of(element));
      types.add(more);
    }
    if (types.empty())
      return Status(ErrorCode::kFailedToParse,
                    std::string(field.path) + " must match at least one type");
  } else {
    MR_ASSIGN_OR_RETURN(types, types_of(field.operand));
  }
  FieldCondition condition;
  condition.test = std::make_unique<TypeTest>(types);
  return std::optional(std::move(condition));
}

// clang-format off
constexpr std::array kElementQueries = {
    //       name       query    field         manual page
    QueryRow{"$exists", nullptr, parse_exists, "query/exists"},
    QueryRow{"$type",   nullptr, parse_type,   "query/type"},
};
// clang-format on
static_assert(sorted_and_unique(kElementQueries));

}  // namespace

std::span<const QueryRow> element_queries() { return kElementQueries; }

Result<TypeSet> types_of_alias(std::string_view alias) {
  TypeSet types;
  if (alias == "number") {
    for (Type type : {Type::kInt32, Type::kInt64, Type::kDouble, Type::kDecimal}) types.add(type);
    return types;
  }
  for (Type type : kAllTypes) {
    if (type_name(type) == alias) types.add(type);
  }
  if (types.empty())
    return Status(ErrorCode::kBadValue, "Unknown type name alias: " + std::string(alias));
  return types;
}

Result<TypeSet> types_of(const Value& alias_or_number) {
  if (alias_or_number.is_string()) return types_of_alias(alias_or_number.as_string());
  if (!alias_or_number.is_number()) {
    return Status(ErrorCode::kTypeMismatch, "type must be represented as a number or a string");
  }
  double number = alias_or_number.to_double();
  if (number == 0)
    return Status(ErrorCode::kBadValue,
                  "Invalid numerical type code: 0. Use {$exists: false} instead.");
  TypeSet types;
  for (Type type : kAllTypes) {
    double code = type == Type::kMinKey ? -1 : static_cast<double>(type);
    if (number == code) types.add(type);
  }
  if (types.empty()) return Status(ErrorCode::kBadValue, "Invalid numerical type code");
  return types;
}

}  // namespace millrace::engine
