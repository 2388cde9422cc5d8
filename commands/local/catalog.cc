#include "commands/local/catalog.h"

#include <openssl/rand.h>

#include "commands/local/name_check.h"
#include "storage/index_entries.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    size_t dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    if (dot == path.npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

Result<std::string> new_uuid() {
  std::string uuid(16, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(uuid.data()), 16) != 1) {
    return Status(ErrorCode::kInternalError, "no random bytes for a collection's UUID");
  }
  uuid[6] = static_cast<char>((uuid[6] & 0x0f) | 0x40);  // version 4, RFC 4122 section 4.4
  uuid[8] = static_cast<char>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

Collection read_entry(const storage::CatalogEntry& entry) {
  Collection collection;
  size_t dot = entry.ns.find('.');
  collection.database = entry.ns.substr(0, dot);
  collection.name = entry.ns.substr(dot + 1);
  auto fields = entry.document.view();
  collection.view = fields.get("type").as_string() == "view";
  collection.id = static_cast<storage::CollectionId>(fields.get("id").as_int64());
  collection.uuid = std::string(fields.get("uuid").as_string());
  collection.options = Document(fields.get("options"));
  for (Value index : fields.get("indexes").as_array()) {
    auto parts = index.as_object();
    collection.indexes.push_back(make_index(
        static_cast<storage::IndexId>(parts.get("id").as_int64()), Document(parts.get("spec"))));
  }
  return collection;
}

}  // namespace

int64_t IndexInfo::expire_after_seconds() const {
  Value seconds = spec.get("expireAfterSeconds");
  return seconds.is_number() ? static_cast<int64_t>(seconds.to_double()) : -1;
}

const IndexInfo* Collection::find_index(std::string_view index_name) const {
  for (const auto& index : indexes) {
    if (index.name == index_name) return &index;
  }
  return nullptr;
}

Document Collection::describe() const {
  BsonWriter writer;
  writer.begin_document();
  writer.append("type", view ? "view" : "collection");
  writer.append("uuid", Value::binary(4, uuid));
  writer.append("id", static_cast<int64_t>(id));
  writer.append("options", options.value());
  writer.begin_array("indexes");
  size_t position = 0;
  for (const auto& index : indexes) {
    writer.begin_object(std::to_string(position++));
    writer.append("id", static_cast<int64_t>(index.id));
    writer.append("spec", index.spec.value());
    writer.end();
  }
  writer.end();
  writer.end();
  return Document(writer.bytes());
}

IndexInfo make_index(storage::IndexId id, const Document& spec) {
  IndexInfo index;
  index.id = id;
  index.spec = spec;
  index.name = std::string(spec.get("name").as_string());
  for (const auto& field : spec.get("key").as_object()) {
    IndexField part;
    part.path = std::string(field.name());
    part.parts = split_path(field.name());
    part.descending = field.value.is_number() && field.value.to_double() < 0;
    if (!field.value.is_number() || part.path.find("$**") != part.path.npos)
      index.has_entries = false;
    index.fields.push_back(std::move(part));
  }
  index.unique = spec.get("unique").truthy() || index.is_id();
  index.sparse = spec.get("sparse").truthy();
  index.hidden = spec.get("hidden").truthy();
  return index;
}

Result<std::optional<Collection>> find_collection(storage::ReadTransaction& txn,
                                                  std::string_view database,
                                                  std::string_view name) {
  std::string ns = namespace_of(database, name);
  if (ns.size() > kMaxNamespaceBytes) return std::optional<Collection>();
  MR_ASSIGN_OR_RETURN(auto document, storage::get_catalog_entry(txn, ns));
  if (!document) return std::optional<Collection>();
  return std::optional(read_entry({std::move(ns), *document}));
}

Status save_collection(storage::WriteTransaction& txn, const Collection& collection) {
  return storage::put_catalog_entry(txn, collection.ns(), collection.describe().bytes());
}

Result<Collection> create_collection(storage::WriteTransaction& txn, std::string_view database,
                                     std::string_view name, const Document& options) {
  Collection collection;
  collection.database = std::string(database);
  collection.name = std::string(name);
  collection.options = options;
  MR_ASSIGN_OR_RETURN(collection.uuid, new_uuid());
  MR_ASSIGN_OR_RETURN(collection.id, storage::next_catalog_id(txn));
  collection.view = !options.get("viewOn").is_missing();
  if (!collection.view) {
    MR_ASSIGN_OR_RETURN(auto index_id, storage::next_catalog_id(txn));
    BsonWriter spec;
    spec.begin_document();
    spec.append("v", 2);
    spec.begin_object("key");
    spec.append("_id", 1);
    spec.end();
    spec.append("name", "_id_");
    spec.end();
    collection.indexes.push_back(make_index(index_id, Document(spec.bytes())));
  }
  MR_RETURN_IF_ERROR(save_collection(txn, collection));
  return collection;
}

Status erase_collection(storage::WriteTransaction& txn, const Collection& collection) {
  for (const auto& index : collection.indexes)
    MR_RETURN_IF_ERROR(storage::erase_all_index_entries(txn, index.id).status());
  if (!collection.view) MR_RETURN_IF_ERROR(storage::erase_all_records(txn, collection.id).status());
  return storage::erase_catalog_entry(txn, collection.ns()).status();
}

Result<std::vector<Collection>> list_collections(storage::ReadTransaction& txn,
                                                 std::string_view database) {
  MR_ASSIGN_OR_RETURN(
      auto entries,
      storage::list_catalog(txn, database.empty() ? std::string() : std::string(database) + "."));
  std::vector<Collection> collections;
  collections.reserve(entries.size());
  for (const auto& entry : entries) collections.push_back(read_entry(entry));
  return collections;
}

Status refuse_view(const Collection& collection) {
  if (!collection.view) return {};
  return Status(ErrorCode::kCommandNotSupportedOnView,
                "Namespace " + collection.ns() + " is a view, not a collection");
}

}  // namespace millrace::commands
