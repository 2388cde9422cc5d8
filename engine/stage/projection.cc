#include "engine/stage/projection.h"

#include <algorithm>

#include "engine/expression/limits.h"

namespace millrace::engine {
namespace {

using Kind = ProjectionNode::Kind;

// Finds fields by name: by walking, or by an index of them where so many names are looked for that
// it pays.
class FieldFinder {
 public:
  FieldFinder(size_t fields, size_t names, Arena& arena)
      : arena_(arena), walks_(fields * names <= kMaxWalk) {}
  // The position, or fields.size(). `fields` may only grow between calls.
  size_t find(std::span<const Field> fields, std::string_view name) {
    if (!walks_) return index_.find(fields, name, arena_);
    size_t i = 0;
    while (i < fields.size() && !fields[i].has_name(name)) ++i;
    return i;
  }

 private:
  static constexpr size_t kMaxWalk = 4096;
  Arena& arena_;
  bool walks_;
  FieldIndex index_;
};

// The tree_depth() of a document that has parts of `whole` and, if any, of `added`; not too small.
int depth_of(const Value& whole) { return std::max(whole.tree_depth(), 1); }
int depth_with(int depth, const Value& added) {
  return std::max(depth, std::min(added.tree_depth() + 1, Value::kMaxTreeDepth));
}

// Returns how many are left.
size_t drop_missing(Field* fields, size_t count) {
  return static_cast<size_t>(
      std::remove_if(fields, fields + count, [](const Field& f) { return f.value.is_missing(); }) -
      fields);
}

// A document's fields and those that are set by name. A field set to missing disappears.
class FieldList {
 public:
  FieldList(std::span<const Field> fields, size_t names, Arena& arena)
      : fields_(arena.allocate_array<Field>(fields.size() + names)),
        size_(fields.size()),
        finder_(fields.size() + names, names, arena) {
    std::copy(fields.begin(), fields.end(), fields_);
  }

  Value get(std::string_view name) {
    size_t i = finder_.find({fields_, size_}, name);
    return i < size_ ? fields_[i].value : Value();
  }
  void set(std::string_view name, const Value& value) {
    size_t i = finder_.find({fields_, size_}, name);
    if (i < size_) {
      fields_[i].value = value;
      has_missing_ = has_missing_ || value.is_missing();
    } else if (!value.is_missing()) {
      new (&fields_[size_++]) Field(name, value);
    }
  }
  Value finish() {
    if (has_missing_) size_ = drop_missing(fields_, size_);
    return Value::object({fields_, size_});
  }

 private:
  Field* fields_;
  size_t size_;
  FieldFinder finder_;
  bool has_missing_ = false;
};

Value project_value(const ProjectionNode& node, const Value& value, Projection::Mode mode,
                    Arena& arena);

// The fields of `object` that the children of `node` leave.
Value project_object(const ProjectionNode& node, const Value& object, Projection::Mode mode,
                     Arena& arena) {
  std::span<const Field> fields = object_fields(object, arena);
  Field* result = arena.allocate_array<Field>(fields.size() + 1);
  size_t count = 0;
  for (const Field& field : fields) {
    const ProjectionNode* child = node.find(field.name());
    if (child == nullptr || child->kind == Kind::kComputed) {
      if (mode == Projection::Mode::kExclusion) new (&result[count++]) Field(field);
    } else if (child->kind == Kind::kInclude) {
      new (&result[count++]) Field(field);
    } else if (child->kind == Kind::kChildren) {
      Value projected = project_value(*child, field.value, mode, arena);
      if (projected.is_missing() && child->computes) projected = Value::null();  // keeps its place
      if (!projected.is_missing()) new (&result[count++]) Field(field.name(), projected);
    }
  }
  return Value::object({result, count}, depth_of(object));
}

Value project_value(const ProjectionNode& node, const Value& value, Projection::Mode mode,
                    Arena& arena) {
  if (value.is_object()) return project_object(node, value, mode, arena);
  if (!value.is_array()) return mode == Projection::Mode::kInclusion ? Value() : value;
  ArrayBuilder result(arena);
  for (const Value& element : value.as_array()) {
    Value projected = project_value(node, element, mode, arena);
    // Where something is computed below, an element that is no document becomes one in the next
    // pass and keeps its place.
    if (!projected.is_missing() || node.computes) result.add(projected);
  }
  return result.finish();
}

Value compute_value(const ProjectionNode& node, const Value& value, EvalContext& context);

void compute_children(const ProjectionNode& node, FieldList& fields, EvalContext& context) {
  for (const auto& child : node.children) {
    if (child->kind == Kind::kComputed) {
      fields.set(child->name, checked_size(child->expression->evaluate(context)));
    } else if (child->computes) {
      fields.set(child->name, compute_value(*child, fields.get(child->name), context));
    }
  }
}

// `value` with what `node`'s children compute put into it. Requires: node.computes.
Value compute_value(const ProjectionNode& node, const Value& value, EvalContext& context) {
  if (value.is_array()) {
    ArrayBuilder result(*context.arena);
    for (const Value& element : value.as_array()) result.add(compute_value(node, element, context));
    return checked_size(result.finish());
  }
  std::span<const Field> own;
  if (value.is_object()) own = object_fields(value, *context.arena);
  FieldList fields(own, node.children.size(), *context.arena);
  compute_children(node, fields, context);
  return fields.finish();
}

// What of `node` is needed below, when `later` is needed above: paths that both have. Where they
// have none in common the node's own are taken, because a later reader still sees whether there is
// a document or an array.
PathSet needed_of(const ProjectionNode& node, const PathSet& later) {
  if (node.kind == Kind::kInclude) return later;
  PathSet needs;
  for (bool all : {false, true}) {
    for (const auto& child : node.children) {
      PathSet whole;
      whole.add_all();
      const PathSet* wanted = later.all || all ? &whole : later.find(child->name);
      if (wanted == nullptr) continue;
      PathSet below = child->kind == Kind::kChildren ? needed_of(*child, *wanted) : *wanted;
      needs.children.push_back({child->name, std::move(below)});
    }
    if (!needs.empty()) break;
  }
  return needs;
}

void add_expressions(const ProjectionNode& node, Dependencies& dependencies) {
  if (node.expression != nullptr) node.expression->add_dependencies(dependencies);
  for (const auto& child : node.children) add_expressions(*child, dependencies);
}

}  // namespace

ProjectionNode* ProjectionNode::look_up(std::string_view child) const {
  auto found = by_name_.find(child);
  return found == by_name_.end() ? nullptr : found->second;
}

ProjectionNode* ProjectionNode::add(std::string_view child) {
  constexpr size_t kWalked = 16;
  children.push_back(std::make_unique<ProjectionNode>());
  ProjectionNode* added = children.back().get();
  added->name = child;
  if (!by_name_.empty()) {
    by_name_.emplace(child, added);
  } else if (children.size() > kWalked) {
    for (const auto& node : children) by_name_.emplace(node->name, node.get());
  }
  return added;
}

void ProjectionNode::remove(const ProjectionNode* child) {
  by_name_.erase(child->name);
  std::erase_if(children, [&](const auto& node) { return node.get() == child; });
}

Value Projection::apply(EvalContext& context) const {
  switch (mode_) {
    case Mode::kInclusion:
      return apply_inclusion(context);
    case Mode::kExclusion:
      return apply_exclusion(context);
    case Mode::kAddition:
      return apply_addition(context);
  }
  return {};
}

// The included fields, when this document has the same of them as the last one and in the same
// places. Requires: room for all of them.
bool Projection::copy_as_before(std::span<const Field> fields, Field* to, size_t* count,
                                EvalContext& context) const {
  size_t n = 0;
  for (const ProjectionNode* node : present_) {
    if (node->hint >= fields.size() || !fields[node->hint].has_name(node->name)) return false;
    const Value& value = fields[node->hint].value;
    Value taken =
        node->kind == Kind::kInclude ? value : project_value(*node, value, mode_, *context.arena);
    // What is computed below a value that is no document replaces it where it stood.
    if (taken.is_missing() && node->computes) taken = Value::null();
    if (!taken.is_missing()) new (&to[n++]) Field(node->name, taken);
  }
  FieldFinder finder(fields.size(), absent_.size(), *context.arena);
  for (const ProjectionNode* node : absent_) {
    if (finder.find(fields, node->name) < fields.size()) return false;
  }
  *count = n;
  return true;
}

// Notes where the included fields stand. Of fields with the same name the first one counts.
void Projection::learn(std::span<const Field> fields, Arena& arena) const {
  present_.clear();
  absent_.clear();
  FieldFinder finder(fields.size(), root_.children.size(), arena);
  for (const auto& node : root_.children) {
    if (node->kind == Kind::kComputed) continue;
    size_t at = finder.find(fields, node->name);
    node->hint = static_cast<uint32_t>(at);
    (at == fields.size() ? absent_ : present_).push_back(node.get());
  }
  std::sort(present_.begin(), present_.end(),
            [](const auto* a, const auto* b) { return a->hint < b->hint; });
}

Value Projection::apply_inclusion(EvalContext& context) const {
  Arena& arena = *context.arena;
  auto fields = object_fields(context.root, arena);
  Field* out =
      arena.allocate_array<Field>(root_.children.size());  // each node gives one field at most
  size_t count = 0;
  if (!copy_as_before(fields, out, &count, context)) {
    learn(fields, arena);
    copy_as_before(fields, out, &count, context);
  }
  int depth = depth_of(context.root);
  if (!root_.computes) return Value::object({out, count}, depth);
  size_t passed = count;
  FieldFinder finder(passed, root_.children.size(), arena);
  for (const auto& node : root_.children) {
    if (!node->computes) continue;
    if (node->kind ==
        Kind::kComputed) {  // no field of this name was included, so there is none yet
      Value value = checked_size(node->expression->evaluate(context));
      if (!value.is_missing()) new (&out[count++]) Field(node->name, value);
      depth = depth_with(depth, value);
      continue;
    }
    size_t own = finder.find({out, passed}, node->name);
    Value value = compute_value(*node, own < passed ? out[own].value : Value(), context);
    depth = depth_with(depth, value);
    if (own < passed) {
      out[own].value = value;
    } else {
      new (&out[count++]) Field(node->name, value);
    }
  }
  return Value::object({out, count}, depth);
}

Value Projection::apply_exclusion(EvalContext& context) const {
  Value rest = project_object(root_, context.root, mode_, *context.arena);
  return root_.computes ? compute_value(root_, rest, context) : rest;
}

Value Projection::apply_addition(EvalContext& context) const {
  if (!sets_few_)
    return root_.children.empty() ? context.root : compute_value(root_, context.root, context);
  // The ordinary case, without what only many or nested fields need.
  std::span<const Field> own = object_fields(context.root, *context.arena);
  size_t count = own.size();
  Field* fields = context.arena->allocate_array<Field>(count + root_.children.size());
  for (size_t i = 0; i < count; ++i) fields[i] = own[i];
  int depth = depth_of(context.root);
  bool has_missing = false;
  for (const auto& child : root_.children) {
    Value value = checked_size(child->expression->evaluate(context));
    depth = depth_with(depth, value);
    size_t at = 0;
    while (at < count && !fields[at].has_name(child->name)) ++at;
    if (at < count) {
      fields[at].value = value;
      has_missing = has_missing || value.is_missing();
    } else if (!value.is_missing()) {
      new (&fields[count++]) Field(child->name, value);
    }
  }
  if (has_missing) count = drop_missing(fields, count);
  return Value::object({fields, count}, depth);
}

void Projection::dependencies(Dependencies& dependencies) const {
  if (mode_ == Mode::kInclusion) {
    PathSet needs;
    for (const auto& node : root_.children) {
      if (node->kind == Kind::kComputed) continue;
      PathSet whole;
      whole.add_all();
      const PathSet* wanted =
          dependencies.fields.all ? &whole : dependencies.fields.find(node->name);
      if (wanted != nullptr) needs.children.push_back({node->name, needed_of(*node, *wanted)});
    }
    dependencies.fields = std::move(needs);
  } else {
    // Only at the first level: whether "a" of a path "a.b" is a document or an array shows in the
    // result.
    for (const auto& node : root_.children) {
      if (node->kind != Kind::kChildren) dependencies.fields.remove(&node->name, 1);
    }
  }
  add_expressions(root_, dependencies);
}

}  // namespace millrace::engine
