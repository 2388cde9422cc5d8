// The find command's work: filter, sort, skip, limit, projection, as a stream of documents that
// rests between two batches. Source: https://www.mongodb.com/docs/manual/reference/command/find/
#pragma once

#include <memory>

#include "commands/local/document_scan.h"
#include "commands/local/local_database.h"
#include "commands/local/projection.h"
#include "commands/local/result_sort.h"

namespace millrace::commands {

struct FindSpec {
  // Everything below is part of it: the stream keeps it alive.
  engine::Document command;
  engine::Value filter;
  engine::Value projection;
  engine::Value sort;
  engine::Value hint;
  engine::Value let;
  int64_t skip = 0;
  int64_t limit = 0;  // 0: none
  bool tailable = false;
  bool allow_disk_use = true;
  bool show_record_id = false;
  bool has_now = true;  // $$NOW may be read
};

class FindStream final : public DocumentStream {
 public:
  // Errors: the filter's, the projection's, the sort's, the hint's; 2 BadValue for a tailable
  // cursor on a collection that is not capped.
  static engine::Result<std::unique_ptr<FindStream>> open(LocalDatabase& local,
                                                          Collection collection, FindSpec spec);

  engine::Status next(storage::Store& store, size_t wanted, std::deque<std::string>& out) override;
  bool ended() const override { return ended_; }
  const DocumentScan& scan() const { return *scan_; }

 private:
  FindStream(LocalDatabase& local, FindSpec spec)
      : spec_(std::move(spec)), evaluation_(local.clock()) {}
  engine::Status read_sorted(storage::ReadTransaction& txn);
  engine::Status emit(storage::RecordId record, const engine::Value& document,
                      std::deque<std::string>& out);

  FindSpec spec_;
  Evaluation evaluation_;
  std::unique_ptr<DocumentScan> scan_;
  std::unique_ptr<ResultSort> sort_;
  std::unique_ptr<Projection> projection_;
  std::deque<ResultSort::Entry> sorted_;
  bool is_sorted_ = false;
  int64_t skipped_ = 0;
  int64_t returned_ = 0;
  bool ended_ = false;
};

}  // namespace millrace::commands
