// aggregate: https://www.mongodb.com/docs/manual/reference/command/aggregate/
#include "commands/explain_plan.h"
#include "commands/handlers.h"
#include "commands/read_command.h"
#include "commands/services.h"

namespace millrace::commands {
namespace {

// A change stream of a database or of all of them has no collection, and is refused as one of a
// collection is.
engine::Status refuse_change_stream(const Request& request) {
  engine::Value pipeline = request.get("pipeline");
  if (!pipeline.is_array() || pipeline.as_array().empty()) return {};
  engine::Value first = pipeline.as_array().at(0);
  if (!first.is_object() || !first.as_object().has("$changeStream")) return {};
  return engine::Status(40573, "The $changeStream stage is only supported on replica sets");
}

}  // namespace

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
  MR_RETURN_IF_ERROR(refuse_change_stream(request));
  MR_ASSIGN_OR_RETURN(auto stream,
                      AggregateStream::open(local, request.database, aggregate.collection,
                                            std::move(aggregate.spec)));
  MR_RETURN_IF_ERROR(
      write_first_batch(request, std::move(stream), aggregate.ns, aggregate.cursor, reply));
  return Progress::kDone;
}

}  // namespace millrace::commands
