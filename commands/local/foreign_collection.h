// Another collection or view that a stage reads ($lookup, $unionWith).
#pragma once

#include <memory>
#include <string_view>

#include "commands/local/aggregate_stages.h"
#include "commands/local/catalog.h"

namespace millrace::commands {

// The collection below `name` and the stages of the views on the way, outermost last. Errors: 5
// GraphContainsCycle, 165 ViewDepthLimitExceeded.
struct ResolvedName {
  std::optional<Collection> collection;  // nothing: it does not exist
  std::vector<engine::Document> stages;  // one document a stage
  bool view = false;
};
engine::Result<ResolvedName> resolve_name(storage::ReadTransaction& txn, std::string_view database,
                                          std::string_view name);

// What the pipeline within a $lookup or $unionWith begins with: the documents of the collection or
// view, or those that its first stage makes ($documents, $collStats, $indexStats, $planCacheStats).
class ForeignCollection {
 public:
  // The collection is looked up when it is read. `pipeline`: missing where there is none; its
  // memory, `builder` and its scope must outlive this. `holder`: the stage's name. Errors: 9 for no
  // name without $documents, 51047 and 31441 for a stage that writes, 73 for a source that reads no
  // collection.
  static engine::Result<std::unique_ptr<ForeignCollection>> open(std::string_view name,
                                                                 const engine::Value& pipeline,
                                                                 std::string_view holder,
                                                                 engine::StageContext& context,
                                                                 AggregateBuilder& builder);

  // All its documents, in the transaction of the scope: views of it, or of the batch's arena.
  // $documents sees the variables of `context`. Throws EvaluationError for its errors.
  engine::Status read_all(engine::Batch& batch, engine::OperatorContext& context);
  // They are not the collection's.
  bool has_source() const { return expression_ != nullptr || !source_.is_missing(); }
  // The stages behind the one that makes documents, as an array.
  engine::Value rest() const { return engine::Value::array(rest_); }

 private:
  ForeignCollection(std::string_view name, AggregateBuilder& builder)
      : name_(name), builder_(builder) {}
  engine::Status take_source(std::string_view holder, engine::StageContext& context);

  std::string name_;
  AggregateBuilder& builder_;
  engine::ExpressionPtr expression_;  // of $documents
  engine::Value source_;              // another stage that makes documents
  std::vector<engine::Value> rest_;
};

// The first stage of such a pipeline makes documents.
bool begins_with_source(const engine::Value& pipeline);

}  // namespace millrace::commands
