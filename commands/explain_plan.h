// What explain shows of a query: which way its documents are found, and, when it was run, what that
// cost. The fields that clients read: clients-wire.md section 7.3.
#pragma once

#include "commands/command.h"
#include "commands/read_command.h"

namespace millrace::commands {

enum class ExplainVerbosity { kQueryPlanner, kExecutionStats, kAllPlans };

// Each writes the fields of the reply.
engine::Status explain_find(Request& request, FindCommand find, ExplainVerbosity verbosity,
                            engine::BsonWriter& reply);
engine::Status explain_aggregate(Request& request, AggregateCommand aggregate,
                                 ExplainVerbosity verbosity, engine::BsonWriter& reply);

// count, distinct, update, delete, findAndModify: the plan of their query below a stage of that
// name. Nothing is written.
struct ExplainedQuery {
  std::string collection;
  engine::Value filter;
  engine::Value hint;
  std::string_view stage;  // "COUNT", "UPDATE", …; empty: none above
};
engine::Status explain_query(Request& request, const ExplainedQuery& query,
                             ExplainVerbosity verbosity, engine::BsonWriter& reply);

}  // namespace millrace::commands
