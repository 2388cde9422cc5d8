// BSON documents by name: what processors.h, connections.h and stats.h have in common.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/document/bson.h"
#include "storage/store.h"

namespace millrace::storage {

struct NamedDocument {
  std::string name;
  engine::Document document;
};

// What list() could not read; the rest of the list is sound.
struct NamedDocumentList {
  std::vector<NamedDocument> documents;  // by name
  std::vector<Status> damaged;
};

template <Table kTable>
class NamedDocuments {
 public:
  // Inserts or replaces. Errors: 2 BadValue when the name is empty or longer than kMaxKeyBytes.
  static Status put(WriteTransaction& txn, std::string_view name, std::string_view bson);
  static Result<std::optional<engine::Document>> get(ReadTransaction& txn, std::string_view name);
  // False when there was none.
  static Result<bool> erase(WriteTransaction& txn, std::string_view name);
  static Result<NamedDocumentList> list(ReadTransaction& txn);
};

extern template class NamedDocuments<Table::kProcessors>;
extern template class NamedDocuments<Table::kConnections>;
extern template class NamedDocuments<Table::kStats>;

}  // namespace millrace::storage
