// The connection registry, by name. The document is the engine's: storage does not look inside. It
// may hold secrets; the file of the store is readable by its owner only.
#pragma once

#include "storage/named_documents.h"

namespace millrace::storage {

using Connections = NamedDocuments<Table::kConnections>;

}  // namespace millrace::storage
