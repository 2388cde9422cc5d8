#include "commands/local/index_build.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "commands/local/evaluation.h"
#include "commands/local/index_keys.h"
#include "commands/local/name_check.h"
#include "engine/document/compare.h"
#include "storage/index_entries.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

// clang-format off
constexpr std::array<std::string_view, 14> kKnownOptions = {
    "2dsphereIndexVersion", "background", "clustered", "collation", "expireAfterSeconds", "hidden", "key", "name", "ns",
    "partialFilterExpression", "sparse", "unique", "v", "wildcardProjection",
};
// clang-format on
static_assert(std::is_sorted(kKnownOptions.begin(), kKnownOptions.end()));

Status in_spec(ErrorCode code, const Value& spec, std::string_view what) {
  return Status(
      code, "Error in specification " + shell_text(spec) + " :: caused by :: " + std::string(what));
}

Status check_key(const Value& spec, const Value& key) {
  if (!key.is_object())
    return in_spec(ErrorCode::kTypeMismatch, spec,
                   "The field 'key' must be an object, but got " + std::string(key.type_name()));
  if (key.as_object().empty())
    return in_spec(ErrorCode::kCannotCreateIndex, spec, "Index keys cannot be empty.");
  for (const auto& field : key.as_object()) {
    std::string_view path = field.name();
    bool empty_part =
        path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != path.npos;
    if (empty_part)
      return in_spec(ErrorCode::kCannotCreateIndex, spec,
                     "Index keys cannot contain an empty field.");
    bool wildcard = path == "$**" || path.ends_with(".$**");
    if (!wildcard && (path.front() == '$' || path.find(".$") != path.npos)) {
      return in_spec(ErrorCode::kCannotCreateIndex, spec,
                     "Index key contains an illegal field name: field name starts with '$'.");
    }
    if (field.value.is_number()) {
      if (field.value.to_double() == 0)
        return in_spec(ErrorCode::kCannotCreateIndex, spec,
                       "Values in the index key pattern cannot be 0.");
      if (std::isnan(field.value.to_double()))
        return in_spec(ErrorCode::kCannotCreateIndex, spec,
                       "Values in the index key pattern cannot be NaN.");
      continue;
    }
    if (!field.value.is_string()) {
      return in_spec(ErrorCode::kCannotCreateIndex, spec,
                     "Values in v:2 index key pattern cannot be of type " +
                         std::string(field.value.type_name()) +
                         ". Only numbers > 0, numbers < 0, and strings are allowed.");
    }
    std::string_view plugin = field.value.as_string();
    if (plugin == "text" || plugin == "2d" || plugin == "geoHaystack") {
      return Status(ErrorCode::kNotImplemented,
                    "indexes of type '" + std::string(plugin) + "' are not supported by Millrace");
    }
    if (plugin != "hashed" && plugin != "2dsphere") {
      return in_spec(ErrorCode::kCannotCreateIndex, spec,
                     "Unknown index plugin '" + std::string(plugin) + "'");
    }
  }
  return {};
}

Status check_options(const Value& spec) {
  for (const auto& field : spec.as_object()) {
    std::string_view name = field.name();
    if (!std::binary_search(kKnownOptions.begin(), kKnownOptions.end(), name)) {
      return in_spec(
          ErrorCode::kInvalidIndexSpecificationOption, spec,
          "The field '" + std::string(name) +
              "' is not valid for an index specification. Specification: " + shell_text(spec));
    }
    bool flag = name == "unique" || name == "sparse" || name == "hidden" || name == "background" ||
                name == "clustered";
    if (flag && !field.value.is_number() && !field.value.is(engine::Type::kBool)) {
      return in_spec(ErrorCode::kTypeMismatch, spec,
                     "The field '" + std::string(name) + "' has value " + shell_text(field.value) +
                         ", which is not convertible to bool");
    }
    if (name == "expireAfterSeconds" && !field.value.is_number()) {
      return Status(
          ErrorCode::kCannotCreateIndex,
          "TTL index 'expireAfterSeconds' option must be numeric, but received a type of '" +
              std::string(field.value.type_name()) + "'. Index spec: " + shell_text(spec));
    }
    if (name == "partialFilterExpression" && !field.value.is_object()) {
      return in_spec(ErrorCode::kTypeMismatch, spec,
                     "The field 'partialFilterExpression' must be an object");
    }
    if (name == "collation" && field.value.is_object() && !field.value.as_object().empty()) {
      Value locale = field.value.as_object().get("locale");
      if (!locale.is_string() || locale.as_string() != "simple") {
        return Status(ErrorCode::kNotImplemented,
                      "collations other than {locale: \"simple\"} are not supported by Millrace");
      }
    }
  }
  return {};
}

// Without what is implied: two indexes with the same are the same.
bool same_options(const IndexInfo& a, const IndexInfo& b) {
  return a.unique == b.unique && a.sparse == b.sparse &&
         a.expire_after_seconds() == b.expire_after_seconds() &&
         engine::equal(a.partial_filter(), b.partial_filter());
}

// True when it is there already, exactly so.
Result<bool> check_existing(const Collection& collection, const IndexInfo& wanted) {
  for (const auto& index : collection.indexes) {
    bool same_key = engine::identical(index.key(), wanted.key()) ||
                    (engine::equal(index.key(), wanted.key()) && index.is_id());
    bool same_name = index.name == wanted.name;
    if (same_key && same_name && same_options(index, wanted)) return true;
    if (same_key && index.is_id() && wanted.name == "_id_") return true;
    if (same_name) {
      return Status(ErrorCode::kIndexKeySpecsConflict,
                    "An existing index has the same name as the requested index. When index names "
                    "are not specified, they are auto generated and "
                    "can cause conflicts. Please refer to our documentation. Requested index: " +
                        shell_text(wanted.spec.value()) +
                        ", existing index: " + shell_text(index.spec.value()));
    }
    if (same_key && engine::equal(index.partial_filter(), wanted.partial_filter())) {
      return Status(ErrorCode::kIndexOptionsConflict,
                    "Index already exists with a different name: " + index.name);
    }
  }
  return false;
}

// Entries for the documents that are there.
Status fill_index(storage::WriteTransaction& txn, const Collection& collection,
                  const IndexInfo& index, const engine::Clock& clock, Document* details) {
  Evaluation evaluation(clock);
  engine::PredicatePtr filter;
  if (!index.partial_filter().is_missing()) {
    MR_ASSIGN_OR_RETURN(filter, evaluation.parse_predicate(index.partial_filter()));
  }
  if (!index.has_entries) return {};
  storage::RecordId next = 1;
  while (true) {
    std::string bson;
    storage::RecordId record = 0;
    {  // a write ends what a cursor shows
      MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(txn, collection.id));
      MR_RETURN_IF_ERROR(cursor.seek(next));
      if (!cursor.valid()) return {};
      record = cursor.record();
      bson = std::string(cursor.bson());
    }
    next = record + 1;
    Value document = Value::bson_object(bson.data());
    if (filter != nullptr) {
      evaluation.arena().reset();
      MR_ASSIGN_OR_RETURN(bool covered, evaluation.matches(*filter, document));
      if (!covered) continue;
    }
    std::string prefix = "Index build failed: " + collection.ns() + " :: caused by :: ";
    auto keys = index_keys(index, document);
    if (!keys.ok()) return Status(keys.status().code(), prefix + keys.status().message());
    for (const auto& key : *keys) {
      MR_ASSIGN_OR_RETURN(auto outcome, storage::insert_index_entry(txn, index.id, index.unique,
                                                                    key.bytes, record));
      if (outcome.inserted || !index.unique || outcome.existing == record) continue;
      BsonWriter writer;
      writer.begin_document();
      writer.append("keyPattern", index.key());
      writer.append("keyValue", key_document(index, key.values).value());
      writer.end();
      *details = Document(writer.bytes());
      Status status = duplicate_key_error(collection, index, key.values);
      return Status(status.code(), prefix + status.message());
    }
  }
}

}  // namespace

Result<Document> normal_index_spec(const Value& spec) {
  auto fields = spec.as_object();
  Value key = fields.get("key");
  Value name = fields.get("name");
  if (key.is_missing())
    return in_spec(ErrorCode::kFailedToParse, spec,
                   "The 'key' field is a required property of an index specification");
  MR_RETURN_IF_ERROR(check_options(spec));
  MR_RETURN_IF_ERROR(check_key(spec, key));
  if (name.is_missing())
    return in_spec(ErrorCode::kFailedToParse, spec,
                   "The 'name' field is a required property of an index specification");
  if (!name.is_string())
    return in_spec(ErrorCode::kTypeMismatch, spec,
                   "The field 'name' must be a string, but got " + std::string(name.type_name()));
  if (name.as_string() == "*")
    return Status(ErrorCode::kBadValue, "The index name '*' is not valid.");
  if (name.as_string().empty())
    return in_spec(ErrorCode::kCannotCreateIndex, spec, "index name cannot be empty");
  if (name.as_string().find('\0') != std::string_view::npos)
    return in_spec(ErrorCode::kCannotCreateIndex, spec, "index name cannot contain NUL bytes");
  bool of_id = key.as_object().size() == 1 && key.as_object().begin()->has_name("_id");
  if (name.as_string() == "_id_" && !(of_id && key.as_object().begin()->value.is_number() &&
                                      key.as_object().begin()->value.to_double() == 1)) {
    return Status(ErrorCode::kBadValue,
                  "The field 'key' for an _id index must be {_id: 1}, but got " + shell_text(key));
  }
  BsonWriter writer;
  writer.begin_document();
  writer.append("v", int32_t{2});
  writer.append("key", key);
  writer.append("name", name);
  for (const auto& field : fields) {
    bool done = field.has_name("v") || field.has_name("key") || field.has_name("name") ||
                field.has_name("ns") || field.has_name("background");
    bool flag = field.has_name("unique") || field.has_name("sparse") || field.has_name("hidden");
    if (done || (flag && !field.value.truthy())) continue;
    writer.append(field.name(), flag ? Value::boolean(true) : field.value);
  }
  writer.end();
  return Document(writer.bytes());
}

Result<IndexBuildResult> create_indexes(LocalDatabase& local, std::string_view database,
                                        std::string_view name, const std::vector<Document>& specs,
                                        Document* details) {
  IndexBuildResult result;
  MR_RETURN_IF_ERROR(local.store().write([&](storage::WriteTransaction& txn) -> Status {
    result = {};
    MR_ASSIGN_OR_RETURN(auto found, find_collection(txn, database, name));
    if (found) MR_RETURN_IF_ERROR(refuse_view(*found));
    if (!found) {
      MR_RETURN_IF_ERROR(check_writable_name(database, name));
      MR_ASSIGN_OR_RETURN(found, create_collection(txn, database, name, Document()));
      result.created_collection = true;
    }
    Collection& collection = *found;
    result.before = collection.indexes.size();
    for (const auto& spec : specs) {
      Value filter = spec.get("partialFilterExpression");
      if (!filter.is_missing())
        MR_RETURN_IF_ERROR(Evaluation(local.clock()).parse_field_predicate(filter).status());
      MR_ASSIGN_OR_RETURN(bool exists, check_existing(collection, make_index(0, spec)));
      if (exists) continue;
      MR_ASSIGN_OR_RETURN(auto id, storage::next_catalog_id(txn));
      IndexInfo index = make_index(id, spec);
      MR_RETURN_IF_ERROR(fill_index(txn, collection, index, local.clock(), details));
      collection.indexes.push_back(std::move(index));
    }
    result.after = collection.indexes.size();
    return save_collection(txn, collection);
  }));
  return result;
}

namespace {

// Two documents with one key of a unique index were not there before, but what was salvaged of a
// damaged file may hold such: then the index keeps the first and the log names the other.
Status rebuild_indexes(LocalDatabase& local, const Collection& collection) {
  return local.store().write([&](storage::WriteTransaction& txn) -> Status {
    for (const auto& index : collection.indexes) {
      MR_RETURN_IF_ERROR(storage::erase_all_index_entries(txn, index.id).status());
      Document details;
      Status status = fill_index(txn, collection, index, local.clock(), &details);
      if (status.ok()) continue;
      if (!status.is(ErrorCode::kDuplicateKey)) return status;
      spdlog::error("index {} of {} lacks some documents: {}", index.name, collection.ns(),
                    status.message());
    }
    return {};
  });
}

}  // namespace

Status rebuild_lost_indexes(LocalDatabase& local) {
  std::vector<Collection> collections;
  {
    MR_ASSIGN_OR_RETURN(auto txn, local.store().read());
    MR_ASSIGN_OR_RETURN(bool lost, storage::index_entries_lost(*txn));
    if (!lost) return {};
    MR_ASSIGN_OR_RETURN(collections, list_collections(*txn));
  }
  for (const auto& collection : collections) MR_RETURN_IF_ERROR(rebuild_indexes(local, collection));
  return local.store().write(
      [](storage::WriteTransaction& txn) { return storage::index_entries_made_anew(txn); });
}

namespace {

// Positions in collection.indexes of what is to go.
Result<std::vector<size_t>> chosen_indexes(const Collection& collection, const Value& which) {
  std::vector<size_t> chosen;
  auto choose_name = [&](std::string_view name) -> Status {
    for (size_t i = 0; i < collection.indexes.size(); ++i) {
      if (collection.indexes[i].name != name) continue;
      chosen.push_back(i);
      return {};
    }
    return Status(ErrorCode::kIndexNotFound,
                  "index not found with name [" + std::string(name) + "]");
  };
  if (which.is_string() && which.as_string() == "*") {
    for (size_t i = 1; i < collection.indexes.size(); ++i) chosen.push_back(i);
    return chosen;
  }
  if (which.is_string()) {
    MR_RETURN_IF_ERROR(choose_name(which.as_string()));
  } else if (which.is_array()) {
    for (Value name : which.as_array()) {
      if (!name.is_string())
        return Status(ErrorCode::kTypeMismatch,
                      "dropIndexes " + collection.ns() + " requires a list of index names");
      MR_RETURN_IF_ERROR(choose_name(name.as_string()));
    }
  } else {
    for (size_t i = 0; i < collection.indexes.size(); ++i) {
      if (engine::equal(collection.indexes[i].key(), which)) chosen.push_back(i);
    }
    if (chosen.empty())
      return Status(ErrorCode::kIndexNotFound, "can't find index with key: " + shell_text(which));
  }
  if (std::find(chosen.begin(), chosen.end(), size_t{0}) != chosen.end())
    return Status(ErrorCode::kInvalidOptions, "cannot drop _id index");
  return chosen;
}

}  // namespace

Result<size_t> drop_indexes(LocalDatabase& local, std::string_view database, std::string_view name,
                            const Value& which) {
  size_t before = 0;
  MR_RETURN_IF_ERROR(local.store().write([&](storage::WriteTransaction& txn) -> Status {
    MR_ASSIGN_OR_RETURN(auto collection, find_collection(txn, database, name));
    if (!collection)
      return Status(ErrorCode::kNamespaceNotFound, "ns not found " + namespace_of(database, name));
    MR_RETURN_IF_ERROR(refuse_view(*collection));
    before = collection->indexes.size();
    MR_ASSIGN_OR_RETURN(auto chosen, chosen_indexes(*collection, which));
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    for (auto at = chosen.rbegin(); at != chosen.rend(); ++at) {
      MR_RETURN_IF_ERROR(
          storage::erase_all_index_entries(txn, collection->indexes[*at].id).status());
      collection->indexes.erase(collection->indexes.begin() + static_cast<ptrdiff_t>(*at));
    }
    return save_collection(txn, *collection);
  }));
  return before;
}

}  // namespace millrace::commands
