// Sets of BSON types, as $type and the schema keywords `type` and `bsonType` name them.
#pragma once

#include <string_view>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

class TypeSet {
 public:
  void add(Type type) { bits_ |= bit(type); }
  void add(const TypeSet& other) { bits_ |= other.bits_; }
  bool has(Type type) const { return (bits_ & bit(type)) != 0; }
  bool empty() const { return bits_ == 0; }

 private:
  static uint32_t bit(Type type) {
    if (type == Type::kMinKey) return uint32_t{1} << 30;
    if (type == Type::kMaxKey) return uint32_t{1} << 31;
    return uint32_t{1} << static_cast<int>(type);
  }
  uint32_t bits_ = 0;
};

// "int", "number", "objectId", …: the aliases of the manual's page on $type. Errors: 2 BadValue.
Result<TypeSet> types_of_alias(std::string_view alias);
// An alias, a type number, or -1 for MinKey. Errors: 2 BadValue, 14 TypeMismatch.
Result<TypeSet> types_of(const Value& alias_or_number);

}  // namespace millrace::engine
