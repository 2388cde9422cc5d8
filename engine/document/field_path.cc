#include "engine/document/field_path.h"

#include <algorithm>

#include "engine/document/bson.h"

namespace millrace::engine {

std::string_view NameTable::intern(std::string_view name) {
  auto found = names_.find(name);
  if (found != names_.end()) return *found;
  std::string_view stored = arena_.copy(name);
  names_.insert(stored);
  return stored;
}

std::string FieldPath::dotted() const {
  std::string text;
  for (std::string_view part : parts) {
    if (!text.empty()) text += '.';
    text += part;
  }
  return text;
}

Result<FieldPath> parse_field_path(std::string_view dotted, NameTable& names) {
  FieldPath path;
  if (dotted.empty()) return Status(40352, "FieldPath cannot be constructed with empty string");
  if (dotted.back() == '.') return Status(40353, "FieldPath must not end with a '.'.");
  size_t from = 0;
  while (from <= dotted.size()) {
    size_t dot = std::min(dotted.find('.', from), dotted.size());
    std::string_view part = dotted.substr(from, dot - from);
    if (part.empty()) return Status(15998, "FieldPath field names may not be empty strings.");
    if (part[0] == '$' && part != "$id" && part != "$ref" && part != "$db") {  // of a DBRef
      return Status(
          16410,
          "FieldPath field names may not start with '$'. Consider using $getField or $setField.");
    }
    if (part.find('\0') != std::string_view::npos)
      return Status(16411, "FieldPath field names may not contain '\\0'.");
    path.parts.push_back(names.intern(part));
    from = dot + 1;
  }
  if (path.parts.size() > kMaxNestingDepth)
    return Status(ErrorCode::kOverflow, "FieldPath is too long");
  return path;
}

namespace {

// One walk along a path. A value may hold one part in many places, at each level again, and a path
// through arrays visits each of them.
class PathWalk {
 public:
  PathWalk(Arena& arena) : arena_(arena) {}

  // Errors: 10334 after kMaxElements.
  Value walk(const Value& from, const std::string_view* parts, size_t count) {
    if (count == 0) return from;
    if (from.is_object()) {
      Value next = from.as_object().get(parts[0]);
      if (count == 1 || next.is_missing()) return next;
      return walk(next, parts + 1, count - 1);
    }
    if (!from.is_array()) return {};
    ArrayBuilder found(arena_);
    for (const Value& element : from.as_array()) {
      if (!element.is_object()) continue;
      if (++elements_ > kMaxElements) [[unlikely]]
        fail_evaluation(ErrorCode::kBsonObjectTooLarge, "a path leads to too many values");
      Value v = walk(element, parts, count);
      if (!v.is_missing()) found.add(v);
    }
    return found.finish();
  }

 private:
  static constexpr size_t kMaxElements = 8'000'000;  // more than 16 MB of BSON hold

  Arena& arena_;
  size_t elements_ = 0;
};

}  // namespace

Value get_path(const Value& from, const std::string_view* parts, size_t count, Arena& arena) {
  return PathWalk(arena).walk(from, parts, count);
}

// The child's index, or the number of children. Requires: only this class takes children away.
size_t PathSet::position(std::string_view name) const {
  constexpr size_t kWalked = 32;
  if (children.size() <= kWalked) {
    size_t i = 0;
    while (i < children.size() && children[i].name != name) ++i;
    return i;
  }
  for (size_t i = positions_.size(); i < children.size(); ++i)
    positions_.emplace(children[i].name, i);
  auto found = positions_.find(name);
  return found == positions_.end() ? children.size() : found->second;
}

void PathSet::add(const std::string_view* parts, size_t count) {
  if (all) return;
  if (count == 0) return add_all();
  size_t at = position(parts[0]);
  if (at == children.size()) children.push_back({parts[0], {}});
  children[at].set.add(parts + 1, count - 1);
}

void PathSet::add(const PathSet& other) {
  if (all) return;
  if (other.all) return add_all();
  for (const Child& child : other.children) {
    size_t at = position(child.name);
    if (at == children.size()) {
      children.push_back(child);
    } else {
      children[at].set.add(child.set);
    }
  }
}

void PathSet::remove(const std::string_view* parts, size_t count) {
  if (all || count == 0) return;
  size_t at = position(parts[0]);
  if (at == children.size()) return;
  if (count > 1) {
    children[at].set.remove(parts + 1, count - 1);
    if (!children[at].set.empty()) return;
  }
  children.erase(children.begin() + static_cast<ptrdiff_t>(at));
  positions_.clear();
}

const PathSet* PathSet::find(std::string_view name) const {
  size_t at = position(name);
  return at == children.size() ? nullptr : &children[at].set;
}

}  // namespace millrace::engine
