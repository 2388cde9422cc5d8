// How the documents of a query are found: by points of an index, or by reading the whole
// collection.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "commands/local/catalog.h"

namespace millrace::commands {

// A condition that a query puts on one path with an equality: {a: 5}, {a: {$eq: 5}}, {a: {$in: [5,
// 6]}}, also inside $and.
struct Equality {
  std::string_view path;
  std::vector<engine::Value> values;  // any of them; never null, an array, a regular expression
};

// The equalities that hold for every document that matches `filter`. Other conditions may stand
// beside them: `only` is set when none does.
std::vector<Equality> find_equalities(const engine::Value& filter, bool* only);

struct QueryPlan {
  enum class Kind { kCollectionScan, kIndexPoints };
  Kind kind = Kind::kCollectionScan;
  const IndexInfo* index = nullptr;  // kIndexPoints; lives as long as the collection
  std::vector<std::string>
      prefixes;            // beginnings of keys, sorted: entries that start with one of them
  bool whole_key = false;  // the prefixes are whole keys
  bool exact = false;      // what is found matches without looking: {_id: x} of a scalar
  bool backward = false;   // $natural: -1
};

// `hint`: an index's name or key, {$natural: ±1}, or missing. Errors: 2 BadValue for a hint that
// names no index.
engine::Result<QueryPlan> plan_query(const Collection& collection, const engine::Value& filter,
                                     const engine::Value& hint);

// An index whose first field is `path`, ascending, and that has an entry of every document, what is
// missing as null; nullptr if there is none.
const IndexInfo* index_on_path(const Collection& collection, std::string_view path);

}  // namespace millrace::commands
