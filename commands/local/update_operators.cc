#include "commands/local/update_operators.h"
#include "engine/document/compare.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include "commands/local/index_keys.h"
#include "commands/local/mutable_document.h"
#include "commands/local/update_operator.h"
#include "commands/local/update_path.h"
#include "engine/document/array_position.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr size_t kMaxBackfill = 1'500'000;
constexpr int kCannotBackfillArray = 34;

struct Assignment {
  UpdatePath path;
  UpdateActionPtr action;  // null: $rename
  UpdatePath rename_source;
};

struct ArrayFilter {
  std::string identifier;
  engine::PredicatePtr predicate;
  bool used = false;
};

std::string element_text(std::string_view name, const Value& value) {
  return "{" + std::string(name) + ": " + shell_text(value) + "}";
}

// The first name of every path in an array filter; they must agree.
Status add_filter_names(const Value& filter, std::vector<std::string>* names) {
  for (const auto& field : filter.as_object()) {
    if (field.name().starts_with('$') && field.value.is_array()) {
      for (Value clause : field.value.as_array()) {
        if (clause.is_object()) MR_RETURN_IF_ERROR(add_filter_names(clause, names));
      }
      continue;
    }
    if (field.name().starts_with('$')) continue;
    std::string name(field.name().substr(0, field.name().find('.')));
    if (std::find(names->begin(), names->end(), name) == names->end())
      names->push_back(std::move(name));
  }
  return {};
}

Result<std::string> filter_identifier(const Value& filter) {
  std::vector<std::string> names;
  MR_RETURN_IF_ERROR(add_filter_names(filter, &names));
  if (names.empty())
    return Status(ErrorCode::kFailedToParse,
                  "Cannot use an expression without a top-level field name in arrayFilters");
  if (names.size() > 1) {
    return Status(ErrorCode::kFailedToParse,
                  "Error parsing array filter :: caused by :: Expected a single top-level field "
                  "name, found '" +
                      names[0] + "' and '" + names[1] + "'");
  }
  const std::string& name = names.front();
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || !(name[0] >= 'a' && name[0] <= 'z') ||
      !std::all_of(name.begin(), name.end(), fits)) {
    return Status(ErrorCode::kBadValue,
                  "Error parsing array filter :: caused by :: The top-level field name must be an "
                  "alphanumeric string beginning with a "
                  "lowercase letter, found '" +
                      name + "'");
  }
  return name;
}

// A field of the document itself whose name begins with $ may be there and may go, but no operator
// may write it, unless into the new document of an upsert.
Status check_written(const UpdatePath& path, bool inserting) {
  const std::string& name = path.parts.front().text;
  if (inserting || !name.starts_with('$')) return {};
  return Status(ErrorCode::kDollarPrefixedFieldName,
                "The dollar ($) prefixed field '" + name + "' in '" + name +
                    "' is not allowed in the context of an update's replacement document. "
                    "Consider using an aggregation pipeline with $replaceWith.");
}

// What $setOnInsert does to a document that is there: its path is followed all the same, and fails
// where there is no array to apply it to.
class IdleAction final : public UpdateAction {
 public:
  Absent absent() const override { return Absent::kNothing; }
  Result<Value> apply(const Value& current, const UpdateTarget&) const override { return current; }
};

class OperatorUpdate final : public Update {
 public:
  OperatorUpdate(const UpdateSpec& spec, const engine::Clock& clock)
      : evaluation_(clock), query_(spec.query) {}

  Status build(const UpdateSpec& spec) {
    MR_RETURN_IF_ERROR(parse_filters(spec.array_filters));
    for (const auto& field : spec.update.as_object()) {
      const UpdateRow* row = find_update_operator(field.name());
      if (row == nullptr) {
        return Status(ErrorCode::kFailedToParse, "Unknown modifier: " + std::string(field.name()) +
                                                     ". Expected a valid update modifier or "
                                                     "pipeline-style update specified as an array");
      }
      if (!field.value.is_object()) {
        return Status(ErrorCode::kFailedToParse,
                      "Modifiers operate on fields but we found type " +
                          std::string(field.value.type_name()) +
                          " instead. For example: {$mod: {<field>: ...}} not {" +
                          std::string(field.name()) + ": " + shell_text(field.value) + "}");
      }
      for (const auto& operand : field.value.as_object()) MR_RETURN_IF_ERROR(add(*row, operand));
    }
    for (const auto& [identifier, filter] : filters_) {
      if (filter.used) continue;
      return Status(ErrorCode::kFailedToParse, "The array filter for identifier '" + identifier +
                                                   "' was not used in the update " +
                                                   shell_text(spec.update));
    }
    std::stable_sort(
        assignments_.begin(), assignments_.end(),
        [](const Assignment& a, const Assignment& b) { return applies_before(a.path, b.path); });
    evaluation_.ready();
    return {};
  }

  bool counts() const override { return counts_; }

  Status apply(const Value& document, bool inserting, BsonWriter& out) override {
    evaluation_.arena().reset();
    arena_.reset();
    chosen_.clear();
    inserting_ = inserting;
    counts_ = false;
    MutableDocument changed(document);
    for (const Assignment& assignment : assignments_) {
      bool idle = assignment.action != nullptr && assignment.action->only_on_insert() && !inserting;
      action_ = idle ? &idle_ : assignment.action.get();
      MR_RETURN_IF_ERROR(run(assignment, document, changed));
    }
    out.clear();
    changed.write(out);
    Value before = document.as_object().get("_id");
    if (before.is_missing() && inserting) return {};
    return check_id_unchanged(before, Value::bson_object(out.bytes().data()).as_object().get("_id"),
                              true);
  }

 private:
  Status parse_filters(const Value& filters) {
    if (filters.is_missing()) return {};
    for (Value filter : filters.as_array()) {
      if (!filter.is_object())
        return Status(ErrorCode::kTypeMismatch, "an array filter must be an object");
      MR_ASSIGN_OR_RETURN(auto predicate, evaluation_.parse_field_predicate(filter));
      MR_ASSIGN_OR_RETURN(std::string identifier, filter_identifier(filter));
      auto [at, added] =
          filters_.emplace(identifier, ArrayFilter{identifier, std::move(predicate)});
      if (!added) {
        return Status(
            ErrorCode::kFailedToParse,
            "Found multiple array filters with the same top-level field name " + identifier);
      }
    }
    return {};
  }

  Status add(const UpdateRow& row, const engine::Field& operand) {
    MR_ASSIGN_OR_RETURN(UpdatePath path, parse_update_path(operand.name()));
    for (const UpdatePart& part : path.parts) {
      if (part.kind != UpdatePart::Kind::kFiltered) continue;
      auto filter = filters_.find(part.text);
      if (filter == filters_.end()) {
        return Status(ErrorCode::kBadValue, "No array filter found for identifier '" + part.text +
                                                "' in path '" + path.text + "'");
      }
      filter->second.used = true;
    }
    if (row.parse == nullptr) return add_rename(std::move(path), operand.value);
    MR_ASSIGN_OR_RETURN(auto action, row.parse(operand.name(), operand.value, evaluation_));
    MR_RETURN_IF_ERROR(claimed_.add(path));
    assignments_.push_back({std::move(path), std::move(action), {}});
    return {};
  }

  Status add_rename(UpdatePath source, const Value& to) {
    std::string shown = source.text + ": " + shell_text(to);
    if (!to.is_string())
      return Status(ErrorCode::kBadValue, "The 'to' field for $rename must be a string: " + shown);
    if (to.as_string().find('\0') != std::string_view::npos) {
      return Status(ErrorCode::kBadValue,
                    "The 'to' field for $rename cannot contain an embedded null byte");
    }
    MR_ASSIGN_OR_RETURN(UpdatePath target, parse_update_path(to.as_string()));
    auto dynamic = [](const UpdatePath& path) {
      return std::any_of(path.parts.begin(), path.parts.end(),
                         [](const auto& part) { return part.kind != UpdatePart::Kind::kName; });
    };
    if (dynamic(source))
      return Status(ErrorCode::kBadValue,
                    "The source field for $rename may not be dynamic: " + source.text);
    if (dynamic(target))
      return Status(ErrorCode::kBadValue,
                    "The destination field for $rename may not be dynamic: " + target.text);
    if (source.text == target.text)
      return Status(ErrorCode::kBadValue,
                    "The source and target field for $rename must differ: " + shown);
    ClaimedPaths both;
    MR_RETURN_IF_ERROR(both.add(source));
    if (!both.add(target).ok()) {
      return Status(
          ErrorCode::kBadValue,
          "The source and target field for $rename must not be on the same path: " + shown);
    }
    MR_RETURN_IF_ERROR(claimed_.add(source));
    MR_RETURN_IF_ERROR(claimed_.add(target));
    assignments_.push_back({std::move(target), nullptr, std::move(source)});
    return {};
  }

  Status run(const Assignment& assignment, const Value& document, MutableDocument& changed) {
    if (assignment.action == nullptr) return rename(assignment, document, changed);
    position_.reset();
    for (size_t i = 0; i < assignment.path.parts.size(); ++i) {
      if (assignment.path.parts[i].kind != UpdatePart::Kind::kMatched) continue;
      MR_ASSIGN_OR_RETURN(position_,
                          matched_position(query_, document, ClauseOrder::kSorted, evaluation_));
      if (!position_) {
        return Status(ErrorCode::kBadValue,
                      "The positional operator did not find the match needed from the query.");
      }
    }
    return descend(changed, changed.root(), 0, assignment, document);
  }

  std::string part_name(const UpdatePart& part) const {
    return part.kind == UpdatePart::Kind::kMatched ? std::to_string(*position_) : part.text;
  }

  Status descend(MutableDocument& changed, MutableNode& node, size_t depth,
                 const Assignment& assignment, const Value& document) {
    const UpdatePath& path = assignment.path;
    const UpdateAction& action = *action_;
    if (depth == path.parts.size()) {
      Value current = changed.value(node, arena_);
      std::string field = depth > 0 ? part_name(path.parts[depth - 1]) : std::string();
      UpdateTarget target{document, path.text, field, arena_, evaluation_.eval().now_ms};
      MR_ASSIGN_OR_RETURN(Value value, action.apply(current, target));
      counts_ = counts_ || action.counts(current);
      bool same = engine::identical(value, current);
      if (depth == 1 && !same && action.absent() == UpdateAction::Absent::kCreate)
        MR_RETURN_IF_ERROR(check_written(path, inserting_));
      if (!node.expanded() || !same) node.set(value);
      return {};
    }
    const UpdatePart& part = path.parts[depth];
    if (part.kind == UpdatePart::Kind::kAll || part.kind == UpdatePart::Kind::kFiltered) {
      return descend_all(changed, node, depth, assignment, document);
    }
    std::string name = part_name(part);
    if (auto position = node.is_array() ? engine::array_position(name) : std::nullopt)
      return descend_position(changed, node, depth, *position, assignment, document);
    if (!node.is_object()) {
      if (action.absent() == UpdateAction::Absent::kNothing || node.is_missing()) return {};
      std::string holder = element_text(depth > 0 ? part_name(path.parts[depth - 1]) : "",
                                        changed.value(node, arena_));
      if (action.absent() == UpdateAction::Absent::kCreate) {
        return Status(ErrorCode::kPathNotViable,
                      "Cannot create field '" + name + "' in element " + holder);
      }
      return Status(ErrorCode::kPathNotViable, "Cannot use the part (" + name + ") of (" +
                                                   path.text + ") to traverse the element (" +
                                                   holder + ")");
    }
    MutableNode* child = changed.find(node, name);
    if (child == nullptr) {
      if (part.kind == UpdatePart::Kind::kName && depth + 1 < path.parts.size() &&
          path.parts[depth + 1].kind != UpdatePart::Kind::kName &&
          path.parts[depth + 1].kind != UpdatePart::Kind::kMatched) {
        return Status(ErrorCode::kBadValue,
                      "The path '" + path.prefix(depth + 1) +
                          "' must exist in the document in order to apply array updates.");
      }
      if (action.absent() != UpdateAction::Absent::kCreate) return {};
      if (depth == 0 && path.parts.size() > 1) MR_RETURN_IF_ERROR(check_written(path, inserting_));
      child = &changed.add(node, arena_.copy(name));
      if (depth + 1 < path.parts.size()) child->set(Value::object({}));
    }
    step_to(name, depth);
    return descend(changed, *child, depth + 1, assignment, document);
  }

  // Of the array that the first `depth` names on the way lead to; none when it is new.
  std::span<const Value> original_elements(const Value& document, size_t depth) {
    Value at = document;
    for (size_t i = 0; i < depth; ++i) {
      if (at.is_object()) {
        at = at.as_object().get(trail_[i]);
      } else if (auto position = at.is_array() ? engine::array_position(trail_[i]) : std::nullopt) {
        at = at.as_array().at(*position);
      } else {
        return {};
      }
    }
    if (!at.is_array()) return {};
    return at.as_array().elements(arena_);
  }

  void step_to(std::string name, size_t depth) {
    trail_.resize(depth);
    trail_.push_back(std::move(name));
  }

  // Two paths may not meet in one element: {"a.$[i]": …, "a.$[]": …, "a.$": …}. Whether one of them
  // would change it does not matter.
  Status choose_element(const Assignment& assignment, size_t depth) {
    if (assignments_.size() == 1) return {};
    std::string at = trail_[0];
    for (size_t i = 1; i <= depth; ++i) at += "." + trail_[i];
    auto rest = std::span(assignment.path.parts).subspan(depth + 1);
    std::vector<const Assignment*>& here = chosen_[at];
    for (const Assignment* earlier : here) {
      if (earlier == &assignment) continue;
      auto other = std::span(earlier->path.parts).subspan(depth + 1);
      size_t common = std::min(rest.size(), other.size());
      bool same = std::equal(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(common),
                             other.begin(), [](const UpdatePart& a, const UpdatePart& b) {
                               return a.kind == UpdatePart::Kind::kName && b.kind == a.kind &&
                                      a.text == b.text;
                             });
      if (!same) continue;
      for (const UpdatePart& part : rest.first(common)) at += "." + part.text;
      return Status(ErrorCode::kConflictingUpdateOperators,
                    "Update created a conflict at '" + at + "'");
    }
    here.push_back(&assignment);
    return {};
  }

  Status descend_position(MutableDocument& changed, MutableNode& array, size_t depth, size_t index,
                          const Assignment& assignment, const Value& document) {
    step_to(std::to_string(index), depth);
    MR_RETURN_IF_ERROR(choose_element(assignment, depth));
    MutableNode* child = changed.element(array, index);
    if (child == nullptr) {
      if (action_->absent() != UpdateAction::Absent::kCreate) return {};
      if (index - array.children().size() > kMaxBackfill) {
        return Status(kCannotBackfillArray, "can't backfill more than 1500000 elements");
      }
      child = &changed.element_or_pad(array, index);
      // Not there before: an operator sees a missing value, not the null that fills up.
      child->set(depth + 1 < assignment.path.parts.size() ? Value::object({}) : Value::missing());
    }
    return descend(changed, *child, depth + 1, assignment, document);
  }

  Status descend_all(MutableDocument& changed, MutableNode& array, size_t depth,
                     const Assignment& assignment, const Value& document) {
    const UpdatePart& part = assignment.path.parts[depth];
    if (!array.is_array()) {
      std::string above = assignment.path.prefix(depth);
      if (array.is_missing()) {
        return Status(
            ErrorCode::kBadValue,
            "The path '" + above + "' must exist in the document in order to apply array updates.");
      }
      return Status(ErrorCode::kBadValue,
                    "Cannot apply array updates to non-array element " +
                        std::string(part_name(assignment.path.parts[depth - 1])) + ": " +
                        shell_text(changed.value(array, arena_)));
    }
    changed.expand(array);
    auto& children = array.children();
    // A filter sees the elements as they were before the update's other paths.
    std::span<const Value> originals;
    if (part.kind == UpdatePart::Kind::kFiltered && assignments_.size() > 1)
      originals = original_elements(document, depth);
    for (size_t i = 0; i < children.size(); ++i) {
      if (part.kind == UpdatePart::Kind::kFiltered) {
        engine::ObjectBuilder wrapped(arena_, 1);
        Value before =
            i < originals.size() ? originals[i] : changed.value(*children[i].node, arena_);
        wrapped.add(part.text, before);
        MR_ASSIGN_OR_RETURN(
            bool chosen, evaluation_.matches(*filters_.at(part.text).predicate, wrapped.finish()));
        if (!chosen) continue;
      }
      step_to(std::to_string(i), depth);
      MR_RETURN_IF_ERROR(choose_element(assignment, depth));
      MR_RETURN_IF_ERROR(descend(changed, *children[i].node, depth + 1, assignment, document));
    }
    return {};
  }

  // The node that a rename takes; nullptr when there is none. A value in the way that cannot hold
  // the next part is an error, as is an array anywhere.
  Result<MutableNode*> rename_source(MutableDocument& changed, const UpdatePath& path,
                                     const Value& document) {
    MutableNode* node = &changed.root();
    std::string array;
    for (size_t i = 0; i < path.parts.size(); ++i) {
      const std::string& name = path.parts[i].text;
      auto position = node->is_array() ? engine::array_position(name) : std::nullopt;
      if (!node->is_object() && !position) {
        const std::string& holder = path.parts[i - 1].text;  // the root is an object
        return Status(ErrorCode::kPathNotViable,
                      "cannot use the part (" + holder + " of " + path.text +
                          ") to traverse the element (" +
                          element_text(holder, changed.value(*node, arena_)) + ")");
      }
      if (position && array.empty()) array = path.parts[i - 1].text;
      node = position ? changed.element(*node, *position) : changed.find(*node, name);
      if (node == nullptr) return static_cast<MutableNode*>(nullptr);
    }
    if (array.empty()) return node;
    return Status(ErrorCode::kBadValue, "The source field cannot be an array element, '" +
                                            path.text + "' in doc with " + id_text(document) +
                                            " has an array field called '" + array + "'");
  }

  // The node that a rename ends at; nullptr when there is none yet.
  Result<MutableNode*> renamed_node(MutableDocument& changed, const UpdatePath& path,
                                    std::string_view role, const Value& document) {
    MutableNode* node = &changed.root();
    for (size_t i = 0; i < path.parts.size(); ++i) {
      if (node->is_array()) {
        return Status(ErrorCode::kBadValue,
                      "The " + std::string(role) + " field cannot be an array element, '" +
                          path.text + "' in doc with " + id_text(document) +
                          " has an array field called '" + path.parts[i - 1].text + "'");
      }
      if (!node->is_object()) return static_cast<MutableNode*>(nullptr);
      node = changed.find(*node, path.parts[i].text);
      if (node == nullptr) return static_cast<MutableNode*>(nullptr);
    }
    return node;
  }

  Status rename(const Assignment& assignment, const Value& document, MutableDocument& changed) {
    MR_ASSIGN_OR_RETURN(MutableNode * source,
                        rename_source(changed, assignment.rename_source, document));
    if (source == nullptr) return {};
    MR_RETURN_IF_ERROR(renamed_node(changed, assignment.path, "destination", document).status());
    Value value = changed.value(*source, arena_);
    source->set(Value::missing());
    MutableNode* node = &changed.root();
    for (size_t i = 0; i < assignment.path.parts.size(); ++i) {
      const std::string& name = assignment.path.parts[i].text;
      if (!node->is_object()) {
        std::string holder = element_text(i > 0 ? assignment.path.parts[i - 1].text : "",
                                          changed.value(*node, arena_));
        return Status(ErrorCode::kPathNotViable,
                      "Cannot create field '" + name + "' in element " + holder);
      }
      MutableNode* child = changed.find(*node, name);
      if (i == 0 && (child == nullptr || assignment.path.parts.size() == 1))
        MR_RETURN_IF_ERROR(check_written(assignment.path, inserting_));
      if (child == nullptr) {
        child = &changed.add(*node, arena_.copy(name));
        child->set(Value::object({}));
      }
      node = child;
    }
    node->set(value);
    return {};
  }

  Evaluation evaluation_;
  Value query_;
  engine::Arena arena_;
  std::map<std::string, ArrayFilter> filters_;
  std::vector<Assignment> assignments_;
  ClaimedPaths claimed_;
  const UpdateAction* action_ = nullptr;  // of the assignment at work
  bool inserting_ = false;
  bool counts_ = false;
  IdleAction idle_;
  std::vector<std::string> trail_;  // the names on the way to where `descend` is
  // The elements on the way of the paths in the document at hand.
  std::unordered_map<std::string, std::vector<const Assignment*>> chosen_;
  std::optional<size_t> position_;  // what $ stands for in the document at hand
};

}  // namespace

Result<std::unique_ptr<Update>> parse_update_operators(const UpdateSpec& spec,
                                                       const engine::Clock& clock) {
  auto update = std::make_unique<OperatorUpdate>(spec, clock);
  MR_RETURN_IF_ERROR(update->build(spec));
  return std::unique_ptr<Update>(std::move(update));
}

}  // namespace millrace::commands
