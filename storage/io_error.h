// What went wrong in the file system or in LMDB, as a Status that says whose fault it is and
// whether a retry may help.
#pragma once

#include <string_view>

#include "engine/document/status.h"

namespace millrace::storage {

// `code` is an errno or one of LMDB's; `doing` completes "… failed while ": "committing to
// /data/millrace.mdb". 14031 OutOfDiskSpace, 13 Unauthorized, 301 DataCorruptionDetected, 8
// UnknownError, 1 InternalError.
engine::Status io_error(int code, std::string_view doing);

}  // namespace millrace::storage
