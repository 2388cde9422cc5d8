#include "commands/local/foreign_field.h"

#include <algorithm>
#include <optional>
#include <span>

#include "commands/local/aggregate.h"
#include "commands/local/foreign_collection.h"
#include "commands/local/key_bytes.h"
#include "commands/local/query_plan.h"
#include "engine/document/array_position.h"

namespace millrace::commands {

using engine::Result;
using engine::Status;
using engine::Value;
using storage::RecordId;

namespace {

std::string bytes_of(const Value& value) {
  std::string bytes;
  append_key_bytes(bytes, value);
  return bytes;
}

void add_keys_below(const Value& object, std::span<const std::string_view> path,
                    ForeignField::Keys& keys) {
  Value at = object.as_object().get(path.front());
  path = path.subspan(1);
  while (!path.empty() && at.is_array()) {
    auto position = engine::array_position(path.front(), engine::LeadingZeros::kAccepted);
    if (!position) {
      for (const Value& element : at.as_array()) {
        if (element.is_object()) add_keys_below(element, path, keys);
      }
      return;
    }
    at = at.as_array().at(*position);
    path = path.subspan(1);
  }
  if (path.empty()) {
    ForeignField::add_keys_of_value(at, keys);
  } else if (at.is_object()) {
    add_keys_below(at, path, keys);
  }
}

}  // namespace

ForeignField::Key::Key(const Value& value) : bytes(bytes_of(value)) {
  if (value.is_array()) {
    auto array = value.as_array();
    beside = bytes_of(array.size() == 0 ? Value::undefined() : array.at(0));
  }
}

void ForeignField::add_keys_of_value(const Value& value, Keys& keys) {
  if (value.is_array()) {
    for (const Value& element : value.as_array()) keys.emplace_back(element);
  } else if (!value.is_missing()) {
    keys.emplace_back(value);
  }
}

ForeignField::Keys ForeignField::keys_of_field(const engine::FieldPath& path,
                                               const Value& document) {
  Keys keys;
  add_keys_below(document, path.parts, keys);
  return keys;
}

ForeignField::ForeignField(std::string_view collection, std::string_view path,
                           AggregateBuilder& builder)
    : name_(collection), path_(path, names_), builder_(builder) {}

std::vector<std::string> ForeignField::values_of(const Value& document) const {
  std::vector<std::string> values;
  path_.any(document, engine::LeafArray::kElementsAndWhole, [&](const Value& value) {
    values.push_back(bytes_of(value.is_missing() ? Value::null() : value));
    return false;
  });
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

bool ForeignField::matches(const Value& document, const Keys& wanted) const {
  auto values = values_of(document);
  return std::any_of(wanted.begin(), wanted.end(), [&](const Key& key) {
    return std::binary_search(values.begin(), values.end(), key.bytes);
  });
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
  const IndexInfo* index = index_on_path(*resolved.collection, path_.text());
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
  MR_RETURN_IF_ERROR(read_pipeline(builder_.scope(), name_, {}, view_));
  if (view_.arena.capacity_bytes() > kMaxViewBytes) {
    return Status(146, "the view '" + name_ + "' is too large to be joined in memory: more than " +
                           std::to_string(kMaxViewBytes) + " bytes");
  }
  for (size_t row = 0; row < view_.documents.size(); ++row) {
    for (auto& value : values_of(view_.documents[row].body)) by_key_.emplace(std::move(value), row);
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
    for (auto& value : values_of(Value::bson_object(cursor.bson().data()))) {
      bytes += value.size() + kEntryBytes;
      by_key_.emplace(std::move(value), cursor.record());
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
    for (const Key& key : wanted[i]) {
      MR_RETURN_IF_ERROR(find_entries(cursor, key, key.bytes, rows[i]));
      if (!key.beside.empty()) MR_RETURN_IF_ERROR(find_entries(cursor, key, key.beside, rows[i]));
    }
  }
  return {};
}

// The records under the entries that begin with `entry`, as far as they have the value `key`. An
// entry says so by itself when it is not cut and when an array or null is not looked for.
Status ForeignField::find_entries(storage::IndexCursor& cursor, const Key& key,
                                  std::string_view entry, std::vector<RecordId>& rows) {
  MR_RETURN_IF_ERROR(cursor.seek(entry));
  for (; cursor.valid();) {
    std::string_view found = cursor.key();
    size_t compared = cursor.truncated() ? std::min(entry.size(), found.size()) : entry.size();
    if (found.substr(0, compared) != entry.substr(0, compared)) break;
    bool certain = compared == entry.size() && key.beside.empty();
    if (!certain) {
      MR_ASSIGN_OR_RETURN(auto bson,
                          storage::get_record(*builder_.scope().txn, collection_, cursor.record()));
      auto values = values_of(bson ? Value::bson_object(bson->data()) : Value::object({}));
      certain = std::binary_search(values.begin(), values.end(), key.bytes);
    }
    if (certain) rows.push_back(cursor.record());
    MR_RETURN_IF_ERROR(cursor.next());
  }
  return {};
}

void ForeignField::find_by_hash(const std::vector<Keys>& wanted, Rows& rows) const {
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& key : wanted[i]) {
      auto [from, to] = by_key_.equal_range(key.bytes);
      for (; from != to; ++from) rows[i].push_back(from->second);
    }
  }
}

Status ForeignField::find_by_scan(const std::vector<Keys>& wanted, Rows& rows) {
  std::unordered_multimap<std::string_view, size_t> who;
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& key : wanted[i]) who.emplace(key.bytes, i);
  }
  MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(*builder_.scope().txn, collection_));
  MR_RETURN_IF_ERROR(cursor.first());
  while (cursor.valid()) {
    for (const auto& value : values_of(Value::bson_object(cursor.bson().data()))) {
      auto [from, to] = who.equal_range(value);
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
