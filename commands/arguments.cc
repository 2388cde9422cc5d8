#include "commands/arguments.h"

#include <cmath>

#include "commands/local/local_database.h"
#include "commands/local/name_check.h"
#include "commands/services.h"
#include "engine/document/decimal.h"

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
  if (value.is(Type::kDecimal) && std::abs(number) < 9.2e18)
    number = engine::decimal::to_double(engine::decimal::quantize(value.as_decimal(), 0, false));
  if (std::isnan(number)) number = 0;
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

Result<Value> Arguments::hint() const {
  Value value = object_.as_object().get("hint");
  if (!value.is_missing() && !value.is_string() && !value.is_object())
    return Status(ErrorCode::kFailedToParse, "Hint must be a string or an object");
  return value;
}

Status Arguments::check_collation() const {
  MR_ASSIGN_OR_RETURN(Value collation, object("collation"));
  if (collation.is_missing() || collation.as_object().empty()) return {};
  Arguments options("collation", collation);
  MR_RETURN_IF_ERROR(options.require("locale"));
  MR_ASSIGN_OR_RETURN(Value locale, options.string("locale"));
  if (locale.as_string() == "simple") return {};
  return Status(ErrorCode::kNotImplemented,
                "collations other than {locale: \"simple\"} are not supported by Millrace");
}

namespace {

Status wrong_name_type(const Value& name) {
  return Status(ErrorCode::kInvalidNamespace,
                "collection name has invalid type " + std::string(name.type_name()));
}

constexpr int kUuidSubtype = 4;
constexpr int kInvalidUuid = 207;

Result<std::string> name_of_uuid(const Request& request, std::string_view uuid) {
  if (uuid.size() != 16)
    return Status(kInvalidUuid, "uuid must be a 16-byte binary field with UUID (4) subtype");
  MR_ASSIGN_OR_RETURN(auto txn, request.services.database->store().read());
  MR_ASSIGN_OR_RETURN(auto collections, list_collections(*txn, request.database));
  for (Collection& collection : collections) {
    if (!collection.view && collection.uuid == uuid) return std::move(collection.name);
  }
  return Status(ErrorCode::kNamespaceNotFound, "no collection of the database has this UUID");
}

}  // namespace

Result<std::string_view> collection_argument(const Request& request) {
  Value name = request.argument();
  if (!name.is_string()) return wrong_name_type(name);
  MR_RETURN_IF_ERROR(check_collection_name(request.database, name.as_string()));
  return name.as_string();
}

Result<std::string> read_collection_argument(const Request& request) {
  Value name = request.argument();
  if (name.is(Type::kBinData) && name.binary_subtype() == kUuidSubtype)
    return name_of_uuid(request, name.as_string());
  if (!name.is_string()) return wrong_name_type(name);
  MR_RETURN_IF_ERROR(check_read_name(request.database, name.as_string()));
  return std::string(name.as_string());
}

Status refuse_option(const Request& request, std::string_view field) {
  if (request.get(field).is_nullish()) return {};
  return Status(ErrorCode::kCommandNotSupported, "the option '" + std::string(field) + "' of " +
                                                     std::string(request.name) +
                                                     " is not supported by Millrace");
}

}  // namespace millrace::commands
