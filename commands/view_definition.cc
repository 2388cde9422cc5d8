#include "commands/view_definition.h"

#include "commands/local/aggregate_stages.h"
#include "commands/local/evaluation.h"
#include "commands/local/name_check.h"
#include "commands/services.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

Status check_view_definition(const Request& request, const Arguments& arguments,
                             std::string_view ns) {
  MR_ASSIGN_OR_RETURN(Value view_on, arguments.string("viewOn"));
  MR_ASSIGN_OR_RETURN(Value pipeline, arguments.array("pipeline"));
  if (view_on.is_missing()) {
    if (!pipeline.is_missing())
      return Status(ErrorCode::kInvalidOptions,
                    "'pipeline' requires 'viewOn' to also be specified");
    return {};
  }
  if (view_on.as_string().empty()) return Status(ErrorCode::kBadValue, "'viewOn' cannot be empty");
  MR_RETURN_IF_ERROR(check_collection_name(request.database, view_on.as_string()));
  for (auto field : {"capped", "size", "max", "validator", "validationLevel", "validationAction",
                     "idIndex", "clusteredIndex"}) {
    if (!request.get(field).is_nullish())
      return Status(ErrorCode::kInvalidOptions,
                    "option not supported on a view: " + std::string(field));
  }
  if (pipeline.is_missing()) return {};
  std::string prefix = "Invalid pipeline for view " + std::string(ns) + " :: caused by :: ";
  size_t location = 0;
  for (Value element : pipeline.as_array()) {
    MR_ASSIGN_OR_RETURN(auto stage, pipeline_stage(element));
    const AggregateStageRow* row = find_aggregate_stage(stage.name());
    if (row != nullptr && row->role == AggregateRole::kOutput) {
      return Status(ErrorCode::kOptionNotSupportedOnView,
                    prefix + "The aggregation stage " + std::string(stage.name()) +
                        " in location " + std::to_string(location) +
                        " of the pipeline cannot be used in the view definition of " +
                        std::string(ns) + " because it writes to disk");
    }
    ++location;
  }
  LocalDatabase& local = *request.services.database;
  AggregateScope scope{local, std::string(request.database)};
  AggregateBuilder builder(scope);
  Evaluation evaluation(local.clock());
  engine::StageContext context{evaluation.parse(), builder, engine::Place::kAggregate};
  auto built = builder.build(pipeline, engine::Place::kAggregate, context);
  if (!built.ok()) return Status(built.status().code(), prefix + built.status().message());
  return {};
}

}  // namespace millrace::commands
