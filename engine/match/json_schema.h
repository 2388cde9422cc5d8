// $jsonSchema: the subset of JSON Schema draft 4 that MongoDB has, with bsonType.
// Source: https://www.mongodb.com/docs/manual/reference/operator/query/jsonSchema/
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/document/status.h"
#include "engine/document/value.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

// A compiled schema: a list of checks, one or none per keyword. Used by one thread at a time.
class Schema {
 public:
  using Check = std::function<bool(const Value&)>;
  // `of_document`: what it describes is a whole document, never a value of another type.
  explicit Schema(bool of_document = false) : of_document_(of_document) {}
  bool of_document() const { return of_document_; }
  void add(Check check) { checks_.push_back(std::move(check)); }
  bool valid(const Value& value) const {
    for (const Check& check : checks_) {
      if (!check(value)) return false;
    }
    return true;
  }

 private:
  std::vector<Check> checks_;
  bool of_document_;
};
using SchemaPtr =
    std::shared_ptr<const Schema>;  // checks are copyable, so the schemas they hold are shared

// Errors: 9 FailedToParse for unknown and unsupported keywords and bad values, 14 TypeMismatch for
// a value of the wrong type.
Result<SchemaPtr> parse_schema(const Value& schema, ParseContext& context,
                               bool of_document = false);

struct SchemaKeywordRow {
  std::string_view name;
  // Adds the keyword's checks to `to`; `schema` is the whole schema, for keywords that depend on
  // each other. nullptr: refused.
  Status (*parse)(std::string_view name, const Value& operand, const ObjectView& schema,
                  ParseContext& context, Schema& to);
};
// All rows, for coverage and tests.
std::span<const SchemaKeywordRow> schema_keywords();

// Equal whatever the order of fields in documents, at any level: how `enum` and `uniqueItems`
// compare.
bool equal_unordered(const Value& a, const Value& b);
uint64_t hash_unordered(const Value& value);

}  // namespace millrace::engine
