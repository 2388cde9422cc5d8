// What the local database knows of its collections and views. Kept in the store's catalog, one
// document each:
//
//   {type: "collection" | "view", uuid: <binData 4>, id: <int64>, options: {…}, indexes: [{id:
//   <int64>, spec: {v, key, name, …}}]}
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/bson.h"
#include "storage/collections.h"

namespace millrace::commands {

struct IndexField {
  std::string path;
  std::vector<std::string> parts;
  bool descending = false;
};

struct IndexInfo {
  storage::IndexId id = 0;
  engine::Document spec;  // as listIndexes shows it
  std::string name;
  std::vector<IndexField> fields;
  bool unique = false;
  bool sparse = false;
  bool hidden = false;
  // Hashed, 2dsphere and wildcard indexes are kept and listed but have no entries: no query of
  // Millrace needs them.
  bool has_entries = true;

  engine::Value key() const { return spec.get("key"); }
  engine::Value partial_filter() const {
    return spec.get("partialFilterExpression");
  }  // missing: all documents
  // -1: no TTL index.
  int64_t expire_after_seconds() const;
  bool is_id() const { return name == "_id_"; }
};

struct Collection {
  std::string database;
  std::string name;
  storage::CollectionId id = 0;
  bool view = false;
  std::string uuid;  // 16 bytes
  engine::Document options;
  std::vector<IndexInfo> indexes;  // the first is _id_; none in a view

  std::string ns() const { return database + "." + name; }
  const IndexInfo* find_index(std::string_view index_name) const;
  bool capped() const { return options.get("capped").truthy(); }
  std::string_view view_on() const { return options.get("viewOn").as_string(); }
  engine::Document describe() const;  // the catalog's document
};

// The index that `spec` describes, as it goes to the catalog; checks nothing. `id` 0 has no entries
// yet.
IndexInfo make_index(storage::IndexId id, const engine::Document& spec);

engine::Result<std::optional<Collection>> find_collection(storage::ReadTransaction& txn,
                                                          std::string_view database,
                                                          std::string_view name);
engine::Status save_collection(storage::WriteTransaction& txn, const Collection& collection);
// A new collection with its _id index. `options`: as listCollections shows them.
engine::Result<Collection> create_collection(storage::WriteTransaction& txn,
                                             std::string_view database, std::string_view name,
                                             const engine::Document& options);
// Its documents, indexes and catalog entry.
engine::Status erase_collection(storage::WriteTransaction& txn, const Collection& collection);
// In the order of their names; an empty database lists all.
engine::Result<std::vector<Collection>> list_collections(storage::ReadTransaction& txn,
                                                         std::string_view database = {});

// 166 CommandNotSupportedOnView "Namespace db.v is a view, not a collection": for whoever needs a
// collection.
engine::Status refuse_view(const Collection& collection);

}  // namespace millrace::commands
