// The tree of fields that $project, $unset and $addFields share: which fields stay, which go, which
// are computed.
//
// How a dotted path meets an array: the rest of the path applies to every element, at any depth.
// How computed fields meet values that are no documents: they replace them by a document of what is
// computed. Source: the manual's pages on $project and $addFields; order of fields and error codes
// as MongoDB 6.0.5 has them.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/status.h"
#include "engine/document/value.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

// One name of the tree.
struct ProjectionNode {
  enum class Kind : uint8_t { kInclude, kExclude, kComputed, kChildren };

  std::string_view name;  // interned
  Kind kind = Kind::kChildren;
  ExpressionPtr expression;  // of kComputed
  std::vector<std::unique_ptr<ProjectionNode>>
      children;           // of kChildren, in the order of the specification
  bool computes = false;  // this or something below is computed
  mutable uint32_t hint =
      0;  // where the field stood in the last document (nodes of the first level)

  // The child of that name, or nullptr.
  ProjectionNode* find(std::string_view child) const {
    if (!by_name_.empty()) return look_up(child);
    for (const auto& node : children) {
      if (node->name.size() == child.size() &&
          same_bytes(node->name.data(), child.data(), child.size()))
        return node.get();
    }
    return nullptr;
  }
  // A new last child. Requires: there is none of that name.
  ProjectionNode* add(std::string_view child);
  void remove(const ProjectionNode* child);

 private:
  ProjectionNode* look_up(std::string_view child) const;
  // Of many children.
  std::unordered_map<std::string_view, ProjectionNode*> by_name_;
};

// A compiled projection. Used by one thread at a time.
class Projection {
 public:
  enum class Mode : uint8_t {
    kInclusion,  // only the fields named, and those computed
    kExclusion,  // all but the fields named
    kAddition,   // all, and those computed
  };

  // The body of {$project: …}. Errors: 51272, 51270, 31249 to 31254, 31310, 31324, 31325, those of
  // paths and of expressions.
  static Result<std::unique_ptr<Projection>> parse_project(const Value& spec,
                                                           ParseContext& context);
  // The body of {$addFields: …}. Errors: 40176, 40181, 40183, those of paths and of
  // expressions.
  static Result<std::unique_ptr<Projection>> parse_add_fields(const Value& spec,
                                                              ParseContext& context);
  // The paths of {$unset: …}.
  static Result<std::unique_ptr<Projection>> parse_unset(const std::vector<std::string_view>& paths,
                                                         ParseContext& context);

  // The document that stands for `context.root`. Throws EvaluationError from the expressions.
  Value apply(EvalContext& context) const;

  // Turns what is needed of the result into what is needed of the document.
  void dependencies(Dependencies& dependencies) const;

 private:
  friend class ProjectionParser;
  Projection() = default;

  Value apply_inclusion(EvalContext& context) const;
  Value apply_exclusion(EvalContext& context) const;
  Value apply_addition(EvalContext& context) const;
  bool copy_as_before(std::span<const Field> fields, Field* to, size_t* count,
                      EvalContext& context) const;
  void learn(std::span<const Field> fields, Arena& arena) const;

  Mode mode_ = Mode::kInclusion;
  ProjectionNode root_;
  bool sets_few_ = false;  // addition of a few fields of the first level
  // Inclusion: the nodes of the first level that take something from the document. Those that the
  // last document had, by position, and those that it had not.
  mutable std::vector<const ProjectionNode*> present_;
  mutable std::vector<const ProjectionNode*> absent_;
};

}  // namespace millrace::engine
