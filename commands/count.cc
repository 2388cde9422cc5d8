// count: https://www.mongodb.com/docs/manual/reference/command/count/
#include <algorithm>
#include <cstdlib>

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/read_command.h"
#include "commands/read_concern.h"
#include "engine/expression/number.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

// Without a query the collection's own statistics know.
Result<int64_t> count_all(LocalDatabase& local, const Collection& collection) {
  MR_ASSIGN_OR_RETURN(auto txn, local.store().read());
  MR_ASSIGN_OR_RETURN(auto statistics, storage::collection_statistics(*txn, collection.id));
  return statistics.records;
}

Result<int64_t> count_matches(LocalDatabase& local, Collection collection, Value query, Value hint,
                              int64_t enough) {
  Evaluation evaluation(local.clock());
  evaluation.parse().has_now = false;
  MR_ASSIGN_OR_RETURN(auto scan,
                      DocumentScan::open(std::move(collection), query, hint, evaluation));
  if (scan->plan().index != nullptr) local.note_index_use(scan->plan().index->id);
  MR_ASSIGN_OR_RETURN(auto txn, local.store().read());
  int64_t count = 0;
  MR_RETURN_IF_ERROR(scan->run(
      *txn, [&](storage::RecordId, const Value&) -> Result<bool> { return ++count < enough; }));
  return count;
}

Result<int64_t> count_view(LocalDatabase& local, std::string_view database, std::string_view name,
                           Value query) {
  AggregateSpec spec;
  BsonWriter writer;
  writer.begin_document();
  writer.begin_object("$match");
  if (query.is_object()) {
    for (const auto& field : query.as_object()) writer.append(field.name(), field.value);
  }
  writer.end(), writer.end();
  spec.command = engine::Document(writer.bytes());
  spec.stages.push_back(spec.command.value());
  MR_ASSIGN_OR_RETURN(auto stream, AggregateStream::open(local, database, name, std::move(spec)));
  int64_t count = 0;
  std::deque<std::string> documents;
  while (!stream->ended()) {
    documents.clear();
    MR_RETURN_IF_ERROR(stream->next(local.store(), 1000, documents));
    count += static_cast<int64_t>(documents.size());
  }
  return count;
}

}  // namespace

Result<Progress> cmd_count(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"query", "limit",     "skip",
                                                 "hint",  "collation", "fields"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_RETURN_IF_ERROR(check_read_concern(request));
  MR_ASSIGN_OR_RETURN(auto name, read_collection_argument(request));
  Arguments arguments("count", request.body);
  MR_ASSIGN_OR_RETURN(Value query, arguments.object("query"));
  MR_RETURN_IF_ERROR(arguments.check_collation());
  MR_ASSIGN_OR_RETURN(Value hint, arguments.hint());
  MR_ASSIGN_OR_RETURN(auto skip, arguments.count("skip"));
  Value limit_value = arguments.any("limit");
  if (!limit_value.is_missing() && !limit_value.is_number())
    return Status(ErrorCode::kBadValue, "limit value is not a valid number");
  auto whole = limit_value.is_missing() ? 0 : engine::whole_int64(limit_value);
  if (!whole || *whole == INT64_MIN)
    return Status(ErrorCode::kFailedToParse, "Expected an integer of 64 bits: limit");
  int64_t limit = std::abs(*whole);  // -5 means 5
  LocalDatabase& local = *request.services.database;
  MR_ASSIGN_OR_RETURN(auto collection, local.find(request.database, name));
  int64_t count = 0;
  bool everything = !query.is_object() || query.as_object().empty();
  if (!collection) {
    Evaluation evaluation(local.clock());
    evaluation.parse().has_now = false;
    if (!everything) MR_RETURN_IF_ERROR(evaluation.parse_predicate(query).status());
  } else if (collection->view) {
    if (limit_value.is_number() && limit == 0)  // it becomes a $limit stage
      return Status(15958, "the limit must be positive");
    MR_ASSIGN_OR_RETURN(count, count_view(local, request.database, name, query));
  } else if (everything && hint.is_missing()) {
    MR_ASSIGN_OR_RETURN(count, count_all(local, *collection));
  } else {
    int64_t enough = limit > 0 && limit < INT64_MAX / 2 && skip.value_or(0) < INT64_MAX / 2
                         ? limit + skip.value_or(0)
                         : INT64_MAX;
    MR_ASSIGN_OR_RETURN(count, count_matches(local, std::move(*collection), query, hint, enough));
  }
  count = std::max<int64_t>(count - skip.value_or(0), 0);
  if (limit > 0) count = std::min(count, limit);
  reply.append("n", Value::integer(count));
  return Progress::kDone;
}

}  // namespace millrace::commands
