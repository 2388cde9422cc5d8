#include "commands/local/update_documents.h"

#include <algorithm>

#include "commands/local/document_scan.h"
#include "commands/local/insert.h"
#include "commands/local/key_bytes.h"
#include "commands/local/result_sort.h"
#include "storage/index_entries.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;
using storage::RecordId;

namespace {

// {_id: x} with a plain x: the ordinary statement of a stream processor, found without compiling
// anything.
bool is_id_query(const Value& query, Value* id) {
  auto fields = query.as_object();
  auto first = fields.begin();
  if (first == fields.end() || !first->has_name("_id")) return false;
  Value value = first->value;
  auto second = first;
  ++second;
  if (!(second == fields.end())) return false;
  switch (value.type()) {
    case engine::Type::kNull:
    case engine::Type::kUndefined:
    case engine::Type::kArray:
    case engine::Type::kRegex:
      return false;
    case engine::Type::kObject:
      if (!value.as_object().empty() && value.as_object().begin()->name().starts_with('$'))
        return false;
      break;
    default:
      break;
  }
  *id = value;
  return true;
}

// The records that match, in the order of the scan; at most one unless `all`.
Result<std::vector<RecordId>> find_records(CollectionWriter& writer, const Value& query,
                                           const Value& hint, const Value& let, bool all,
                                           const engine::Clock& clock) {
  std::vector<RecordId> records;
  Value id;
  if (hint.is_missing() && is_id_query(query, &id)) {
    std::string key;
    append_key_bytes(key, id);
    MR_ASSIGN_OR_RETURN(
        auto record,
        storage::find_unique(writer.transaction(), writer.collection().indexes.front().id, key));
    if (record) records.push_back(*record);
    return records;
  }
  Evaluation evaluation(clock);
  MR_RETURN_IF_ERROR(evaluation.bind(let));
  MR_ASSIGN_OR_RETURN(auto scan, DocumentScan::open(writer.collection(), query, hint, evaluation));
  MR_RETURN_IF_ERROR(
      scan->run(writer.transaction(), [&](RecordId record, const Value&) -> Result<bool> {
        records.push_back(record);
        return all;
      }));
  return records;
}

bool has_sort(const Value& sort) { return sort.is_object() && !sort.as_object().empty(); }

// The first record that matches, in the order of `sort` if there is one.
Result<std::optional<RecordId>> choose_record(CollectionWriter& writer, const Value& query,
                                              const Value& sort, const Value& hint,
                                              const Value& let, const engine::Clock& clock) {
  std::optional<RecordId> none;
  if (!has_sort(sort)) {
    MR_ASSIGN_OR_RETURN(auto records, find_records(writer, query, hint, let, false, clock));
    return records.empty() ? none : std::optional(records.front());
  }
  Evaluation evaluation(clock);
  MR_RETURN_IF_ERROR(evaluation.bind(let));
  MR_ASSIGN_OR_RETURN(auto pattern, ResultSort::parse(sort, 1, evaluation));
  MR_ASSIGN_OR_RETURN(auto scan, DocumentScan::open(writer.collection(), query, hint, evaluation));
  MR_RETURN_IF_ERROR(
      scan->run(writer.transaction(), [&](RecordId record, const Value& document) -> Result<bool> {
        MR_RETURN_IF_ERROR(pattern->add(record, document));
        return true;
      }));
  auto best = pattern->finish();
  return best.empty() ? none : std::optional(best.front().record);
}

// A predicate must be right even where nothing is there to be matched: an unknown operator is an
// error on an empty collection too.
Status check_query(const Value& query, const Value& let, const engine::Clock& clock,
                   const Value& sort = Value::missing()) {
  Value id;
  if (!has_sort(sort) && is_id_query(query, &id)) return {};
  Evaluation evaluation(clock);
  MR_RETURN_IF_ERROR(evaluation.bind(let));
  if (has_sort(sort)) MR_RETURN_IF_ERROR(ResultSort::parse(sort, 1, evaluation).status());
  return evaluation.parse_predicate(query).status();
}

Document id_document(const Value& document) {
  BsonWriter writer;
  writer.begin_document();
  writer.append("_id", document.as_object().get("_id"));
  writer.end();
  return Document(writer.bytes());
}

struct Applied {
  bool modified = false;
  std::string before;
  Document after;
};

Result<Applied> apply_to_record(CollectionWriter& writer, Update& update, RecordId record,
                                BsonWriter& changed, bool keep) {
  Applied applied;
  MR_ASSIGN_OR_RETURN(auto bson,
                      storage::get_record(writer.transaction(), writer.collection().id, record));
  if (!bson) return applied;
  applied.before = std::string(*bson);
  MR_RETURN_IF_ERROR(update.apply(Value::bson_object(applied.before.data()), false, changed));
  bool differs = changed.bytes() != applied.before;
  applied.modified = differs || update.counts();
  if (differs) MR_RETURN_IF_ERROR(writer.replace(record, applied.before, changed.bytes()));
  if (keep) applied.after = Document(changed.bytes());
  return applied;
}

Result<Document> insert_document(StatementContext& context, const Document& made,
                                 const engine::Clock* stamp = nullptr) {
  BsonWriter writer;
  MR_ASSIGN_OR_RETURN(auto bson, stored_form(made.value(), writer, stamp));
  MR_ASSIGN_OR_RETURN(CollectionWriter * collection, context.writer_or_create());
  Document stored(bson);
  MR_RETURN_IF_ERROR(collection->insert(stored.bytes()));
  context.bytes += stored.bytes().size();
  return stored;
}

// The new document, inserted.
Result<Document> insert_upsert(StatementContext& context, Update& update, const Value& query,
                               BsonWriter& changed) {
  MR_ASSIGN_OR_RETURN(Document base, upsert_base(query, update.replaces()));
  MR_RETURN_IF_ERROR(update.apply(base.value(), true, changed));
  return insert_document(context, Document(changed.bytes()));
}

// One command's updates: statements of the same pipeline share what was compiled.
class UpdateRunner {
 public:
  UpdateRunner(LocalDatabase& local, const std::vector<UpdateStatement>& statements)
      : local_(local), statements_(statements) {}

  Status run(StatementContext& context, size_t index, WriteResult& result) {
    const UpdateStatement& statement = statements_[index];
    MR_RETURN_IF_ERROR(compile(statement));
    if (statement.multi && update_->replaces()) {
      return Status(ErrorCode::kFailedToParse,
                    "multi update is not supported for replacement-style update");
    }
    if (statement.multi && has_sort(statement.sort))
      return Status(ErrorCode::kFailedToParse, "Cannot specify sort with multi=true");
    MR_ASSIGN_OR_RETURN(CollectionWriter * writer, context.writer());
    std::vector<RecordId> records;
    if (writer != nullptr && has_sort(statement.sort)) {
      MR_ASSIGN_OR_RETURN(
          auto first, choose_record(*writer, statement.spec.query, statement.sort, statement.hint,
                                    statement.spec.let, local_.clock()));
      if (first) records.push_back(*first);
    } else if (writer != nullptr) {
      MR_ASSIGN_OR_RETURN(
          records, find_records(*writer, statement.spec.query, statement.hint, statement.spec.let,
                                statement.multi, local_.clock()));
    } else {
      MR_RETURN_IF_ERROR(
          check_query(statement.spec.query, statement.spec.let, local_.clock(), statement.sort));
    }
    for (RecordId record : records) {
      MR_ASSIGN_OR_RETURN(Applied applied,
                          apply_to_record(*writer, *update_, record, changed_, false));
      ++result.matched;
      result.modified += applied.modified ? 1 : 0;
      context.bytes += applied.before.size();
    }
    if (!records.empty() || !statement.upsert) return {};
    MR_ASSIGN_OR_RETURN(
        Document stored,
        statement.upsert_supplied
            ? insert_document(context, Document(supplied(statement)), stamp(statement))
            : insert_upsert(context, *update_, statement.spec.query, changed_));
    result.upserted.push_back({index, id_document(stored.value())});
    return {};
  }

 private:
  const engine::Clock* stamp(const UpdateStatement& statement) const {
    return statement.spec.keep_empty_timestamps ? nullptr : &local_.clock();
  }
  static Value supplied(const UpdateStatement& statement) {
    return statement.spec.constants.as_object().get("new");
  }
  Status compile(const UpdateStatement& statement) {
    bool has_new = statement.spec.constants.is_object() && supplied(statement).is_object();
    if (statement.upsert_supplied && !(statement.upsert && has_new)) {
      return Status(ErrorCode::kFailedToParse,
                    "the parameter 'upsertSupplied' is set to 'true', but no document was supplied "
                    "for an upsert");
    }
    if (update_ != nullptr && update_->rebind(statement.spec)) return {};
    MR_ASSIGN_OR_RETURN(update_, Update::parse(statement.spec, local_.stages(), local_.clock()));
    return {};
  }

  LocalDatabase& local_;
  const std::vector<UpdateStatement>& statements_;
  std::unique_ptr<Update> update_;
  BsonWriter changed_;
};

}  // namespace

Result<WriteResult> update_documents(LocalDatabase& local, std::string_view database,
                                     std::string_view name,
                                     const std::vector<UpdateStatement>& statements,
                                     const WriteOptions& options) {
  UpdateRunner runner(local, statements);
  return run_statements(local, database, name, statements.size(), options,
                        [&](StatementContext& context, size_t i, WriteResult& result) {
                          return runner.run(context, i, result);
                        });
}

Result<WriteResult> delete_documents(LocalDatabase& local, std::string_view database,
                                     std::string_view name,
                                     const std::vector<DeleteStatement>& statements,
                                     const Value& let, const WriteOptions& options) {
  return run_statements(
      local, database, name, statements.size(), options,
      [&](StatementContext& context, size_t i, WriteResult& result) -> Status {
        const DeleteStatement& statement = statements[i];
        MR_ASSIGN_OR_RETURN(CollectionWriter * writer, context.writer());
        if (writer == nullptr) return check_query(statement.query, let, local.clock());
        MR_ASSIGN_OR_RETURN(auto records, find_records(*writer, statement.query, statement.hint,
                                                       let, !statement.only_one, local.clock()));
        for (RecordId record : records) {
          MR_ASSIGN_OR_RETURN(auto bson, storage::get_record(context.transaction(),
                                                             writer->collection().id, record));
          if (!bson) continue;
          MR_RETURN_IF_ERROR(writer->erase(record, std::string(*bson)));
          ++result.matched;
        }
        return {};
      });
}

namespace {

Status modify(StatementContext& context, const FindAndModifySpec& spec,
              FindAndModifyResult& result) {
  const engine::Clock& clock = context.local().clock();
  MR_ASSIGN_OR_RETURN(CollectionWriter * writer, context.writer());
  std::optional<RecordId> record;
  if (writer != nullptr) {
    MR_ASSIGN_OR_RETURN(record,
                        choose_record(*writer, spec.query, spec.sort, spec.hint, spec.let, clock));
  } else {
    MR_RETURN_IF_ERROR(check_query(spec.query, spec.let, clock, spec.sort));
  }
  if (spec.update.is_missing()) {
    if (!record) return {};
    MR_ASSIGN_OR_RETURN(
        auto bson, storage::get_record(context.transaction(), writer->collection().id, *record));
    if (!bson) return {};
    result.before = Document(*bson);
    return writer->erase(*record, result.before->bytes());
  }
  UpdateSpec update_spec{spec.update,      spec.query, spec.array_filters,
                         Value::missing(), spec.let,   context.options().keep_empty_timestamps};
  MR_ASSIGN_OR_RETURN(auto update, Update::parse(update_spec, context.local().stages(), clock));
  BsonWriter changed;
  if (record) {
    MR_ASSIGN_OR_RETURN(Applied applied, apply_to_record(*writer, *update, *record, changed, true));
    result.before = Document(std::move(applied.before));
    result.after = applied.after;
  } else if (spec.upsert) {
    MR_ASSIGN_OR_RETURN(result.after, insert_upsert(context, *update, spec.query, changed));
    result.upserted = true;
  }
  return {};
}

}  // namespace

Result<FindAndModifyResult> find_and_modify(LocalDatabase& local, std::string_view database,
                                            std::string_view name, const FindAndModifySpec& spec,
                                            const WriteOptions& options, Document* details) {
  FindAndModifyResult result;
  MR_ASSIGN_OR_RETURN(auto outcome,
                      run_statements(local, database, name, 1, options,
                                     [&](StatementContext& context, size_t, WriteResult&) {
                                       result = {};
                                       return modify(context, spec, result);
                                     }));
  if (outcome.failed.empty()) return result;
  *details = outcome.failed.front().failure.details;
  return outcome.failed.front().failure.status;
}

}  // namespace millrace::commands
