// Goes through the documents of one collection that match a filter. It keeps a position, never a
// transaction: each run takes one, so a cursor may rest between two runs as long as its client
// likes.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "commands/local/catalog.h"
#include "commands/local/evaluation.h"
#include "commands/local/query_plan.h"
#include "storage/collections.h"

namespace millrace::commands {

// Single-threaded. Sees documents that are inserted while it rests, as MongoDB's cursors may.
class DocumentScan {
 public:
  // `filter` must outlive the scan. Compiles it; `evaluation` too must outlive the scan. Errors:
  // those of the filter and of the hint.
  static engine::Result<std::unique_ptr<DocumentScan>> open(Collection collection,
                                                            const engine::Value& filter,
                                                            const engine::Value& hint,
                                                            Evaluation& evaluation);

  // Calls `visit` with each match until it answers false (the position is then behind that
  // document) or all have been seen. The document is a view into the transaction. Errors: those of
  // `visit`, $expr and the storage.
  using Visit =
      std::function<engine::Result<bool>(storage::RecordId record, const engine::Value& document)>;
  engine::Status run(storage::ReadTransaction& txn, const Visit& visit);

  bool ended() const { return ended_; }
  // A tailable cursor: goes on behind the last document it has seen.
  void go_on() { ended_ = false; }
  // Nothing inserted after this is visited (a command that writes where it reads).
  void end_behind(storage::RecordId last) { last_allowed_ = last; }

  const QueryPlan& plan() const { return plan_; }
  const Collection& collection() const { return collection_; }
  int64_t documents_examined() const { return documents_examined_; }
  int64_t keys_examined() const { return keys_examined_; }

 private:
  DocumentScan(Collection collection, Evaluation& evaluation)
      : collection_(std::move(collection)), evaluation_(evaluation) {}
  engine::Status find_points(storage::ReadTransaction& txn);
  engine::Status run_points(storage::ReadTransaction& txn, const Visit& visit);
  engine::Status run_collection(storage::ReadTransaction& txn, const Visit& visit);
  engine::Result<bool> offer(storage::RecordId record, std::string_view bson, const Visit& visit);

  Collection collection_;
  Evaluation& evaluation_;
  QueryPlan plan_;
  engine::PredicatePtr predicate_;  // null: everything matches
  bool ended_ = false;
  bool started_ = false;
  storage::RecordId position_ = 0;  // the last record seen
  storage::RecordId last_allowed_ = ~storage::RecordId{0};
  std::vector<storage::RecordId> points_;
  size_t next_point_ = 0;
  int64_t documents_examined_ = 0;
  int64_t keys_examined_ = 0;
};

}  // namespace millrace::commands
