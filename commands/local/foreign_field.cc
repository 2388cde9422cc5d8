#include "commands/local/foreign_field.h"

#include <algorithm>

#include "commands/local/aggregate.h"
#include "commands/local/foreign_collection.h"
#include "commands/local/index_keys.h"
#include "commands/local/query_plan.h"
#include "storage/index_entries.h"

namespace millrace::commands {

using engine::Result;
using engine::Status;
using engine::Value;
using storage::RecordId;

IndexInfo field_as_index(std::string_view path) {
  engine::BsonWriter spec;
  spec.begin_document();
  spec.begin_object("key");
  spec.append(path, 1);
  spec.end();
  spec.append("name", "field");
  spec.end();
  return make_index(0, engine::Document(spec.bytes()));
}

ForeignField::ForeignField(std::string_view collection, std::string_view path,
                           AggregateBuilder& builder)
    : name_(collection), field_(field_as_index(path)), builder_(builder) {}

Result<ForeignField::Keys> ForeignField::keys_of_field(const IndexInfo& field,
                                                       const Value& document) {
  MR_ASSIGN_OR_RETURN(auto found, index_keys(field, document));
  Keys keys;
  for (auto& key : found) {
    // An empty array matches nothing.
    if (!key.values.front().is(engine::Type::kUndefined)) keys.push_back(std::move(key.bytes));
  }
  return keys;
}

Status ForeignField::choose() {
  AggregateScope& scope = builder_.scope();
  MR_ASSIGN_OR_RETURN(auto resolved, resolve_name(*scope.txn, scope.database, name_));
  if (resolved.view) return load_view();
  if (!resolved.collection) {
    way_ = Way::kNothing;
    return {};
  }
  collection_ = resolved.collection->id;
  const IndexInfo* index = index_on_path(*resolved.collection, field_.fields.front().path);
  if (index != nullptr) {
    index_ = *index;
    way_ = Way::kIndex;
    return {};
  }
  MR_ASSIGN_OR_RETURN(bool loaded, load_records());
  way_ = loaded ? Way::kRecords : Way::kScan;
  return {};
}

Status ForeignField::load_view() {
  MR_RETURN_IF_ERROR(read_view(builder_.scope(), name_, view_));
  if (view_.arena.capacity_bytes() > kMaxViewBytes) {
    return Status(146, "the view '" + name_ + "' is too large to be joined in memory: more than " +
                           std::to_string(kMaxViewBytes) + " bytes");
  }
  for (size_t row = 0; row < view_.documents.size(); ++row) {
    MR_ASSIGN_OR_RETURN(auto keys, index_keys(field_, view_.documents[row].body));
    for (auto& key : keys) by_key_.emplace(std::move(key.bytes), row);
  }
  way_ = Way::kView;
  return {};
}

// False when the keys would take too much memory.
Result<bool> ForeignField::load_records() {
  constexpr size_t kEntryBytes = 64;  // about what the table takes for an entry
  MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(*builder_.scope().txn, collection_));
  size_t bytes = 0;
  MR_RETURN_IF_ERROR(cursor.first());
  while (cursor.valid()) {
    MR_ASSIGN_OR_RETURN(auto keys, index_keys(field_, Value::bson_object(cursor.bson().data())));
    for (auto& key : keys) {
      bytes += key.bytes.size() + kEntryBytes;
      by_key_.emplace(std::move(key.bytes), cursor.record());
    }
    if (bytes > kMaxKeyBytes) {
      by_key_.clear();
      return false;
    }
    MR_RETURN_IF_ERROR(cursor.next());
  }
  return true;
}

Status ForeignField::find_by_index(const std::vector<Keys>& wanted, Rows& rows) {
  storage::ReadTransaction& txn = *builder_.scope().txn;
  MR_ASSIGN_OR_RETURN(auto cursor, storage::IndexCursor::open(txn, index_.id, index_.unique));
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& key : wanted[i]) {
      MR_RETURN_IF_ERROR(cursor.seek(key));
      for (; cursor.valid();) {
        std::string_view found = cursor.key();
        size_t compared = cursor.truncated() ? std::min(key.size(), found.size()) : key.size();
        if (found.substr(0, compared) != std::string_view(key).substr(0, compared)) break;
        bool certain = !cursor.truncated() || compared == key.size();
        if (!certain) {
          MR_ASSIGN_OR_RETURN(auto bson, storage::get_record(txn, collection_, cursor.record()));
          MR_ASSIGN_OR_RETURN(auto keys, index_keys(field_, bson ? Value::bson_object(bson->data())
                                                                 : Value::object({})));
          certain = std::any_of(keys.begin(), keys.end(),
                                [&](const IndexKey& own) { return own.bytes == key; });
        }
        if (certain) rows[i].push_back(cursor.record());
        MR_RETURN_IF_ERROR(cursor.next());
      }
    }
  }
  return {};
}

void ForeignField::find_by_hash(const std::vector<Keys>& wanted, Rows& rows) const {
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& key : wanted[i]) {
      auto [from, to] = by_key_.equal_range(key);
      for (; from != to; ++from) rows[i].push_back(from->second);
    }
  }
}

Status ForeignField::find_by_scan(const std::vector<Keys>& wanted, Rows& rows) {
  std::unordered_multimap<std::string_view, size_t> who;
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& key : wanted[i]) who.emplace(key, i);
  }
  MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(*builder_.scope().txn, collection_));
  MR_RETURN_IF_ERROR(cursor.first());
  while (cursor.valid()) {
    MR_ASSIGN_OR_RETURN(auto keys, index_keys(field_, Value::bson_object(cursor.bson().data())));
    for (const auto& key : keys) {
      auto [from, to] = who.equal_range(key.bytes);
      for (; from != to; ++from) rows[from->second].push_back(cursor.record());
    }
    MR_RETURN_IF_ERROR(cursor.next());
  }
  return {};
}

Status ForeignField::find(const std::vector<Keys>& wanted, std::vector<std::vector<Value>>& found) {
  if (way_ == Way::kUnknown) MR_RETURN_IF_ERROR(choose());
  found.assign(wanted.size(), {});
  if (way_ == Way::kNothing) return {};
  Rows rows(wanted.size());
  if (way_ == Way::kIndex) {
    MR_RETURN_IF_ERROR(find_by_index(wanted, rows));
  } else if (way_ == Way::kScan) {
    MR_RETURN_IF_ERROR(find_by_scan(wanted, rows));
  } else {
    find_by_hash(wanted, rows);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    std::sort(rows[i].begin(), rows[i].end());
    rows[i].erase(std::unique(rows[i].begin(), rows[i].end()), rows[i].end());
    for (RecordId row : rows[i]) {
      if (way_ == Way::kView) {
        found[i].push_back(view_.documents[row].body);
        continue;
      }
      MR_ASSIGN_OR_RETURN(auto bson, storage::get_record(*builder_.scope().txn, collection_, row));
      if (bson) found[i].push_back(Value::bson_object(bson->data()));
    }
  }
  return {};
}

}  // namespace millrace::commands
