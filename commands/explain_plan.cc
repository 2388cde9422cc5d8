#include "commands/explain_plan.h"

#include "commands/local/collection_stats.h"
#include "commands/local/index_keys.h"
#include "commands/local/name_check.h"
#include "commands/services.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

// One stage of the plan, outermost first: its name and what stands beside it.
struct PlanStage {
  std::string_view name;
  std::function<void(BsonWriter&)> fields;
};

struct Execution {
  bool ran = false;
  int64_t returned = 0;
  int64_t time_ms = 0;
  int64_t keys = 0;
  int64_t documents = 0;
};

bool filled(const Value& value) { return value.is_object() && !value.as_object().empty(); }

void append_index(const IndexInfo& index, const QueryPlan& plan, BsonWriter& writer) {
  writer.append("keyPattern", index.key());
  writer.append("indexName", index.name);
  writer.append("isUnique", index.unique);
  writer.append("isSparse", index.sparse);
  writer.append("isPartial", !index.partial_filter().is_missing());
  writer.append("indexVersion", int32_t{2});
  writer.append("direction", "forward");
  writer.append("points", static_cast<int32_t>(plan.prefixes.size()));
}

// From the stage that gives documents down to the one that finds them.
std::vector<PlanStage> access_stages(const DocumentScan& scan, Value filter) {
  const QueryPlan& plan = scan.plan();
  std::vector<PlanStage> stages;
  auto with_filter = [filter](BsonWriter& writer) {
    if (filled(filter)) writer.append("filter", filter);
  };
  if (scan.collection().id == 0) {
    stages.push_back({"EOF", [](BsonWriter&) {}});
  } else if (plan.kind == QueryPlan::Kind::kCollectionScan) {
    stages.push_back({"COLLSCAN", [with_filter, backward = plan.backward](BsonWriter& writer) {
                        with_filter(writer);
                        writer.append("direction", backward ? "backward" : "forward");
                      }});
  } else if (plan.exact && plan.prefixes.size() == 1) {
    stages.push_back({"IDHACK", [](BsonWriter&) {}});
  } else {
    stages.push_back({"FETCH", with_filter});
    stages.push_back(
        {"IXSCAN", [&plan](BsonWriter& writer) { append_index(*plan.index, plan, writer); }});
  }
  return stages;
}

void append_stage(const std::vector<PlanStage>& stages, size_t at, const Execution* execution,
                  std::string_view field, BsonWriter& writer) {
  writer.begin_object(field);
  writer.append("stage", stages[at].name);
  bool innermost = at + 1 == stages.size();
  if (execution != nullptr) {
    bool finds = stages[at].name == "IXSCAN" || stages[at].name == "COLLSCAN" ||
                 stages[at].name == "IDHACK" || stages[at].name == "FETCH";
    writer.append("nReturned", Value::integer(execution->returned));
    writer.append("executionTimeMillisEstimate", Value::integer(execution->time_ms));
    if (finds && stages[at].name != "IXSCAN")
      writer.append("docsExamined", Value::integer(execution->documents));
    if (stages[at].name == "IXSCAN" || stages[at].name == "IDHACK")
      writer.append("keysExamined", Value::integer(execution->keys));
  }
  stages[at].fields(writer);
  if (!innermost) append_stage(stages, at + 1, execution, "inputStage", writer);
  writer.end();
}

void append_reply(Request& request, std::string_view ns, Value filter,
                  const std::vector<PlanStage>& stages, const Execution& execution,
                  ExplainVerbosity verbosity, BsonWriter& reply) {
  engine::Document empty;
  reply.append("explainVersion", "1");
  reply.begin_object("queryPlanner");
  reply.append("namespace", ns);
  reply.append("indexFilterSet", false);
  reply.append("parsedQuery", filled(filter) ? filter : empty.value());
  append_stage(stages, 0, nullptr, "winningPlan", reply);
  reply.begin_array("rejectedPlans"), reply.end();
  reply.end();
  if (execution.ran) {
    reply.begin_object("executionStats");
    reply.append("executionSuccess", true);
    reply.append("nReturned", Value::integer(execution.returned));
    reply.append("executionTimeMillis", Value::integer(execution.time_ms));
    reply.append("totalKeysExamined", Value::integer(execution.keys));
    reply.append("totalDocsExamined", Value::integer(execution.documents));
    append_stage(stages, 0, &execution, "executionStages", reply);
    if (verbosity == ExplainVerbosity::kAllPlans)
      reply.begin_array("allPlansExecution"), reply.end();
    reply.end();
  }
  reply.append("command", request.body);
  reply.begin_object("serverInfo");
  reply.append("host", host_name());
  reply.append("port", int32_t{request.services.settings.port});
  reply.append("version", kMongoVersion);
  reply.end();
}

// Reads the stream to its end and notes what that took.
Result<Execution> execute(LocalDatabase& local, DocumentStream& stream) {
  Execution execution;
  execution.ran = true;
  int64_t began = local.clock().monotonic_ns();
  std::deque<std::string> documents;
  while (!stream.ended()) {
    documents.clear();
    MR_RETURN_IF_ERROR(stream.next(local.store(), 1000, documents));
    execution.returned += static_cast<int64_t>(documents.size());
  }
  execution.time_ms = (local.clock().monotonic_ns() - began) / 1'000'000;
  return execution;
}

Collection existing_or_empty(std::optional<Collection> collection, std::string_view database,
                             std::string_view name) {
  if (collection) return std::move(*collection);
  Collection empty;
  empty.database = std::string(database);
  empty.name = std::string(name);
  return empty;
}

}  // namespace

Status explain_find(Request& request, FindCommand find, ExplainVerbosity verbosity,
                    BsonWriter& reply) {
  LocalDatabase& local = *request.services.database;
  MR_ASSIGN_OR_RETURN(auto collection, local.find(request.database, find.collection));
  if (collection) MR_RETURN_IF_ERROR(refuse_view(*collection));
  find.spec.tailable = false;
  engine::Document command = find.spec.command;  // keeps the values below
  Value filter = find.spec.filter;
  Value sort = find.spec.sort;
  Value projection = find.spec.projection;
  int64_t skip = find.spec.skip;
  int64_t limit = find.spec.limit;
  MR_ASSIGN_OR_RETURN(
      auto stream,
      FindStream::open(local,
                       existing_or_empty(std::move(collection), request.database, find.collection),
                       std::move(find.spec)));
  std::vector<PlanStage> stages;
  if (filled(projection)) {
    stages.push_back({"PROJECTION_DEFAULT", [projection](BsonWriter& writer) {
                        writer.append("transformBy", projection);
                      }});
  }
  if (limit > 0 && !filled(sort))
    stages.push_back({"LIMIT", [limit](BsonWriter& writer) {
                        writer.append("limitAmount", Value::integer(limit));
                      }});
  if (skip > 0)
    stages.push_back({"SKIP", [skip](BsonWriter& writer) {
                        writer.append("skipAmount", Value::integer(skip));
                      }});
  if (filled(sort) && !sort.as_object().has("$natural")) {
    stages.push_back({"SORT", [sort, limit, skip](BsonWriter& writer) {
                        writer.append("sortPattern", sort);
                        writer.append("memLimit", static_cast<int32_t>(kSortMemoryBytes));
                        if (limit > 0) writer.append("limitAmount", Value::integer(limit + skip));
                        writer.append("type", "simple");
                      }});
  }
  for (auto& stage : access_stages(stream->scan(), filter)) stages.push_back(std::move(stage));
  Execution execution;
  if (verbosity != ExplainVerbosity::kQueryPlanner) {
    MR_ASSIGN_OR_RETURN(execution, execute(local, *stream));
    execution.keys = stream->scan().keys_examined();
    execution.documents = stream->scan().documents_examined();
  }
  append_reply(request, find.ns, filter, stages, execution, verbosity, reply);
  return {};
}

Status explain_aggregate(Request& request, AggregateCommand aggregate, ExplainVerbosity verbosity,
                         BsonWriter& reply) {
  LocalDatabase& local = *request.services.database;
  if (!aggregate.spec.stages.empty()) {  // what it would write is not written
    MR_ASSIGN_OR_RETURN(auto last, pipeline_stage(aggregate.spec.stages.back()));
    const AggregateStageRow* row = find_aggregate_stage(last.name());
    if (row != nullptr && row->role == AggregateRole::kOutput) aggregate.spec.stages.pop_back();
  }
  if (aggregate.collection.empty() && aggregate.spec.stages.empty()) {
    return Status(engine::ErrorCode::kInvalidNamespace,
                  "{aggregate: 1} is not valid for an empty pipeline.");
  }
  auto user_stages = aggregate.spec.stages;
  engine::Document command = aggregate.spec.command;
  MR_ASSIGN_OR_RETURN(auto stream,
                      AggregateStream::open(local, request.database, aggregate.collection,
                                            std::move(aggregate.spec)));
  Execution execution;
  if (verbosity != ExplainVerbosity::kQueryPlanner) {
    MR_ASSIGN_OR_RETURN(execution, execute(local, *stream));
    if (stream->scan() != nullptr) {
      execution.keys = stream->scan()->keys_examined();
      execution.documents = stream->scan()->documents_examined();
    }
  }
  Value filter = stream->first_match() != nullptr ? *stream->first_match() : Value::missing();
  std::vector<PlanStage> stages;
  if (stream->scan() != nullptr) {
    stages = access_stages(*stream->scan(), filter);
  } else {
    stages.push_back({"EOF", [](BsonWriter&) {}});
  }
  append_reply(request, aggregate.ns, filter, stages, execution, verbosity, reply);
  return {};
}

Status explain_query(Request& request, const ExplainedQuery& query, ExplainVerbosity verbosity,
                     BsonWriter& reply) {
  LocalDatabase& local = *request.services.database;
  MR_ASSIGN_OR_RETURN(auto collection, local.find(request.database, query.collection));
  if (collection) MR_RETURN_IF_ERROR(refuse_view(*collection));
  FindSpec spec;
  spec.filter = query.filter;
  spec.hint = query.hint;
  MR_ASSIGN_OR_RETURN(
      auto stream,
      FindStream::open(local,
                       existing_or_empty(std::move(collection), request.database, query.collection),
                       std::move(spec)));
  std::vector<PlanStage> stages;
  if (!query.stage.empty()) stages.push_back({query.stage, [](BsonWriter&) {}});
  for (auto& stage : access_stages(stream->scan(), query.filter))
    stages.push_back(std::move(stage));
  Execution execution;
  if (verbosity != ExplainVerbosity::kQueryPlanner) {
    MR_ASSIGN_OR_RETURN(execution, execute(local, *stream));
    execution.keys = stream->scan().keys_examined();
    execution.documents = stream->scan().documents_examined();
  }
  append_reply(request, namespace_of(request.database, query.collection), query.filter, stages,
               execution, verbosity, reply);
  return {};
}

}  // namespace millrace::commands
