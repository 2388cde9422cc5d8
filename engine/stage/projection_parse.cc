// Parsing of what $project, $addFields and $unset are given.
#include <algorithm>
#include <optional>

#include "engine/document/bson.h"
#include "engine/expression/registry.h"
#include "engine/stage/projection.h"

namespace millrace::engine {
namespace {

using Kind = ProjectionNode::Kind;
using Mode = Projection::Mode;

// {$operator: …} and nothing else.
bool is_single_expression(const Value& value) {
  if (!value.is_object()) return false;
  ObjectView object = value.as_object();
  return object.size() == 1 && object.begin()->name().starts_with('$');
}

// "1", "true", "0": a value that says whether a field stays.
std::optional<bool> as_flag(const Value& value) {
  if (!value.is(Type::kBool) && !value.is_number()) return std::nullopt;
  return value.truthy();
}

// Nodes whose subtree computes something say so.
bool mark_computing(ProjectionNode& node) {
  node.computes = node.kind == Kind::kComputed;
  for (auto& child : node.children) node.computes = mark_computing(*child) || node.computes;
  return node.computes;
}

}  // namespace

// Builds the tree of one specification.
class ProjectionParser {
 public:
  explicit ProjectionParser(ParseContext& context)
      : context_(context), projection_(new Projection) {}

  Status project(const Value& spec) {
    if (spec.as_object().empty()) return Status(51272, "a projection must have at least one field");
    MR_RETURN_IF_ERROR(project_fields(spec, projection_->root_, "", 0));
    projection_->mode_ =
        mode_.value_or(id_excluded_ && !computes_ ? Mode::kExclusion : Mode::kInclusion);
    return settle_id();
  }

  // The form of the whole specification is checked before the first expression in it.
  Status add_fields(const Value& spec) {
    projection_->mode_ = Mode::kAddition;
    std::vector<Added> added;
    MR_RETURN_IF_ERROR(add_fields_below(spec, "", 0, added));
    for (const auto& [leaf, value] : added) {
      MR_ASSIGN_OR_RETURN(leaf->expression, parse_expression(value, context_));
    }
    return {};
  }

  Status unset(const std::vector<std::string_view>& paths) {
    projection_->mode_ = Mode::kExclusion;
    for (std::string_view path : paths) {
      MR_ASSIGN_OR_RETURN(ProjectionNode * leaf, make_leaf(path, projection_->root_, path));
      leaf->kind = Kind::kExclude;
    }
    return {};
  }

  std::unique_ptr<Projection> finish() {
    constexpr size_t kFew = 16;
    mark_computing(projection_->root_);
    const auto& children = projection_->root_.children;
    projection_->sets_few_ =
        projection_->mode_ == Mode::kAddition && !children.empty() && children.size() <= kFew &&
        std::all_of(children.begin(), children.end(),
                    [](const auto& child) { return child->kind == Kind::kComputed; });
    for (const auto& node : projection_->root_.children) {
      if (node->kind != Kind::kComputed) projection_->absent_.push_back(node.get());
    }
    return std::move(projection_);
  }

 private:
  // $project

  Status project_fields(const Value& spec, ProjectionNode& parent, const std::string& prefix,
                        int depth) {
    if (depth > kMaxNestingDepth)
      return Status(ErrorCode::kOverflow, "the projection is nested too deeply");
    for (const Field& field : spec.as_object()) {
      std::string path =
          prefix.empty() ? std::string(field.name()) : prefix + "." + std::string(field.name());
      if (field.name().ends_with(".$"))
        return Status(31324, "positional projection is not allowed here: " + path);
      if (field.value.is_object() && !is_single_expression(field.value)) {
        MR_RETURN_IF_ERROR(project_nested(field, parent, path, depth));
      } else {
        MR_RETURN_IF_ERROR(project_leaf(field, parent, path));
      }
    }
    return {};
  }

  Status project_nested(const Field& field, ProjectionNode& parent, const std::string& path,
                        int depth) {
    if (field.value.as_object().empty()) {
      return Status(51270, "an empty sub-projection is not a valid value: " + path);
    }
    MR_ASSIGN_OR_RETURN(ProjectionNode * node, make_branch(field.name(), parent, path));
    return project_fields(field.value, *node, path, depth + 1);
  }

  Status project_leaf(const Field& field, ProjectionNode& parent, const std::string& path) {
    std::optional<bool> flag = as_flag(field.value);
    // An operator is looked at before its place, any other value after it (6.0.5).
    bool is_operator = is_single_expression(field.value);
    if (is_operator)
      MR_RETURN_IF_ERROR(check_operator(field.value.as_object().begin()->name(), path));
    MR_ASSIGN_OR_RETURN(ProjectionNode * leaf, make_leaf(field.name(), parent, path));
    if (!flag && !is_operator) MR_RETURN_IF_ERROR(check_computed(31310, path));
    if (!flag) return project_expression(field.value, *leaf);
    leaf->kind = *flag ? Kind::kInclude : Kind::kExclude;
    if (path == "_id") {  // may go with either mode and decides neither
      id_excluded_ = !*flag;
      return {};
    }
    Mode wanted = *flag ? Mode::kInclusion : Mode::kExclusion;
    if (!mode_) mode_ = wanted;
    if (*mode_ == wanted) return {};
    if (*flag)
      return Status(31253, "Cannot do inclusion on field " + path + " in exclusion projection");
    return Status(31254, "Cannot do exclusion on field " + path + " in inclusion projection");
  }

  // What can be said of {$operator: …} without its operands.
  Status check_operator(std::string_view name, const std::string& path) {
    MR_RETURN_IF_ERROR(parse_field_path(path, context_.names()).status());
    if (name == "$elemMatch")
      return Status(ErrorCode::kInvalidPipelineOperator, "$elemMatch is no expression: " + path);
    if (find_expression(name) == nullptr)
      return Status(31325, "Unknown expression " + std::string(name));
    return name == "$meta" ? Status()
                           : check_computed(31252, path);  // $meta goes with an exclusion too
  }

  // Something is computed, which makes it an inclusion. `code`: of the error when it is none.
  Status check_computed(int code, const std::string& path) {
    if (!mode_) mode_ = Mode::kInclusion;
    if (*mode_ == Mode::kInclusion) return {};
    return Status(code, "Cannot use an expression in an exclusion projection: " + path);
  }

  Status project_expression(const Value& value, ProjectionNode& leaf) {
    leaf.kind = Kind::kComputed;
    computes_ = true;
    MR_ASSIGN_OR_RETURN(leaf.expression, parse_expression(value, context_));
    return {};
  }

  // _id is included unless told otherwise; an _id flag that agrees with an exclusion's default says
  // nothing.
  Status settle_id() {
    auto& children = projection_->root_.children;
    ProjectionNode* id = projection_->root_.find("_id");
    bool inclusion = projection_->mode_ == Mode::kInclusion;
    if (id == nullptr) {
      if (!inclusion) return {};
      projection_->root_.add(context_.names().intern("_id"))->kind = Kind::kInclude;
      std::rotate(children.begin(), children.end() - 1, children.end());
    } else if (id->kind == (inclusion ? Kind::kExclude : Kind::kInclude)) {
      projection_->root_.remove(id);
    }
    return {};
  }

  // $addFields

  struct Added {
    ProjectionNode* leaf;
    Value value;
  };

  Status add_fields_below(const Value& spec, const std::string& prefix, int depth,
                          std::vector<Added>& added) {
    if (depth > kMaxNestingDepth)
      return Status(ErrorCode::kOverflow, "the specification is nested too deeply");
    for (const Field& field : spec.as_object()) {
      if (depth > 0) MR_RETURN_IF_ERROR(check_name_below(field.name(), prefix));
      std::string path =
          depth == 0 ? std::string(field.name()) : prefix + "." + std::string(field.name());
      bool nested = field.value.is_object() && !field.value.as_object().empty() &&
                    !is_single_expression(field.value);
      if (nested) {
        MR_RETURN_IF_ERROR(parse_field_path(path, context_.names()).status());
        MR_RETURN_IF_ERROR(add_fields_below(field.value, path, depth + 1, added));
      } else {
        auto leaf = make_leaf(path, projection_->root_, path);
        if (!leaf.ok()) return conflict(leaf.status());
        (*leaf)->kind = Kind::kComputed;
        added.push_back({*leaf, field.value});
      }
    }
    return {};
  }

  static Status check_name_below(std::string_view name, const std::string& path) {
    if (name.starts_with('$'))
      return Status(40181, "an expression must be an object of one field, the operator: " + path);
    if (name.find('.') != std::string_view::npos) {
      return Status(40183,
                    "cannot use the dotted field name '" + std::string(name) + "' in a sub object");
    }
    return {};
  }

  // The server has one code of $addFields for what $project tells apart.
  static Status conflict(const Status& status) {
    return status.code() == 31249 || status.code() == 31250 ? Status(40176, status.message())
                                                            : status;
  }

  // The tree

  // The node at `dotted` below `parent`, with all nodes on the way; nullptr for the last one's
  // absence is never returned.
  Result<ProjectionNode*> descend(std::string_view dotted, ProjectionNode& parent,
                                  std::string_view path, bool leaf) {
    MR_ASSIGN_OR_RETURN(FieldPath parts, parse_field_path(dotted, context_.names()));
    ProjectionNode* at = &parent;
    for (size_t i = 0; i < parts.size(); ++i) {
      bool last = i + 1 == parts.size();
      ProjectionNode* next = at->find(parts.parts[i]);
      if (next != nullptr && next->kind != Kind::kChildren) {
        return last ? Status(31250, "Path collision at " + std::string(path))
                    : Status(31249, "Path collision at " + std::string(path) +
                                        ": a path before it is its beginning");
      }
      if (next != nullptr && last && leaf)
        return Status(31250, "Path collision at " + std::string(path));
      if (next == nullptr) next = at->add(parts.parts[i]);
      at = next;
    }
    return at;
  }
  Result<ProjectionNode*> make_leaf(std::string_view dotted, ProjectionNode& parent,
                                    std::string_view path) {
    return descend(dotted, parent, path, true);
  }
  Result<ProjectionNode*> make_branch(std::string_view dotted, ProjectionNode& parent,
                                      std::string_view path) {
    return descend(dotted, parent, path, false);
  }

  ParseContext& context_;
  std::unique_ptr<Projection> projection_;
  std::optional<Mode> mode_;
  bool id_excluded_ = false;
  bool computes_ = false;
};

Result<std::unique_ptr<Projection>> Projection::parse_project(const Value& spec,
                                                              ParseContext& context) {
  ProjectionParser parser(context);
  MR_RETURN_IF_ERROR(parser.project(spec));
  return parser.finish();
}

Result<std::unique_ptr<Projection>> Projection::parse_add_fields(const Value& spec,
                                                                 ParseContext& context) {
  ProjectionParser parser(context);
  MR_RETURN_IF_ERROR(parser.add_fields(spec));
  return parser.finish();
}

Result<std::unique_ptr<Projection>> Projection::parse_unset(
    const std::vector<std::string_view>& paths, ParseContext& context) {
  ProjectionParser parser(context);
  MR_RETURN_IF_ERROR(parser.unset(paths));
  return parser.finish();
}

}  // namespace millrace::engine
