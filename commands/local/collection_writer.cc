#include "commands/local/collection_writer.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "commands/local/key_bytes.h"
#include "storage/index_entries.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

Result<std::unique_ptr<CollectionWriter>> CollectionWriter::open(storage::WriteTransaction& txn,
                                                                 Collection collection,
                                                                 const engine::Clock& clock,
                                                                 bool bypass_validation) {
  MR_RETURN_IF_ERROR(refuse_view(collection));
  std::unique_ptr<CollectionWriter> writer(new CollectionWriter(txn, std::move(collection), clock));
  const Collection& target = writer->collection_;
  Value validator = target.options.get("validator");
  Value level = target.options.get("validationLevel");
  bool off = level.is_string() && level.as_string() == "off";
  writer->moderate_ = level.is_string() && level.as_string() == "moderate";
  if (validator.is_object() && !validator.as_object().empty() && !bypass_validation && !off) {
    MR_ASSIGN_OR_RETURN(writer->validator_, writer->evaluation_.parse_predicate(validator));
  }
  for (const auto& index : target.indexes) {
    auto& filter = writer->partial_.emplace_back();
    if (!index.partial_filter().is_missing()) {
      MR_ASSIGN_OR_RETURN(filter, writer->evaluation_.parse_predicate(index.partial_filter()));
    }
  }
  writer->capped_ = target.capped();
  if (writer->capped_) {
    MR_ASSIGN_OR_RETURN(auto statistics, storage::collection_statistics(txn, target.id));
    writer->records_ = statistics.records;
    writer->bytes_ = statistics.bytes;
  }
  return writer;
}

Status CollectionWriter::check_document(const Value& document, const Value* old_document) {
  if (document.bson_bytes().size() > engine::kMaxDocumentBytes) {
    if (old_document != nullptr)
      return Status(17419, "Resulting document after update is larger than " +
                               std::to_string(engine::kMaxDocumentBytes));
    return Status(ErrorCode::kBsonObjectTooLarge,
                  "BSONObj size: " + std::to_string(document.bson_bytes().size()) +
                      " is invalid. Size must be between 0 and " +
                      std::to_string(engine::kMaxDocumentBytes));
  }
  if (validator_ == nullptr) return {};
  MR_ASSIGN_OR_RETURN(bool valid, evaluation_.matches(*validator_, document));
  if (!valid && moderate_ && old_document != nullptr) {
    MR_ASSIGN_OR_RETURN(bool was_valid, evaluation_.matches(*validator_, *old_document));
    valid = !was_valid;
  }
  evaluation_.arena().reset();
  if (valid) return {};
  Value action = collection_.options.get("validationAction");
  if (action.is_string() && action.as_string() == "warn") {
    spdlog::warn("a document that does not pass the validator of {} was stored, _id {}",
                 collection_.ns(), shell_text(document.as_object().get("_id")));
    return {};
  }
  BsonWriter info;
  info.begin_document();
  info.begin_object("errInfo");
  info.append("failingDocumentId", document.as_object().get("_id"));
  info.begin_object("details");
  Value rules = collection_.options.get("validator");
  info.append("operatorName", rules.as_object().begin()->name());
  info.append("specifiedAs", rules);
  info.append("reason", "the document does not match the validator");
  info.end(), info.end(), info.end();
  details_ = Document(info.bytes());
  return Status(ErrorCode::kDocumentValidationFailure, "Document failed validation");
}

Result<bool> CollectionWriter::covers(size_t index, const Value& document) {
  if (!collection_.indexes[index].has_entries) return false;
  if (partial_[index] == nullptr) return true;
  return evaluation_.matches(*partial_[index], document);
}

Result<std::vector<CollectionWriter::Entry>> CollectionWriter::entries(const Value& document,
                                                                       bool with_id) {
  std::vector<Entry> all;
  for (size_t i = 0; i < collection_.indexes.size(); ++i) {
    const IndexInfo& index = collection_.indexes[i];
    if (index.is_id()) {
      if (!with_id) continue;
      IndexKey key;
      Value id = document.as_object().get("_id");
      append_key_bytes(key.bytes, id);
      key.values.push_back(id);
      all.push_back({&index, std::move(key)});
      continue;
    }
    MR_ASSIGN_OR_RETURN(bool covered, covers(i, document));
    if (!covered) continue;
    MR_ASSIGN_OR_RETURN(auto keys, index_keys(index, document));
    for (auto& key : keys) all.push_back({&index, std::move(key)});
  }
  return all;
}

Status CollectionWriter::fail_duplicate(const Entry& entry) {
  BsonWriter details;
  details.begin_document();
  details.append("keyPattern", entry.index->key());
  details.append("keyValue", key_document(*entry.index, entry.key.values).value());
  details.end();
  details_ = Document(details.bytes());
  return duplicate_key_error(collection_, *entry.index, entry.key.values);
}

// With an error, none of them stays.
Status CollectionWriter::add_entries(const std::vector<Entry>& added, storage::RecordId record) {
  for (size_t i = 0; i < added.size(); ++i) {
    const auto& [index, key] = added[i];
    MR_ASSIGN_OR_RETURN(auto outcome, storage::insert_index_entry(txn_, index->id, index->unique,
                                                                  key.bytes, record));
    if (outcome.inserted || !index->unique || outcome.existing == record) continue;
    for (size_t k = 0; k < i; ++k) {
      MR_RETURN_IF_ERROR(storage::erase_index_entry(txn_, added[k].index->id,
                                                    added[k].index->unique, added[k].key.bytes,
                                                    record)
                             .status());
    }
    return fail_duplicate(added[i]);
  }
  return {};
}

Status CollectionWriter::insert(std::string_view bson) {
  Value document = Value::bson_object(bson.data());
  MR_RETURN_IF_ERROR(check_document(document, nullptr));
  MR_ASSIGN_OR_RETURN(auto added, entries(document, true));
  MR_ASSIGN_OR_RETURN(auto record, storage::insert_record(txn_, collection_.id, bson));
  auto status = add_entries(added, record);
  if (!status.ok()) {
    if (status.is(ErrorCode::kDuplicateKey))
      MR_RETURN_IF_ERROR(storage::erase_record(txn_, collection_.id, record).status());
    return status;
  }
  if (!capped_) return {};
  ++records_;
  bytes_ += static_cast<int64_t>(bson.size());
  return shrink_capped();
}

Status CollectionWriter::replace(storage::RecordId record, std::string_view old_bson,
                                 std::string_view new_bson) {
  Value old_document = Value::bson_object(old_bson.data());
  Value document = Value::bson_object(new_bson.data());
  MR_RETURN_IF_ERROR(check_document(document, &old_document));
  if (collection_.indexes.size() > 1) {
    MR_ASSIGN_OR_RETURN(auto before, entries(old_document, false));
    MR_ASSIGN_OR_RETURN(auto after, entries(document, false));
    auto same = [](const Entry& a, const Entry& b) { return a.index == b.index && a.key == b.key; };
    std::vector<Entry> removed;
    for (auto& entry : before) {
      auto kept = std::find_if(after.begin(), after.end(),
                               [&](const Entry& other) { return same(entry, other); });
      if (kept == after.end()) {
        removed.push_back(std::move(entry));
      } else {
        after.erase(kept);
      }
    }
    MR_RETURN_IF_ERROR(add_entries(after, record));
    for (const auto& [index, key] : removed) {
      MR_RETURN_IF_ERROR(
          storage::erase_index_entry(txn_, index->id, index->unique, key.bytes, record).status());
    }
  }
  MR_RETURN_IF_ERROR(storage::replace_record(txn_, collection_.id, record, new_bson).status());
  if (!capped_) return {};
  bytes_ += static_cast<int64_t>(new_bson.size()) - static_cast<int64_t>(old_bson.size());
  return shrink_capped();
}

Status CollectionWriter::erase(storage::RecordId record, std::string_view old_bson) {
  MR_ASSIGN_OR_RETURN(auto removed, entries(Value::bson_object(old_bson.data()), true));
  for (const auto& [index, key] : removed) {
    MR_RETURN_IF_ERROR(
        storage::erase_index_entry(txn_, index->id, index->unique, key.bytes, record).status());
  }
  --records_;
  bytes_ -= static_cast<int64_t>(old_bson.size());
  return storage::erase_record(txn_, collection_.id, record).status();
}

// The oldest documents go until the collection is within its limits.
// https://www.mongodb.com/docs/manual/core/capped-collections/
Status CollectionWriter::shrink_capped() {
  Value size = collection_.options.get("size");
  Value max = collection_.options.get("max");
  auto size_limit = size.is_number() ? static_cast<int64_t>(size.to_double()) : INT64_MAX;
  auto record_limit =
      max.is_number() && max.to_double() > 0 ? static_cast<int64_t>(max.to_double()) : INT64_MAX;
  while (records_ > 1 && (bytes_ > size_limit || records_ > record_limit)) {
    storage::RecordId oldest = 0;
    std::string bson;
    {
      MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(txn_, collection_.id));
      MR_RETURN_IF_ERROR(cursor.first());
      if (!cursor.valid()) return {};
      oldest = cursor.record();
      bson = std::string(cursor.bson());
    }
    MR_RETURN_IF_ERROR(erase(oldest, bson));
  }
  return {};
}

}  // namespace millrace::commands
