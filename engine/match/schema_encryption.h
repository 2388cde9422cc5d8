// The keywords `encrypt` and `encryptMetadata` of $jsonSchema. Field-level encryption happens in
// the client; to the server a value is encrypted if it is binary data of subtype 6: a byte for the
// algorithm, the key's UUID, the type of the value, the rest. Source:
// https://www.mongodb.com/docs/manual/core/csfle/reference/encryption-schemas/
#pragma once

#include <optional>
#include <string_view>

#include "engine/document/status.h"
#include "engine/document/value.h"
#include "engine/match/type_set.h"

namespace millrace::engine {

using SchemaTypesParser = Result<TypeSet> (*)(std::string_view keyword, const Value& operand);

// Checks the operand, an object, of `keyword`. Returns the types that its `bsonType` names, if it
// has one; `parse_types` is nullptr where none may stand (encryptMetadata). Errors: 2, 14, 40415,
// 51084, 51085, 51088.
Result<std::optional<TypeSet>> parse_encryption(std::string_view keyword, const Value& operand,
                                                SchemaTypesParser parse_types);

// With `types`: a value of one of them was encrypted.
bool is_encrypted(const Value& value, const std::optional<TypeSet>& types);

}  // namespace millrace::engine
