#include "commands/local/update.h"

#include <algorithm>
#include <array>

#include "commands/local/empty_timestamp.h"
#include "commands/local/index_keys.h"
#include "commands/local/stage_errors.h"
#include "commands/local/update_operators.h"
#include "engine/document/compare.h"
#include "engine/runtime/stage_table.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

// ---- replacement

constexpr int kNotSingleValueField = 54;

Status id_is_array(bool inserting) {
  if (!inserting)
    return Status(ErrorCode::kInvalidIdField, "The '_id' value cannot be of type array");
  return Status(kNotSingleValueField,
                "After applying the update to the document, the (immutable) field '_id' was found "
                "to be an array or array descendant.");
}

// Names with $ in an _id's objects, below arrays too, are refused but for a reference's {$ref:
// <text>, $id: …, $db: …}. The first such name; empty: none.
std::string_view dollar_name(const Value& value) {
  if (value.is_array()) {
    for (const Value& element : value.as_array()) {
      if (auto name = dollar_name(element); !name.empty()) return name;
    }
  }
  if (!value.is_object()) return {};
  auto fields = value.as_object();
  std::string_view before;
  for (auto at = fields.begin(); at != fields.end(); ++at) {
    const auto& field = *at;
    std::string_view name = field.name();
    if (name.starts_with('$')) {
      bool allowed = (name == "$id" && before == "$ref") || (name == "$db" && before == "$id");
      if (name == "$ref" && field.value.is_string()) {
        auto next = at;
        allowed = ++next != fields.end() && (*next).has_name("$id");
      }
      if (!allowed) return name;
    }
    if (auto below = dollar_name(field.value); !below.empty()) return below;
    before = name;
  }
  return {};
}

// Whether a collection may hold such an _id. Codes: 6.0.5.
Status check_storable_id(const Value& id, bool inserting) {
  if (id.is_array()) return id_is_array(inserting);
  if (id.is(engine::Type::kRegex) || id.is(engine::Type::kUndefined)) {
    return Status(ErrorCode::kInvalidIdField,
                  "The '_id' value cannot be of type " + std::string(id.type_name()));
  }
  if (auto name = dollar_name(id); !name.empty()) {
    return Status(ErrorCode::kDollarPrefixedFieldName,
                  "_id fields may not contain '$'-prefixed fields: " + std::string(name) +
                      " is not valid for storage.");
  }
  return {};
}

// The _id of a whole new document. That of an upsert's query is compared before it is looked at.
Status check_new_id(const Value& before, const Value& after, bool inserting) {
  if (inserting && after.is_array()) return id_is_array(true);
  if (engine::equal(before, after)) return {};
  if (!inserting || before.is_missing()) MR_RETURN_IF_ERROR(check_storable_id(after, inserting));
  return inserting && before.is_missing() ? Status() : check_id_unchanged(before, after, false);
}

class Replacement final : public Update {
 public:
  // `stamp`: the clock for its empty timestamps; nullptr: they stay.
  Replacement(Value document, const engine::Clock* stamp)
      : document_(document), stamp_(has_empty_timestamp(document) ? stamp : nullptr) {}
  bool replaces() const override { return true; }

  Status apply(const Value& document, bool inserting, BsonWriter& out) override {
    out.clear();
    out.begin_document();
    Value old_id = document.as_object().get("_id");
    Value new_id = document_.as_object().get("_id");
    if (new_id.is_missing()) new_id = old_id;
    if (!new_id.is_missing()) MR_RETURN_IF_ERROR(check_new_id(old_id, new_id, inserting));
    out.append("_id", new_id);  // equal, but perhaps of another type
    for (const auto& field : document_.as_object()) {
      if (field.has_name("_id")) continue;
      bool stamped = stamp_ != nullptr && is_empty_timestamp(field);
      out.append(field.name(), stamped ? next_timestamp(*stamp_) : field.value);
    }
    out.end();
    return {};
  }

 private:
  Value document_;
  const engine::Clock* stamp_;
};

Status check_replacement(const Value& document) {
  for (const auto& field : document.as_object()) {
    if (!field.name().starts_with('$')) continue;
    return Status(ErrorCode::kDollarPrefixedFieldName,
                  "The dollar ($) prefixed field '" + std::string(field.name()) + "' in '" +
                      std::string(field.name()) +
                      "' is not allowed in the context of an update's replacement document. "
                      "Consider using an aggregation pipeline with $replaceWith.");
  }
  return {};
}

// ---- pipeline

class PipelineUpdate final : public Update {
 public:
  PipelineUpdate(const engine::Clock& clock, Value pipeline)
      : evaluation_(clock), pipeline_(pipeline) {}

  Status build(const UpdateSpec& spec, engine::PipelineBuilder& builder) {
    MR_RETURN_IF_ERROR(evaluation_.bind(spec.let));
    MR_RETURN_IF_ERROR(evaluation_.bind(spec.constants, true));
    MR_RETURN_IF_ERROR(engine::check_stage_count(pipeline_.as_array().size()));
    engine::StageContext context{evaluation_.parse(), builder, engine::Place::kUpdate};
    for (Value stage : pipeline_.as_array()) MR_RETURN_IF_ERROR(check_stage(stage));
    MR_ASSIGN_OR_RETURN(operators_, builder.build(pipeline_, engine::Place::kUpdate, context));
    evaluation_.ready();
    context_.eval = evaluation_.eval();
    context_.clock = &evaluation_.clock();
    context_.dead_letters = &errors_;
    context_.memory = &memory_;
    has_let_ = !spec.let.is_nullish();
    return {};
  }

  bool rebind(const UpdateSpec& spec) override {
    if (has_let_ || !spec.let.is_nullish() || !spec.update.is_array() || spec.update.is_tree() ||
        pipeline_.is_tree())
      return false;
    if (spec.update.bson_bytes() != pipeline_.bson_bytes()) return false;
    if (!spec.constants.is_object() || !evaluation_.rebind(spec.constants)) return false;
    context_.eval.variables = evaluation_.eval().variables;
    return true;
  }

  Status apply(const Value& document, bool inserting, BsonWriter& out) override {
    batch_.clear();
    batch_.documents.emplace_back().body = document;
    context_.eval.arena = &batch_.arena;
    try {
      for (auto& op : operators_) op->on_batch(batch_, context_);
    } catch (const engine::EvaluationError& error) {
      return error.status();
    }
    Value result = batch_.documents.front().body;
    Value old_id = document.as_object().get("_id");
    Value new_id = result.as_object().get("_id");
    out.clear();
    // An upsert that changes nothing is looked at when it is stored (6.0.5).
    if (inserting && (new_id.is_missing() ? old_id : new_id).is_array())
      return id_is_array(!engine::equal(document, result));
    if (new_id.is_missing() &&
        !old_id.is_missing()) {  // a stage that makes the document anew may leave _id out: it stays
      out.begin_document();
      out.append("_id", old_id);
      for (const auto& field : result.as_object()) out.append(field.name(), field.value);
      out.end();
      return {};
    }
    MR_RETURN_IF_ERROR(check_new_id(old_id, new_id, inserting));
    out.append_document(result);
    return {};
  }

 private:
  static Status check_stage(const Value& stage) {
    if (!stage.is_object() || stage.as_object().empty()) return {};
    std::string_view name = stage.as_object().begin()->name();
    constexpr std::array<std::string_view, 6> kAllowed = {
        "$addFields", "$project", "$replaceRoot", "$replaceWith", "$set", "$unset"};
    if (std::find(kAllowed.begin(), kAllowed.end(), name) != kAllowed.end()) return {};
    return Status(ErrorCode::kInvalidOptions,
                  std::string(name) + " is not allowed to be used within an update");
  }

  Evaluation evaluation_;
  Value pipeline_;
  bool has_let_ = false;
  std::vector<engine::OperatorPtr> operators_;
  engine::OperatorContext context_;
  engine::MemoryAccount memory_;
  StageErrors errors_;
  engine::Batch batch_;
};

}  // namespace

Status check_id_unchanged(const Value& before, const Value& after, bool by_path) {
  // An operator may not even change the type of a number there.
  bool same_type = !by_path || before.type() == after.type();
  if (engine::equal(before, after) && same_type && !after.is_missing()) return {};
  if (before.is_missing() && after.is_missing()) return {};
  if (by_path) {
    return Status(ErrorCode::kImmutableField,
                  "Performing an update on the path '_id' would modify the immutable field '_id'");
  }
  return Status(ErrorCode::kImmutableField,
                "After applying the update, the (immutable) field '_id' was found to have been "
                "altered to _id: " +
                    shell_text(after));
}

Result<std::unique_ptr<Update>> Update::parse(const UpdateSpec& spec,
                                              engine::PipelineBuilder& builder,
                                              const engine::Clock& clock) {
  if (spec.update.is_array()) {
    if (!spec.array_filters.is_missing()) {
      return Status(ErrorCode::kFailedToParse,
                    "arrayFilters may not be specified for pipeline-style updates");
    }
    auto pipeline = std::make_unique<PipelineUpdate>(clock, spec.update);
    MR_RETURN_IF_ERROR(pipeline->build(spec, builder));
    return std::unique_ptr<Update>(std::move(pipeline));
  }
  if (!spec.constants.is_missing())
    return Status(51198, "Constant values may only be specified for pipeline updates");
  auto fields = spec.update.as_object();
  if (!fields.empty() && fields.begin()->name().starts_with('$'))
    return parse_update_operators(spec, clock);
  MR_RETURN_IF_ERROR(check_replacement(spec.update));
  return std::unique_ptr<Update>(
      std::make_unique<Replacement>(spec.update, spec.keep_empty_timestamps ? nullptr : &clock));
}

}  // namespace millrace::commands
