#include "storage/io_error.h"

#include <fmt/format.h>
#include <lmdb.h>

#include <cerrno>

namespace millrace::storage {

using engine::ErrorCode;
using engine::Status;

Status io_error(int code, std::string_view doing) {
  // mdb_strerror knows errno values too.
  std::string what = fmt::format("{} while {}", mdb_strerror(code), doing);
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {ErrorCode::kOutOfDiskSpace, what +
                                              ": the disk, quota or file size limit of the data "
                                              "directory is exhausted. Nothing of this change was "
                                              "stored; it may be retried when there is space"};
    case EACCES:
    case EPERM:
    case EROFS:
      return {ErrorCode::kUnauthorized, what +
                                            ": the user that runs Millrace must be able to read "
                                            "and write the data directory and its files"};
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
      return {ErrorCode::kDataCorruptionDetected,
              what + ": the database file is damaged; restart Millrace to have it checked"};
    case MDB_READERS_FULL:
      return {ErrorCode::kUnknownError, what + ": too many reads at once; a retry may help"};
    case MDB_TXN_FULL:
      return {ErrorCode::kUnknownError,
              what + ": too much was changed at once; smaller changes may help"};
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case MDB_BAD_VALSIZE:
    case EINVAL:
      return {ErrorCode::kInternalError, what};
    default:
      return {ErrorCode::kUnknownError,
              what +
                  ": the system or the disk of the data directory refused. Nothing of this change "
                  "was stored; a retry may help"};
  }
}

}  // namespace millrace::storage
