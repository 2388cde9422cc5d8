// The stages that stand first in an aggregate command and make documents: $documents, $collStats,
// $indexStats, $currentOp.
#pragma once

#include <string_view>
#include <vector>

#include "commands/local/aggregate_stages.h"
#include "commands/local/evaluation.h"

namespace millrace::commands {

struct SourceContext {
  AggregateScope& scope;
  storage::ReadTransaction& txn;
  std::string_view name;         // of the collection; empty: {aggregate: 1}
  const Collection* collection;  // nullptr: it does not exist
  Evaluation& evaluation;
  const std::vector<engine::Document>& operations;
};

// Whether $documents may give this: an array of objects. Errors: 5858203, 40228.
engine::Status check_documents(const engine::Value& value);

// Errors: 73 InvalidNamespace for a stage on the wrong kind of target, 26 NamespaceNotFound, the
// stage's own.
engine::Result<std::vector<engine::Document>> make_source(const engine::Field& stage,
                                                          const SourceContext& context);

}  // namespace millrace::commands
