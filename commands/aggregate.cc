// aggregate: https://www.mongodb.com/docs/manual/reference/command/aggregate/
#include "commands/explain_plan.h"
#include "commands/handlers.h"
#include "commands/read_command.h"
#include "commands/services.h"

namespace millrace::commands {

Result<Progress> cmd_aggregate(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(auto aggregate, read_aggregate(request));
  LocalDatabase& local = *request.services.database;
  if (aggregate.explain) {
    MR_RETURN_IF_ERROR(
        explain_aggregate(request, std::move(aggregate), ExplainVerbosity::kQueryPlanner, reply));
    return Progress::kDone;
  }
  if (request.get("cursor").is_nullish()) {
    return engine::Status(
        engine::ErrorCode::kFailedToParse,
        "The 'cursor' option is required, except for aggregate with the explain argument");
  }
  MR_ASSIGN_OR_RETURN(auto stream,
                      AggregateStream::open(local, request.database, aggregate.collection,
                                            std::move(aggregate.spec)));
  MR_RETURN_IF_ERROR(
      write_first_batch(request, std::move(stream), aggregate.ns, aggregate.cursor, reply));
  return Progress::kDone;
}

}  // namespace millrace::commands
