// Dotted paths as $match walks them. This differs from expressions: an array on the way applies the
// rest of the path to each element that is an object, a numeric part also means a position, and an
// array at the end is offered element by element and then as a whole. Source:
// https://www.mongodb.com/docs/manual/tutorial/query-arrays/ and .../query-array-of-documents/;
// details seen with MongoDB 6.0.5.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/document/field_path.h"
#include "engine/document/value.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

// What an array at the end of a path offers to a condition.
enum class LeafArray : uint8_t {
  kElementsAndWhole,  // each element, then the array
  kWhole,             // only the array ($size, $elemMatch)
};

// Any text is a path here, unlike in expressions: empty parts and parts with a dollar are names
// like others.
class MatchPath {
 public:
  MatchPath(std::string_view dotted, NameTable& names);

  // Calls `visit` with each value at the path until it returns true; says whether it did. A path
  // that leads nowhere offers a missing value once, except below the elements of an array that are
  // no objects: they offer nothing.
  template <typename Visit>
  bool any(const Value& document, LeafArray leaf, Visit&& visit) const {
    Value at = document;
    const Part* part = parts_.data();
    const Part* end = part + parts_.size();
    for (; part != end; ++part) {
      if (!at.is_object()) [[unlikely]]
        return any_off_road(at, part, leaf, visit);
      at = find(at, *part);
    }
    if (!at.is_array()) [[likely]]
      return visit(at);
    return any_at_leaf(at, leaf, visit);
  }

  // The path as far as no part can be a position in an array: below that the whole value is needed.
  void add_dependencies(Dependencies& dependencies) const;
  const std::string& text() const { return text_; }

 private:
  struct Part {
    std::string_view name;
    int64_t index;  // as a position in an array (without leading zeros), or -1
    mutable uint32_t
        hint;  // where it stood in the last document: documents of one stream mostly have one shape
  };

  static Value find(const Value& object, const Part& part) {
    if (!object.is_tree()) return object.as_object().get(part.name);
    auto fields = object.tree_fields();
    if (part.hint < fields.size() && fields[part.hint].has_name(part.name)) [[likely]]
      return fields[part.hint].value;
    for (uint32_t i = 0; i < fields.size(); ++i) {
      if (fields[i].has_name(part.name)) {
        part.hint = i;
        return fields[i].value;
      }
    }
    return {};
  }

  template <typename Visit>
  bool any_at_leaf(const Value& array, LeafArray leaf, Visit& visit) const {
    if (leaf == LeafArray::kElementsAndWhole) {
      for (const Value& element : array.as_array()) {
        if (visit(element)) return true;
      }
    }
    return visit(array);
  }

  // From `part` on below `object`.
  template <typename Visit>
  bool any_below(Value at, const Part* part, LeafArray leaf, Visit& visit) const {
    const Part* end = parts_.data() + parts_.size();
    for (; part != end; ++part) {
      if (!at.is_object()) return any_off_road(at, part, leaf, visit);
      at = find(at, *part);
    }
    return at.is_array() ? any_at_leaf(at, leaf, visit) : visit(at);
  }

  template <typename Visit>
  bool any_off_road(const Value& at, const Part* part, LeafArray leaf, Visit& visit) const {
    if (!at.is_array()) return visit(Value());
    if (part == parts_.data()) {  // the document itself is an array (an element of one, under
                                  // $elemMatch): its positions are field names
      Value element =
          part->index < 0 ? Value() : at.as_array().at(static_cast<size_t>(part->index));
      return any_below(element, part + 1, leaf, visit);
    }
    return any_in_array(at, part, leaf, visit);
  }

  // `array` is not the end of the path. An element at the position that `part` names is tried as
  // well as the field of that name.
  template <typename Visit>
  bool any_in_array(const Value& array, const Part* part, LeafArray leaf, Visit& visit) const {
    bool last = part + 1 == parts_.data() + parts_.size();
    int64_t position = 0;
    for (const Value& element : array.as_array()) {
      bool here = position++ == part->index;
      if (element.is_object() && any_below(element, part, leaf, visit)) return true;
      if (!here) continue;
      if (last) {
        if (visit(element)) return true;
      } else if (element.is_object()) {
        if (any_below(element, part + 1, leaf, visit)) return true;
      } else if (element.is_array()) {
        if (any_in_array(element, part + 1, leaf, visit)) return true;
      }
    }
    return false;
  }

  std::string text_;
  std::vector<Part> parts_;
};

}  // namespace millrace::engine
