// The aggregate command's work: a pipeline over a collection or view, run a batch at a time.
// Source: https://www.mongodb.com/docs/manual/reference/command/aggregate/
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/local/aggregate_stages.h"
#include "commands/local/document_scan.h"
#include "commands/local/local_database.h"
#include "commands/local/operator_chain.h"
#include "commands/local/stage_errors.h"

namespace millrace::commands {

// https://www.mongodb.com/docs/manual/core/aggregation-pipeline-limits/
inline constexpr int64_t kStageMemoryBytes = int64_t{100} << 20;
inline constexpr int64_t kStageMemoryCeilingBytes = int64_t{1} << 30;

struct AggregateSpec {
  engine::Document command;           // what the values below are part of: kept alive by the stream
  std::vector<engine::Value> stages;  // the user's
  engine::Value let;
  engine::Value hint;
  std::vector<engine::Document> operations;  // what $currentOp shows
  bool bypass_validation = false;
  // false: a stage may hold kStageMemoryBytes. Otherwise MongoDB would go on in temporary files,
  // which Millrace does not write: it keeps everything in memory, up to kStageMemoryCeilingBytes.
  bool allow_disk_use = true;
};

class AggregateStream final : public DocumentStream {
 public:
  // `name` empty: {aggregate: 1}. Errors: those of the stages; 73 InvalidNamespace, 40601, 40602
  // for stages in a wrong place. With an output stage the whole pipeline runs here, and the stream
  // is empty.
  static engine::Result<std::unique_ptr<AggregateStream>> open(LocalDatabase& local,
                                                               std::string_view database,
                                                               std::string_view name,
                                                               AggregateSpec spec);
  // For a stage that reads a view within its own transaction.
  static engine::Result<std::unique_ptr<AggregateStream>> open_in(storage::ReadTransaction& txn,
                                                                  LocalDatabase& local,
                                                                  std::string_view database,
                                                                  std::string_view name,
                                                                  AggregateSpec spec);

  engine::Status next(storage::Store& store, size_t wanted, std::deque<std::string>& out) override;
  bool ended() const override { return ended_; }
  // nullptr when no collection is read.
  const DocumentScan* scan() const { return scan_.get(); }
  const engine::Value* first_match() const { return filter_.is_missing() ? nullptr : &filter_; }
  // The next documents within the transaction of the caller.
  engine::Status next_in(storage::ReadTransaction& txn, size_t wanted,
                         std::deque<std::string>& out);

 private:
  AggregateStream(LocalDatabase& local, std::string_view database, AggregateSpec spec)
      : spec_(std::move(spec)),
        evaluation_(local.clock()),
        scope_{local, std::string(database)},
        builder_(scope_) {}

  engine::Status prepare(storage::ReadTransaction& txn, std::string_view name);
  engine::Status take_output(std::string_view name);
  engine::Status open_source(storage::ReadTransaction& txn, std::string_view name,
                             std::optional<Collection> collection);
  engine::Status build_operators();
  engine::Result<bool> read_source(storage::ReadTransaction& txn, size_t wanted);
  engine::Status emit(const engine::Batch& batch, std::deque<std::string>& out);
  bool limit_reached() const;
  // How many documents to read when `missing` more are wanted.
  size_t input_size(size_t missing) const;
  engine::Status check_memory();
  engine::Status run_output(LocalDatabase& local);

  AggregateSpec spec_;
  std::vector<engine::Document> view_stages_;
  std::vector<engine::Value>
      stages_;  // of the views and the user's, without source, first $match and output
  Evaluation evaluation_;
  AggregateScope scope_;
  AggregateBuilder builder_;
  engine::Value filter_;
  engine::Value output_;  // {$out: …} or {$merge: …}, missing: none
  std::unique_ptr<DocumentScan> scan_;
  std::vector<engine::Document> source_;  // instead of a collection
  size_t source_at_ = 0;
  OperatorChain chain_;
  struct Limit {
    const engine::Operator* op;
    int64_t count;
    bool multiplied;  // a stage before it may make several documents of one
  };
  std::vector<Limit> limits_;   // all
  size_t limits_of_input_ = 0;  // so many of them come before the first stage that holds back
  bool holds_back_ = false;     // some stage gives nothing before its input has ended
  engine::OperatorContext context_;
  engine::MemoryAccount memory_;
  StageErrors errors_;
  engine::Batch batch_;
  bool ended_ = false;
};

// All documents that a pipeline makes of a collection or view, in the scope's transaction, appended
// to `batch`; they live in its arena.
engine::Status read_pipeline(AggregateScope& scope, std::string_view name, AggregateSpec spec,
                             engine::Batch& batch);

}  // namespace millrace::commands
