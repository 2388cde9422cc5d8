// Sorts the documents of a find in memory, keeping no more than its skip and limit need.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "commands/local/evaluation.h"
#include "engine/expression/sort_pattern.h"
#include "storage/collections.h"

namespace millrace::commands {

// What a find may hold for its sort (manual, "Sort and Index Use").
inline constexpr size_t kSortMemoryBytes = size_t{100} << 20;

class ResultSort {
 public:
  struct Entry {
    storage::RecordId record;
    std::string bson;
  };

  // `most`: how many of the first are wanted; 0: all. Errors: those of the pattern.
  static engine::Result<std::unique_ptr<ResultSort>> parse(const engine::Value& pattern,
                                                           size_t most, Evaluation& evaluation);

  // Errors: 292 QueryExceededMemoryLimitNoDiskUseAllowed.
  engine::Status add(storage::RecordId record, const engine::Value& document);
  // In order; equal ones as they came.
  std::vector<Entry> finish();
  void allow_memory(size_t bytes) { memory_limit_ = bytes; }

 private:
  ResultSort(engine::SortPattern pattern, size_t most, Evaluation& evaluation)
      : pattern_(std::move(pattern)), most_(most), evaluation_(evaluation) {}
  struct Row {
    size_t arrival;
    Entry entry;
    std::vector<engine::Value> key;  // views of the entry's bytes
  };
  bool before(const std::unique_ptr<Row>& a, const std::unique_ptr<Row>& b) const;
  void prune();

  engine::SortPattern pattern_;
  size_t most_;
  Evaluation& evaluation_;
  std::vector<std::unique_ptr<Row>> rows_;
  engine::Arena keys_;  // parts of keys that are not in the documents themselves
  size_t arrivals_ = 0;
  size_t bytes_ = 0;
  size_t memory_limit_ = kSortMemoryBytes;
};

}  // namespace millrace::commands
