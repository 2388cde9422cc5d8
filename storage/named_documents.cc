#include "storage/named_documents.h"

namespace millrace::storage {

template <Table kTable>
Status NamedDocuments<kTable>::put(WriteTransaction& txn, std::string_view name,
                                   std::string_view bson) {
  return txn.put(kTable, name, bson);
}

template <Table kTable>
Result<std::optional<engine::Document>> NamedDocuments<kTable>::get(ReadTransaction& txn,
                                                                    std::string_view name) {
  MR_ASSIGN_OR_RETURN(auto payload, txn.get(kTable, name));
  return payload ? std::optional(engine::Document(*payload)) : std::nullopt;
}

template <Table kTable>
Result<bool> NamedDocuments<kTable>::erase(WriteTransaction& txn, std::string_view name) {
  return txn.erase(kTable, name);
}

template <Table kTable>
Result<NamedDocumentList> NamedDocuments<kTable>::list(ReadTransaction& txn) {
  MR_ASSIGN_OR_RETURN(auto cursor, txn.cursor(kTable));
  NamedDocumentList list;
  for (auto status = cursor->first(); !status.ok() || cursor->valid(); status = cursor->next()) {
    if (status.ok()) {
      list.documents.push_back({std::string(cursor->key()), engine::Document(cursor->value())});
    } else if (status.is(ErrorCode::kDataCorruptionDetected) ||
               status.is(ErrorCode::kUnsupportedFormat)) {
      list.damaged.push_back(status);
    } else {
      return status;
    }
  }
  return list;
}

template class NamedDocuments<Table::kProcessors>;
template class NamedDocuments<Table::kConnections>;
template class NamedDocuments<Table::kStats>;

}  // namespace millrace::storage
