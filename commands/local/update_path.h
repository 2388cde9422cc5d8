// The paths of update operators: "a.b.0", "a.$", "a.$[]", "a.$[id].b".
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/positional/ and its
// siblings; texts observed on 6.0.5.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/document/status.h"

namespace millrace::commands {

struct UpdatePart {
  enum class Kind { kName, kMatched, kAll, kFiltered };  // b, $, $[], $[id]
  Kind kind;
  std::string text;  // the name, or the identifier
};

struct UpdatePath {
  std::string text;
  std::vector<UpdatePart> parts;

  // The first parts, dotted.
  std::string prefix(size_t count) const;
};

// Errors: 56 EmptyFieldName, 2 BadValue.
engine::Result<UpdatePath> parse_update_path(std::string_view text);

// The order in which an update's paths are applied, and so new fields appended: part by part,
// positions as numbers, names as bytes.
bool applies_before(const UpdatePath& a, const UpdatePath& b);

// The paths that an update changes. Of two of them none may be, or lie above, the other.
class ClaimedPaths {
 public:
  // Errors: 40 ConflictingUpdateOperators; then nothing more may be added.
  engine::Status add(const UpdatePath& path);

 private:
  struct Node {
    std::unordered_map<std::string, Node*> below;  // by the parts as written
    bool ends = false;                             // a path ends here
    bool many = false;                             // `below` are $[] or $[name]
  };
  std::deque<Node> nodes_ = std::deque<Node>(1);  // the root first; a path may be very deep
};

}  // namespace millrace::commands
