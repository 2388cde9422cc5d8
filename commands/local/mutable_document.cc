#include "commands/local/mutable_document.h"

#include <string>

namespace millrace::commands {

using engine::Arena;
using engine::ArrayBuilder;
using engine::BsonWriter;
using engine::ObjectBuilder;
using engine::Value;

MutableNode* MutableDocument::make(Value value) {
  MutableNode& node = nodes_.emplace_back();
  node.leaf_ = value;
  return &node;
}

void MutableDocument::expand(MutableNode& node) {
  if (node.expanded_) return;
  node.array_ = node.leaf_.is_array();
  if (node.array_) {
    for (const Value& element : node.leaf_.as_array())
      node.children_.push_back({{}, make(element)});
  } else {
    for (const auto& field : node.leaf_.as_object())
      node.children_.push_back({field.name(), make(field.value)});
  }
  node.expanded_ = true;
  node.leaf_ = Value::missing();
}

MutableNode* MutableDocument::find(MutableNode& object, std::string_view name) {
  constexpr size_t kWalked = 32;
  expand(object);
  auto& children = object.children_;
  size_t at = 0;
  if (children.size() > kWalked) {
    for (; object.indexed_ < children.size(); ++object.indexed_)
      object.by_name_.emplace(children[object.indexed_].name, object.indexed_);
    auto found = object.by_name_.find(name);
    at = found == object.by_name_.end() ? children.size() : found->second;
  }
  for (; at < children.size(); ++at) {
    if (children[at].name == name && !children[at].node->is_missing()) return children[at].node;
  }
  return nullptr;
}

MutableNode* MutableDocument::element(MutableNode& array, size_t index) {
  expand(array);
  return index < array.children_.size() ? array.children_[index].node : nullptr;
}

MutableNode& MutableDocument::add(MutableNode& object, std::string_view name) {
  expand(object);
  return *object.children_.emplace_back(MutableNode::Child{name, make(Value::missing())}).node;
}

MutableNode& MutableDocument::element_or_pad(MutableNode& array, size_t index) {
  expand(array);
  while (array.children_.size() <= index) array.children_.push_back({{}, make(Value::null())});
  return *array.children_[index].node;
}

Value MutableDocument::value(const MutableNode& node, Arena& arena) const {
  if (!node.expanded_) return node.leaf_;
  if (node.array_) {
    ArrayBuilder array(arena, node.children_.size());
    for (const auto& child : node.children_) {
      Value element = value(*child.node, arena);
      array.add(element.is_missing() ? Value::null() : element);
    }
    return array.finish();
  }
  ObjectBuilder object(arena, node.children_.size());
  for (const auto& child : node.children_) object.add(child.name, value(*child.node, arena));
  return object.finish();
}

void MutableDocument::write_children(const MutableNode& node, BsonWriter& writer) {
  size_t index = 0;
  for (const auto& child : node.children_) {
    const MutableNode& at = *child.node;
    std::string position;
    if (node.array_) position = std::to_string(index++);
    std::string_view name = node.array_ ? std::string_view(position) : child.name;
    if (!at.expanded_) {
      writer.append(name, node.array_ && at.leaf_.is_missing() ? Value::null() : at.leaf_);
      continue;
    }
    at.array_ ? writer.begin_array(name) : writer.begin_object(name);
    write_children(at, writer);
    writer.end();
  }
}

void MutableDocument::write(BsonWriter& writer) const {
  if (!root_.expanded_) {
    writer.append_document(root_.leaf_);
    return;
  }
  writer.begin_document();
  write_children(root_, writer);
  writer.end();
}

}  // namespace millrace::commands
