// Dotted field paths, the table of their names, and the set of paths a pipeline needs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

// Names seen by one pipeline, each stored once: equal names from one table are the same pointer,
// which Field::has_name checks first.
class NameTable {
 public:
  std::string_view intern(std::string_view name);

 private:
  Arena arena_;
  std::unordered_set<std::string_view> names_;
};

// What compiled expressions, predicates and stages point into: names and constants. It must outlive
// them; a pipeline owns one.
struct CompiledMemory {
  NameTable names;
  Arena constants;
};

// "a.b.c" as its parts. Parts are interned.
struct FieldPath {
  std::vector<std::string_view> parts;
  std::string dotted() const;
  size_t size() const { return parts.size(); }
};

// Splits and checks a dotted path as MongoDB does for aggregation: no empty part, no leading '$' in
// a part (but $id, $ref and $db of a DBRef), no NUL, at most 200 parts. Errors: 15998, 16410,
// 16411, 40352, 40353 as the server has them.
Result<FieldPath> parse_field_path(std::string_view dotted, NameTable& names);

// The value(s) at `parts` below `from`, with aggregation's rule for arrays: a part applied to an
// array applies to each element that is an object and collects what it finds (missing ones left
// out). Nested arrays inside the array are skipped.
Value get_path(const Value& from, const std::string_view* parts, size_t count, Arena& arena);

// A set of field paths as a tree. `all` means the whole value at that place. The pipeline builder
// computes the set a source must decode.
struct PathSet {
  struct Child;
  bool all = false;
  std::vector<Child> children;  // in order of first mention; empty when `all`

  void add(const FieldPath& path) { add(path.parts.data(), path.parts.size()); }
  void add(const std::string_view* parts, size_t count);
  void add_all();
  void add(const PathSet& other);
  // Takes a path out (it is computed by a stage). Only whole subtrees: removing "a.b" from {a: all}
  // changes nothing.
  void remove(const std::string_view* parts, size_t count);
  bool empty() const { return !all && children.empty(); }
  const PathSet* find(std::string_view name) const;

 private:
  size_t position(std::string_view name) const;
  // Where names stand in `children`, kept only for long lists; brought up to date when asked.
  mutable std::unordered_map<std::string_view, size_t> positions_;
};
struct PathSet::Child {
  std::string_view name;
  PathSet set;
};
inline void PathSet::add_all() {
  all = true;
  children.clear();
}

}  // namespace millrace::engine
