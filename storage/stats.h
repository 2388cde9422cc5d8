// The last counters of each stream processor, by its name. The document is the runtime's.
#pragma once

#include "storage/named_documents.h"

namespace millrace::storage {

using Stats = NamedDocuments<Table::kStats>;

}  // namespace millrace::storage
