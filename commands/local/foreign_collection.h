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

class ForeignCollection {
 public:
  // Looks it up when it is read. `builder` and its scope must outlive it.
  static engine::Result<std::unique_ptr<ForeignCollection>> open(std::string_view name,
                                                                 AggregateBuilder& builder);

  // All its documents, in the transaction of the scope: views of it, or of the batch's arena where
  // it is a view.
  engine::Status read_all(engine::Batch& batch);

 private:
  ForeignCollection(std::string_view name, AggregateBuilder& builder)
      : name_(name), builder_(builder) {}
  std::string name_;
  AggregateBuilder& builder_;
};

}  // namespace millrace::commands
