#include "commands/read_command.h"

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/local/collection_stats.h"
#include "commands/local/foreign_collection.h"
#include "commands/local/name_check.h"
#include "commands/read_concern.h"
#include "engine/runtime/stage_table.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

Status read_find_flags(const Arguments& arguments, FindCommand* find) {
  MR_ASSIGN_OR_RETURN(find->cursor.single_batch, arguments.boolean("singleBatch", false));
  MR_ASSIGN_OR_RETURN(find->cursor.no_cursor_timeout, arguments.boolean("noCursorTimeout", false));
  MR_ASSIGN_OR_RETURN(find->cursor.tailable, arguments.boolean("tailable", false));
  MR_ASSIGN_OR_RETURN(find->cursor.await_data, arguments.boolean("awaitData", false));
  MR_RETURN_IF_ERROR(arguments.boolean("allowPartialResults", false).status());
  MR_RETURN_IF_ERROR(arguments.boolean("oplogReplay", false).status());
  MR_ASSIGN_OR_RETURN(find->spec.show_record_id, arguments.boolean("showRecordId", false));
  MR_ASSIGN_OR_RETURN(find->spec.allow_disk_use, arguments.boolean("allowDiskUse", false));
  find->spec.tailable = find->cursor.tailable;
  if (find->cursor.await_data && !find->cursor.tailable) {
    return Status(ErrorCode::kFailedToParse,
                  "Cannot set 'awaitData' without also setting 'tailable'");
  }
  return {};
}

}  // namespace

Result<FindCommand> read_find(const Request& request, std::string_view name) {
  static constexpr std::string_view kFields[] = {"filter",
                                                 "sort",
                                                 "projection",
                                                 "skip",
                                                 "limit",
                                                 "batchSize",
                                                 "singleBatch",
                                                 "hint",
                                                 "collation",
                                                 "min",
                                                 "max",
                                                 "let",
                                                 "tailable",
                                                 "awaitData",
                                                 "noCursorTimeout",
                                                 "allowPartialResults",
                                                 "returnKey",
                                                 "showRecordId",
                                                 "allowDiskUse",
                                                 "oplogReplay"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_RETURN_IF_ERROR(check_read_concern(request));
  FindCommand find;
  MR_ASSIGN_OR_RETURN(find.collection, read_collection_argument(request));
  find.ns = namespace_of(request.database, find.collection);
  for (auto field : {"min", "max"}) MR_RETURN_IF_ERROR(refuse_option(request, field));
  if (request.get("returnKey").truthy()) MR_RETURN_IF_ERROR(refuse_option(request, "returnKey"));
  find.spec.command = Document(request.body);
  Arguments arguments(name, find.spec.command.value());
  MR_ASSIGN_OR_RETURN(find.spec.filter, arguments.object("filter"));
  MR_ASSIGN_OR_RETURN(find.spec.sort, arguments.object("sort"));
  MR_ASSIGN_OR_RETURN(find.spec.projection, arguments.object("projection"));
  MR_ASSIGN_OR_RETURN(find.spec.let, arguments.object("let"));
  MR_ASSIGN_OR_RETURN(find.spec.hint, arguments.hint());
  // A find alone takes no null for it (6.0.5).
  if (request.get("collation").is(engine::Type::kNull))
    return Status(ErrorCode::kTypeMismatch, "the collation of a find must be an object");
  MR_RETURN_IF_ERROR(arguments.check_collation());
  MR_ASSIGN_OR_RETURN(auto skip, arguments.count("skip"));
  MR_ASSIGN_OR_RETURN(auto limit, arguments.count("limit"));
  MR_ASSIGN_OR_RETURN(find.cursor.batch_size, arguments.count("batchSize"));
  find.spec.skip = skip.value_or(0);
  find.spec.limit = limit.value_or(0);
  MR_RETURN_IF_ERROR(read_find_flags(arguments, &find));
  return find;
}

namespace {

// The find as the stages that follow the view's.
Result<AggregateSpec> as_pipeline(const FindSpec& find) {
  AggregateSpec spec;
  BsonWriter writer;
  writer.begin_document();
  writer.begin_array("pipeline");
  size_t index = 0;
  auto add = [&](std::string_view stage, Value value) {
    writer.begin_object(std::to_string(index++));
    writer.append(stage, value);
    writer.end();
  };
  auto filled = [](const Value& value) { return value.is_object() && !value.as_object().empty(); };
  if (filled(find.filter)) add("$match", find.filter);
  if (filled(find.sort)) add("$sort", find.sort);
  if (find.skip > 0) add("$skip", Value::int64(find.skip));
  if (find.limit > 0) add("$limit", Value::int64(find.limit));
  if (filled(find.projection)) add("$project", find.projection);
  writer.end();
  writer.append("let", find.let);
  writer.end();
  spec.command = Document(writer.bytes());
  for (Value stage : spec.command.get("pipeline").as_array()) spec.stages.push_back(stage);
  spec.let = spec.command.get("let");
  return spec;
}

}  // namespace

Result<std::unique_ptr<DocumentStream>> open_find(LocalDatabase& local, std::string_view database,
                                                  FindCommand& find) {
  MR_ASSIGN_OR_RETURN(auto collection, local.find(database, find.collection));
  if (collection && collection->view) {
    MR_ASSIGN_OR_RETURN(auto spec, as_pipeline(find.spec));
    MR_ASSIGN_OR_RETURN(auto stream,
                        AggregateStream::open(local, database, find.collection, std::move(spec)));
    return std::unique_ptr<DocumentStream>(std::move(stream));
  }
  if (!collection) {  // nothing is stored under its id
    collection.emplace();
    collection->database = std::string(database);
    collection->name = find.collection;
    if (find.spec.tailable) {  // as an empty capped collection: the cursor is closed at once
      find.spec.tailable = find.cursor.tailable = false;
    }
  }
  MR_ASSIGN_OR_RETURN(auto stream,
                      FindStream::open(local, std::move(*collection), std::move(find.spec)));
  return std::unique_ptr<DocumentStream>(std::move(stream));
}

namespace {

// What $currentOp shows: this command itself. Others are not recorded.
Document own_operation(const Request& request) {
  BsonWriter writer;
  writer.begin_document();
  writer.append("type", "op");
  writer.append("host", host_name() + ":" + std::to_string(request.services.settings.port));
  writer.append("desc", "conn" + std::to_string(request.client.connection_id));
  writer.append("connectionId", request.client.connection_id);
  writer.append("client", request.client.remote_address);
  writer.append("active", true);
  writer.append("opid", request.client.connection_id);
  auto running = std::chrono::steady_clock::now() - request.received;
  writer.append(
      "secs_running",
      static_cast<int64_t>(std::chrono::duration_cast<std::chrono::seconds>(running).count()));
  writer.append(
      "microsecs_running",
      static_cast<int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(running).count()));
  writer.append("op", "command");
  writer.append("ns", std::string(request.database) + ".$cmd.aggregate");
  writer.append("command", request.body);
  writer.append("numYields", int32_t{0});
  writer.append("waitingForLock", false);
  writer.end();
  return Document(writer.bytes());
}

}  // namespace

Result<AggregateCommand> read_aggregate(const Request& request) {
  static constexpr std::string_view kFields[] = {
      "pipeline",  "explain", "allowDiskUse", "cursor", "bypassDocumentValidation",
      "collation", "hint",    "let"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_RETURN_IF_ERROR(check_read_concern(request));
  AggregateCommand aggregate;
  aggregate.spec.command = Document(request.body);
  Arguments arguments("aggregate", aggregate.spec.command.value());
  Value target = request.argument();
  if (target.is_string()) {
    // A name that no collection can have stands for one that is not there.
    std::string_view name = target.as_string();
    MR_RETURN_IF_ERROR(name.empty() ? check_collection_name(request.database, name)
                                    : check_foreign_name(name));
    aggregate.collection = std::string(name);
    aggregate.ns = namespace_of(request.database, name);
  } else if (target.is_number() && target.to_double() == 1) {
    aggregate.ns = std::string(request.database) + ".$cmd.aggregate";
  } else {
    return Status(
        target.is_number() ? ErrorCode::kBadValue : ErrorCode::kInvalidNamespace,
        "Invalid command format: the 'aggregate' field must specify a collection name or 1");
  }
  MR_RETURN_IF_ERROR(arguments.require("pipeline"));
  Value pipeline = arguments.any("pipeline");
  if (!pipeline.is_array())
    return Status(ErrorCode::kTypeMismatch, "'pipeline' option must be specified as an array");
  MR_RETURN_IF_ERROR(engine::check_stage_count(pipeline.as_array().size()));
  for (Value stage : pipeline.as_array()) aggregate.spec.stages.push_back(stage);
  MR_ASSIGN_OR_RETURN(aggregate.explain, arguments.boolean("explain", false));
  MR_ASSIGN_OR_RETURN(aggregate.spec.allow_disk_use, arguments.boolean("allowDiskUse", true));
  MR_ASSIGN_OR_RETURN(aggregate.spec.bypass_validation,
                      arguments.boolean("bypassDocumentValidation", false));
  MR_ASSIGN_OR_RETURN(aggregate.spec.let, arguments.object("let"));
  MR_ASSIGN_OR_RETURN(aggregate.spec.hint, arguments.hint());
  MR_RETURN_IF_ERROR(arguments.check_collation());
  aggregate.spec.operations.push_back(own_operation(request));
  MR_ASSIGN_OR_RETURN(aggregate.cursor, read_cursor_options(request));
  return aggregate;
}

}  // namespace millrace::commands
