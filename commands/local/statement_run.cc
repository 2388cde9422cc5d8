#include "commands/local/statement_run.h"

#include <iterator>

#include "commands/local/name_check.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;

namespace {

constexpr size_t kStatementsPerTransaction = 1000;
constexpr size_t kBytesPerTransaction = size_t{8} << 20;

// The store's trouble, not the statement's: the transaction must not go on.
bool ends_transaction(const Status& status) {
  return status.is(ErrorCode::kInternalError) || status.is(ErrorCode::kUnknownError) ||
         status.is(ErrorCode::kUnsupportedFormat) ||
         status.is(ErrorCode::kDataCorruptionDetected) || status.is(ErrorCode::kOutOfDiskSpace);
}

void append(WriteResult& all, WriteResult&& part) {
  all.matched += part.matched;
  all.modified += part.modified;
  std::move(part.upserted.begin(), part.upserted.end(), std::back_inserter(all.upserted));
  std::move(part.failed.begin(), part.failed.end(), std::back_inserter(all.failed));
}

}  // namespace

Result<CollectionWriter*> StatementContext::writer() {
  if (writer_ != nullptr) return writer_.get();
  MR_ASSIGN_OR_RETURN(auto collection, find_collection(txn_, database_, name_));
  if (!collection) return static_cast<CollectionWriter*>(nullptr);
  MR_ASSIGN_OR_RETURN(writer_, CollectionWriter::open(txn_, std::move(*collection), local_.clock(),
                                                      options_.bypass_validation));
  return writer_.get();
}

Result<CollectionWriter*> StatementContext::writer_or_create() {
  MR_ASSIGN_OR_RETURN(CollectionWriter * there, writer());
  if (there != nullptr) return there;
  MR_RETURN_IF_ERROR(check_writable_name(database_, name_));
  MR_ASSIGN_OR_RETURN(auto collection,
                      create_collection(txn_, database_, name_, engine::Document()));
  MR_ASSIGN_OR_RETURN(writer_, CollectionWriter::open(txn_, std::move(collection), local_.clock(),
                                                      options_.bypass_validation));
  return writer_.get();
}

Result<WriteResult> run_statements(LocalDatabase& local, std::string_view database,
                                   std::string_view name, size_t count, const WriteOptions& options,
                                   const Statement& statement) {
  WriteResult result;
  size_t next = 0;
  bool stop = false;
  while (next < count && !stop) {
    WriteResult part;
    size_t at = next;
    MR_RETURN_IF_ERROR(local.store().write([&](storage::WriteTransaction& txn) -> Status {
      part = {};
      at = next;
      stop = false;
      StatementContext context(local, txn, database, name, options);
      while (at < count && at - next < kStatementsPerTransaction &&
             context.bytes < kBytesPerTransaction && !stop) {
        Status status = statement(context, at, part);
        if (!status.ok()) {
          if (ends_transaction(status)) return status;
          auto writer = context.writer();
          bool has_details = status.is(ErrorCode::kDuplicateKey) ||
                             status.is(ErrorCode::kDocumentValidationFailure);
          engine::Document details;
          if (has_details && writer.ok() && *writer != nullptr) details = (*writer)->details();
          part.failed.push_back({at, {std::move(status), std::move(details)}});
          stop = options.ordered;
        }
        ++at;
      }
      return {};
    }));
    append(result, std::move(part));
    next = at;
  }
  return result;
}

}  // namespace millrace::commands
