#include "commands/arguments.h"

#include "commands/local/name_check.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

Value Arguments::any(std::string_view field) const {
  Value value = object_.as_object().get(field);
  return value.is_nullish() ? Value::missing() : value;
}

Status Arguments::wrong_type(std::string_view field, std::string_view expected) const {
  bool several = expected.starts_with('[');
  return Status(ErrorCode::kTypeMismatch, "BSON field '" + std::string(context_) + "." +
                                              std::string(field) + "' is the wrong type '" +
                                              std::string(any(field).type_name()) +
                                              "', expected type" + (several ? "s" : "") + " '" +
                                              std::string(expected) + (several ? "]'" : "'"));
}

Result<Value> Arguments::object(std::string_view field) const {
  Value value = any(field);
  if (!value.is_missing() && !value.is_object()) return wrong_type(field, "object");
  return value;
}

Result<Value> Arguments::array(std::string_view field) const {
  Value value = any(field);
  if (!value.is_missing() && !value.is_array()) return wrong_type(field, "array");
  return value;
}

Result<Value> Arguments::string(std::string_view field) const {
  Value value = any(field);
  if (!value.is_missing() && !value.is_string()) return wrong_type(field, "string");
  return value;
}

Result<bool> Arguments::boolean(std::string_view field, bool otherwise) const {
  Value value = any(field);
  if (value.is_missing()) return otherwise;
  if (!value.is(Type::kBool) && !value.is_number())
    return wrong_type(field, "[bool, long, int, decimal, double");
  return value.truthy();
}

Result<std::optional<int64_t>> Arguments::count(std::string_view field) const {
  Value value = any(field);
  if (value.is_missing()) return std::optional<int64_t>();
  if (!value.is_number()) return wrong_type(field, "[long, int, decimal, double");
  double number = value.to_double();
  int64_t whole = value.is_integer() ? value.integer_value()
                  : number >= 9.2e18 ? INT64_MAX
                  : number > -9.2e18 ? static_cast<int64_t>(number)
                                     : -1;
  if (whole < 0) {
    return Status(51024, "BSON field '" + std::string(field) +
                             "' value must be >= 0, actual value '" + std::to_string(whole) + "'");
  }
  return std::optional(whole);
}

Status Arguments::require(std::string_view field) const {
  if (!any(field).is_missing()) return {};
  return Status(40414, "BSON field '" + std::string(context_) + "." + std::string(field) +
                           "' is missing but a required field");
}

Status Arguments::one_of(std::string_view field,
                         std::initializer_list<std::string_view> allowed) const {
  MR_ASSIGN_OR_RETURN(Value value, string(field));
  if (value.is_missing()) return {};
  for (auto name : allowed) {
    if (value.as_string() == name) return {};
  }
  return Status(ErrorCode::kBadValue, "Enumeration value '" + std::string(value.as_string()) +
                                          "' for field '" + std::string(context_) + "." +
                                          std::string(field) + "' is not a valid value.");
}

Result<std::string_view> collection_argument(const Request& request) {
  Value name = request.argument();
  if (!name.is_string())
    return Status(ErrorCode::kBadValue,
                  "collection name has invalid type " + std::string(name.type_name()));
  MR_RETURN_IF_ERROR(check_collection_name(request.database, name.as_string()));
  return name.as_string();
}

Status refuse_collation(Value collation) {
  if (!collation.is_object() || collation.as_object().empty()) return {};
  Value locale = collation.as_object().get("locale");
  if (!locale.is_string())
    return Status(40414, "BSON field 'collation.locale' is missing but a required field");
  if (locale.as_string() == "simple") return {};
  return Status(ErrorCode::kNotImplemented,
                "collations other than {locale: \"simple\"} are not supported by Millrace");
}

Status refuse_option(const Request& request, std::string_view field) {
  if (request.get(field).is_nullish()) return {};
  return Status(ErrorCode::kCommandNotSupported, "the option '" + std::string(field) + "' of " +
                                                     std::string(request.name) +
                                                     " is not supported by Millrace");
}

}  // namespace millrace::commands
