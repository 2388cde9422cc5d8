#include "commands/local/result_sort.h"

#include <algorithm>

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

Result<std::unique_ptr<ResultSort>> ResultSort::parse(const Value& pattern, size_t most,
                                                      Evaluation& evaluation) {
  MR_ASSIGN_OR_RETURN(auto parsed, engine::SortPattern::parse(pattern, evaluation.parse()));
  evaluation.ready();
  return std::unique_ptr<ResultSort>(new ResultSort(std::move(parsed), most, evaluation));
}

bool ResultSort::before(const std::unique_ptr<Row>& a, const std::unique_ptr<Row>& b) const {
  int order = pattern_.compare(a->key.data(), b->key.data());
  return order != 0 ? order < 0 : a->arrival < b->arrival;
}

Status ResultSort::add(storage::RecordId record, const Value& document) {
  auto row = std::make_unique<Row>();
  row->arrival = arrivals_++;
  row->entry.record = record;
  row->entry.bson = std::string(document.bson_bytes());
  row->key.resize(pattern_.size());
  evaluation_.eval().root = Value::bson_object(row->entry.bson.data());
  evaluation_.eval().arena = &keys_;
  try {
    pattern_.sort_key(evaluation_.eval(), row->key.data());
  } catch (const engine::EvaluationError& error) {
    return error.status();
  }
  bytes_ += row->entry.bson.size() + sizeof(Row) + row->key.size() * sizeof(Value);
  rows_.push_back(std::move(row));
  if (most_ > 0 && rows_.size() >= 2 * most_ + 100) prune();
  if (bytes_ <= memory_limit_) return {};
  prune();
  if (bytes_ <= memory_limit_) return {};
  return Status(
      ErrorCode::kQueryExceededMemoryLimitNoDiskUseAllowed,
      "Executor error during find command :: caused by :: Sort exceeded memory limit of " +
          std::to_string(memory_limit_) + " bytes, but did not opt in to external sorting.");
}

void ResultSort::prune() {
  if (most_ == 0 || rows_.size() <= most_) return;
  auto order = [this](const auto& a, const auto& b) { return before(a, b); };
  std::nth_element(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(most_), rows_.end(),
                   order);
  for (size_t i = most_; i < rows_.size(); ++i) {
    bytes_ -= rows_[i]->entry.bson.size() + sizeof(Row) + rows_[i]->key.size() * sizeof(Value);
  }
  rows_.resize(most_);
}

std::vector<ResultSort::Entry> ResultSort::finish() {
  prune();
  std::sort(rows_.begin(), rows_.end(),
            [this](const auto& a, const auto& b) { return before(a, b); });
  std::vector<Entry> entries;
  entries.reserve(rows_.size());
  for (auto& row : rows_) entries.push_back(std::move(row->entry));
  rows_.clear();
  bytes_ = 0;
  return entries;
}

}  // namespace millrace::commands
