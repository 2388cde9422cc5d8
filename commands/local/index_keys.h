// The keys that a document has in an index: several when a field of the index is an array.
// Source: https://www.mongodb.com/docs/manual/core/indexes/index-types/index-multikey/
#pragma once

#include <string>
#include <vector>

#include "commands/local/catalog.h"

namespace millrace::commands {

struct IndexKey {
  std::string bytes;  // key_bytes.h, one part after the other
  std::vector<engine::Value>
      values;  // by field; views of the document, missing where it has nothing
  bool operator<(const IndexKey& other) const { return bytes < other.bytes; }
  bool operator==(const IndexKey& other) const { return bytes == other.bytes; }
};

// Sorted, each key once. Nothing for a document that a sparse index leaves out; partial indexes are
// the caller's matter. Errors: 171 CannotIndexParallelArrays.
engine::Result<std::vector<IndexKey>> index_keys(const IndexInfo& index,
                                                 const engine::Value& document);

// {a: 1, b: "x"} with the values of one key: keyValue of a duplicate key error.
engine::Document key_document(const IndexInfo& index, const std::vector<engine::Value>& values);

// A value as MongoDB's error messages show it: { a: 1, b: "x" }, ObjectId('…'), new Date(…).
// Observed on 6.0.5.
std::string shell_text(const engine::Value& value);

// E11000 duplicate key error collection: db.c index: a_1 dup key: { a: 1 }
engine::Status duplicate_key_error(const Collection& collection, const IndexInfo& index,
                                   const std::vector<engine::Value>& values);

}  // namespace millrace::commands
