#include "commands/local/foreign_collection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "commands/local/aggregate.h"
#include "commands/local/aggregate_sources.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr size_t kMaxViewDepth = 20;
constexpr int kViewDepthLimitExceeded = 165;

bool makes_documents(std::string_view stage) {
  constexpr std::array<std::string_view, 4> kSources = {"$collStats", "$documents", "$indexStats",
                                                        "$planCacheStats"};
  return std::find(kSources.begin(), kSources.end(), stage) != kSources.end();
}

}  // namespace

Result<ResolvedName> resolve_name(storage::ReadTransaction& txn, std::string_view database,
                                  std::string_view name) {
  ResolvedName resolved;
  std::string at(name);
  for (size_t depth = 0; depth < kMaxViewDepth; ++depth) {
    MR_ASSIGN_OR_RETURN(resolved.collection, find_collection(txn, database, at));
    if (!resolved.collection || !resolved.collection->view) return resolved;
    resolved.view = true;
    std::vector<engine::Document> stages;
    Value pipeline = resolved.collection->options.get("pipeline");
    if (pipeline.is_array()) {
      for (Value stage : pipeline.as_array()) stages.emplace_back(stage);
    }
    resolved.stages.insert(resolved.stages.begin(), stages.begin(), stages.end());
    at = std::string(resolved.collection->view_on());
  }
  return Status(kViewDepthLimitExceeded, "View depth limit exceeded; maximum depth is 20");
}

bool begins_with_source(const Value& pipeline) {
  if (!pipeline.is_array() || pipeline.as_array().empty()) return false;
  auto stage = pipeline_stage(pipeline.as_array().at(0));
  return stage.ok() && makes_documents(stage->name());
}

Result<std::unique_ptr<ForeignCollection>> ForeignCollection::open(std::string_view name,
                                                                   const Value& pipeline,
                                                                   std::string_view holder,
                                                                   engine::StageContext& context,
                                                                   AggregateBuilder& builder) {
  std::unique_ptr<ForeignCollection> foreign(new ForeignCollection(name, builder));
  if (pipeline.is_array()) {
    for (const Value& element : pipeline.as_array()) foreign->rest_.push_back(element);
    MR_RETURN_IF_ERROR(foreign->take_source(holder, context));
  }
  if (name.empty() && foreign->expression_ == nullptr) {
    return Status(ErrorCode::kFailedToParse, std::string(holder) +
                                                 " stage without explicit collection must have a "
                                                 "pipeline with $documents as first stage");
  }
  return foreign;
}

// The first stage of rest_, if it makes documents.
Status ForeignCollection::take_source(std::string_view holder, engine::StageContext& context) {
  for (const Value& element : rest_) {
    MR_ASSIGN_OR_RETURN(auto stage, pipeline_stage(element));
    const AggregateStageRow* row = find_aggregate_stage(stage.name());
    if (row == nullptr || row->role != AggregateRole::kOutput) continue;
    return Status(holder == "$unionWith" ? 31441 : 51047,
                  std::string(stage.name()) + " is not allowed within a " + std::string(holder) +
                      "'s sub-pipeline");
  }
  if (rest_.empty()) return {};
  MR_ASSIGN_OR_RETURN(auto first, pipeline_stage(rest_.front()));
  const AggregateStageRow* row = find_aggregate_stage(first.name());
  if (row == nullptr || row->role != AggregateRole::kSource) return {};
  if (!makes_documents(first.name())) {
    return Status(ErrorCode::kInvalidNamespace,
                  std::string(first.name()) + " does not read a collection");
  }
  if (first.has_name("$documents")) {
    if (!name_.empty()) {
      return Status(ErrorCode::kInvalidNamespace,
                    "a " + std::string(holder) +
                        " with $documents in its pipeline must not name a collection");
    }
    MR_ASSIGN_OR_RETURN(expression_, engine::parse_expression(first.value, context.parse));
  } else {
    source_ = rest_.front();
  }
  rest_.erase(rest_.begin());
  return {};
}

Status ForeignCollection::read_all(engine::Batch& batch, engine::OperatorContext& context) {
  if (expression_ != nullptr) {
    engine::EvalContext& eval = context.eval;
    Value outer = std::exchange(eval.root, Value::object({}));
    engine::Arena* arena = std::exchange(eval.arena, &batch.arena);
    Value value = expression_->evaluate(eval);
    eval.root = outer;
    eval.arena = arena;
    MR_RETURN_IF_ERROR(check_documents(value));
    for (const Value& element : value.as_array()) batch.documents.emplace_back().body = element;
    return {};
  }
  if (!source_.is_missing()) {
    AggregateSpec spec;
    spec.stages = {source_};
    return read_pipeline(builder_.scope(), name_, std::move(spec), batch);
  }
  AggregateScope& scope = builder_.scope();
  MR_ASSIGN_OR_RETURN(auto resolved, resolve_name(*scope.txn, scope.database, name_));
  if (resolved.view) return read_pipeline(scope, name_, {}, batch);
  if (!resolved.collection) return {};
  MR_ASSIGN_OR_RETURN(auto cursor,
                      storage::RecordCursor::open(*scope.txn, resolved.collection->id));
  MR_RETURN_IF_ERROR(cursor.first());
  while (cursor.valid()) {
    batch.documents.emplace_back().body = Value::bson_object(cursor.bson().data());
    MR_RETURN_IF_ERROR(cursor.next());
  }
  return {};
}

}  // namespace millrace::commands
