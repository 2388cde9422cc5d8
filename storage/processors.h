// Definitions of stream processors, by name. The document is the runtime's: storage does not look
// inside.
#pragma once

#include "storage/named_documents.h"

namespace millrace::storage {

using Processors = NamedDocuments<Table::kProcessors>;

}  // namespace millrace::storage
