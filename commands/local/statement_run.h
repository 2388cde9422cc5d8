// Runs the statements of a write command, many of them in one transaction each: a commit waits for
// the disk, a statement does not.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "commands/local/collection_writer.h"
#include "commands/local/local_database.h"

namespace millrace::commands {

struct WriteOptions {
  bool ordered = true;
  bool bypass_validation = false;
  bool keep_empty_timestamps = false;  // bypassEmptyTsReplacement
};

struct WriteResult {
  struct Upserted {
    size_t index;
    engine::Document id;  // {_id: …}
  };
  struct Failed {
    size_t index;
    WriteFailure failure;
  };
  int64_t matched = 0;  // documents inserted, matched (upserts not counted), deleted
  int64_t modified = 0;
  std::vector<Upserted> upserted;
  std::vector<Failed> failed;
};

// The collection as a statement finds it within its transaction.
class StatementContext {
 public:
  StatementContext(LocalDatabase& local, storage::WriteTransaction& txn, std::string_view database,
                   std::string_view name, const WriteOptions& options)
      : local_(local), txn_(txn), database_(database), name_(name), options_(options) {}

  // nullptr when it does not exist.
  engine::Result<CollectionWriter*> writer();
  // Creates the collection when it does not exist.
  engine::Result<CollectionWriter*> writer_or_create();
  storage::WriteTransaction& transaction() { return txn_; }
  LocalDatabase& local() { return local_; }
  const WriteOptions& options() const { return options_; }
  // Bytes written so far: long transactions end early.
  size_t bytes = 0;

 private:
  LocalDatabase& local_;
  storage::WriteTransaction& txn_;
  std::string_view database_;
  std::string_view name_;
  const WriteOptions& options_;
  std::unique_ptr<CollectionWriter> writer_;
};

// `statement` may be run more than once for the same index (the transaction is repeated); what it
// counts goes to `result` alone.
using Statement =
    std::function<engine::Status(StatementContext& context, size_t index, WriteResult& result)>;

// Errors: only what ends the whole command (the store); a statement's own errors are in the result.
engine::Result<WriteResult> run_statements(LocalDatabase& local, std::string_view database,
                                           std::string_view name, size_t count,
                                           const WriteOptions& options, const Statement& statement);

}  // namespace millrace::commands
