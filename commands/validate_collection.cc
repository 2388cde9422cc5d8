// validate: reads every document and every index entry that it should have.
// https://www.mongodb.com/docs/manual/reference/command/validate/
#include <map>

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/evaluation.h"
#include "commands/local/index_keys.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"
#include "storage/index_entries.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

struct Report {
  int64_t records = 0;
  int64_t invalid = 0;
  std::map<std::string, int64_t> keys;
  std::vector<std::string> errors;
};

Status count_entries(storage::ReadTransaction& txn, const Collection& collection, Report* report) {
  for (const auto& index : collection.indexes) {
    int64_t& count = report->keys[index.name];
    MR_ASSIGN_OR_RETURN(auto cursor, storage::IndexCursor::open(txn, index.id, index.unique));
    MR_RETURN_IF_ERROR(cursor.first());
    while (cursor.valid()) {
      ++count;
      MR_ASSIGN_OR_RETURN(auto record, storage::get_record(txn, collection.id, cursor.record()));
      if (!record)
        report->errors.push_back("index " + index.name + " points to record " +
                                 std::to_string(cursor.record()) + ", which does not exist");
      MR_RETURN_IF_ERROR(cursor.next());
    }
  }
  return {};
}

Status check_documents(storage::ReadTransaction& txn, const Collection& collection,
                       const engine::Clock& clock, Report* report) {
  std::map<std::string, int64_t> expected;
  Evaluation evaluation(clock);
  std::map<std::string, engine::PredicatePtr> filters;
  for (const auto& index : collection.indexes) {
    if (index.partial_filter().is_missing()) continue;
    MR_ASSIGN_OR_RETURN(filters[index.name], evaluation.parse_predicate(index.partial_filter()));
  }
  MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(txn, collection.id));
  Status status = cursor.first();
  while (status.ok() && cursor.valid()) {
    ++report->records;
    if (!engine::validate_bson(cursor.bson()).ok()) ++report->invalid;
    Value document = Value::bson_object(cursor.bson().data());
    for (const auto& index : collection.indexes) {
      if (!index.has_entries) continue;
      if (auto filter = filters.find(index.name); filter != filters.end()) {
        MR_ASSIGN_OR_RETURN(bool covered, evaluation.matches(*filter->second, document));
        if (!covered) continue;
      }
      MR_ASSIGN_OR_RETURN(auto keys, index_keys(index, document));
      expected[index.name] += static_cast<int64_t>(keys.size());
    }
    status = cursor.next();
  }
  if (!status.ok()) report->errors.push_back(status.message());
  for (const auto& [name, count] : report->keys) {
    if (count == expected[name]) continue;
    report->errors.push_back("index " + name + " has " + std::to_string(count) +
                             " entries where the documents have " + std::to_string(expected[name]));
  }
  return {};
}

}  // namespace

Result<Progress> cmd_validate(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"full", "scandata", "background", "metadata",
                                                 "checkBSONConformance"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  LocalDatabase& local = *request.services.database;
  MR_ASSIGN_OR_RETURN(auto txn, local.store().read());
  MR_ASSIGN_OR_RETURN(auto collection, find_collection(*txn, request.database, name));
  std::string ns = namespace_of(request.database, name);
  if (!collection)
    return Status(ErrorCode::kNamespaceNotFound,
                  "Collection '" + ns + "' does not exist to validate.");
  if (collection->view)
    return Status(ErrorCode::kCommandNotSupportedOnView, "Cannot validate a view");
  Report report;
  MR_RETURN_IF_ERROR(count_entries(*txn, *collection, &report));
  MR_RETURN_IF_ERROR(check_documents(*txn, *collection, local.clock(), &report));
  reply.append("ns", ns);
  reply.append("nInvalidDocuments", Value::integer(report.invalid));
  reply.append("nrecords", Value::integer(report.records));
  reply.append("nIndexes", static_cast<int32_t>(collection->indexes.size()));
  reply.begin_object("keysPerIndex");
  for (const auto& index : collection->indexes)
    reply.append(index.name, Value::integer(report.keys[index.name]));
  reply.end();
  reply.append("valid", report.errors.empty() && report.invalid == 0);
  reply.append("repaired", false);
  reply.begin_array("warnings"), reply.end();
  reply.begin_array("errors");
  for (size_t i = 0; i < report.errors.size(); ++i)
    reply.append_element(i, Value::string(report.errors[i]));
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
