#include "engine/match/schema_encryption.h"

#include <string>

namespace millrace::engine {
namespace {

Status check_algorithm(const std::string& field, const Value& value) {
  constexpr std::string_view kAlgorithm = "AEAD_AES_256_CBC_HMAC_SHA_512-";
  if (!value.is_string())
    return Status(ErrorCode::kTypeMismatch, field + " is the wrong type, expected a string");
  std::string_view text = value.as_string();
  bool prefixed = text.starts_with(kAlgorithm);
  if (prefixed) text.remove_prefix(kAlgorithm.size());
  if (prefixed && (text == "Deterministic" || text == "Random")) return {};
  return Status(ErrorCode::kBadValue, field + " names no algorithm");
}

Status check_key_id(const std::string& field, const Value& value) {
  constexpr uint8_t kUuidSubtype = 4;
  if (value.is_string()) return {};
  if (!value.is_array()) return Status(51085, field + " must be a string or an array of UUIDs");
  for (const Value& id : value.as_array()) {
    if (!id.is(Type::kBinData)) return Status(51088, field + " holds what is no binary data");
    if (id.binary_subtype() != kUuidSubtype)
      return Status(51084, field + " holds binary data that is no UUID");
  }
  return {};
}

}  // namespace

Result<std::optional<TypeSet>> parse_encryption(std::string_view keyword, const Value& operand,
                                                SchemaTypesParser parse_types) {
  std::optional<TypeSet> types;
  for (const Field& field : operand.as_object()) {
    const Value& value = field.value;
    std::string shown =
        "BSON field '" + std::string(keyword) + "." + std::string(field.name()) + "'";
    if (field.has_name("algorithm")) {
      MR_RETURN_IF_ERROR(check_algorithm(shown, value));
    } else if (field.has_name("keyId")) {
      MR_RETURN_IF_ERROR(check_key_id(shown, value));
    } else if (field.has_name("bsonType") && parse_types != nullptr) {
      types = TypeSet();  // an empty list: no value has any of them
      if (!value.is_array() || !value.as_array().empty()) {
        MR_ASSIGN_OR_RETURN(*types, parse_types("bsonType", value));
      }
    } else {
      return Status(40415, shown + " is an unknown field.");
    }
  }
  return types;
}

bool is_encrypted(const Value& value, const std::optional<TypeSet>& types) {
  constexpr uint8_t kEncryptedSubtype = 6;
  constexpr size_t kTypePosition = 17;
  if (!value.is(Type::kBinData) || value.binary_subtype() != kEncryptedSubtype) return false;
  if (!types) return true;
  std::string_view data = value.as_string();
  if (data.size() <= kTypePosition) return false;
  auto type = static_cast<uint8_t>(data[kTypePosition]);
  return type <= static_cast<uint8_t>(Type::kDecimal) && types->has(static_cast<Type>(type));
}

}  // namespace millrace::engine
