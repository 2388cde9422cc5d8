#include "commands/local/foreign_collection.h"

#include "commands/local/aggregate.h"

namespace millrace::commands {

using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr size_t kMaxViewDepth = 20;
constexpr int kViewDepthLimitExceeded = 165;

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

Result<std::unique_ptr<ForeignCollection>> ForeignCollection::open(std::string_view name,
                                                                   AggregateBuilder& builder) {
  return std::unique_ptr<ForeignCollection>(new ForeignCollection(name, builder));
}

Status ForeignCollection::read_all(engine::Batch& batch) {
  AggregateScope& scope = builder_.scope();
  MR_ASSIGN_OR_RETURN(auto resolved, resolve_name(*scope.txn, scope.database, name_));
  if (resolved.view) return read_view(scope, name_, batch);
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
