// A document that is being changed: only the objects and arrays on the way to a change are taken
// apart, everything else stays the bytes it was.
#pragma once

#include <deque>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/bson.h"

namespace millrace::commands {

class MutableNode {
 public:
  struct Child {
    std::string_view name;  // of a field; arrays have none
    MutableNode* node;
  };

  // The value, if nothing below it was taken apart; missing once it is removed.
  const engine::Value& leaf() const { return leaf_; }
  bool expanded() const { return expanded_; }
  bool is_object() const { return expanded_ ? !array_ : leaf_.is_object(); }
  bool is_array() const { return expanded_ ? array_ : leaf_.is_array(); }
  bool is_missing() const { return !expanded_ && leaf_.is_missing(); }
  std::vector<Child>& children() { return children_; }  // Requires: expanded()
  void set(engine::Value value) {
    leaf_ = value;
    expanded_ = false;
    children_.clear();
    by_name_.clear();
    indexed_ = 0;
  }

 private:
  friend class MutableDocument;
  engine::Value leaf_;
  bool expanded_ = false;
  bool array_ = false;
  std::vector<Child> children_;
  // Of an object with many fields: where each name stands first among the `indexed_` first
  // children.
  std::unordered_map<std::string_view, size_t> by_name_;
  size_t indexed_ = 0;
};

// Values and names that are put in must live as long as it. Single-threaded.
class MutableDocument {
 public:
  explicit MutableDocument(engine::Value document) { root_.leaf_ = document; }

  MutableNode& root() { return root_; }
  // Takes an object or array apart. Requires: it is one.
  void expand(MutableNode& node);
  // The field, or nullptr. A removed one is there no longer.
  MutableNode* find(MutableNode& object, std::string_view name);
  MutableNode* element(MutableNode& array, size_t index);
  // A new field at the end; its value is missing until it is set.
  MutableNode& add(MutableNode& object, std::string_view name);
  // Makes the array long enough with nulls.
  MutableNode& element_or_pad(MutableNode& array, size_t index);

  // The node's value as it is now.
  engine::Value value(const MutableNode& node, engine::Arena& arena) const;
  void write(engine::BsonWriter& writer) const;

 private:
  MutableNode* make(engine::Value value);
  static void write_children(const MutableNode& node, engine::BsonWriter& writer);

  MutableNode root_;
  std::deque<MutableNode> nodes_;
};

}  // namespace millrace::commands
