#include "commands/local/document_scan.h"

#include <unordered_set>

#include "commands/local/time_limit.h"
#include "storage/index_entries.h"

namespace millrace::commands {

using engine::Result;
using engine::Status;
using engine::Value;
using storage::RecordId;

Result<std::unique_ptr<DocumentScan>> DocumentScan::open(Collection collection, const Value& filter,
                                                         const Value& hint,
                                                         Evaluation& evaluation) {
  std::unique_ptr<DocumentScan> scan(new DocumentScan(std::move(collection), evaluation));
  MR_ASSIGN_OR_RETURN(scan->plan_, plan_query(scan->collection_, filter, hint));
  bool everything = !filter.is_object() || filter.as_object().empty() || scan->plan_.exact;
  if (!everything) {
    MR_ASSIGN_OR_RETURN(scan->predicate_, evaluation.parse_predicate(filter));
  }
  return scan;
}

Result<bool> DocumentScan::offer(RecordId record, std::string_view bson, const Visit& visit) {
  MR_RETURN_IF_ERROR(TimeLimit::check());
  ++documents_examined_;
  Value document = Value::bson_object(bson.data());
  if (predicate_ != nullptr) {
    evaluation_.arena().reset();
    MR_ASSIGN_OR_RETURN(bool matches, evaluation_.matches(*predicate_, document));
    if (!matches) return true;
  }
  return visit(record, document);
}

Status DocumentScan::run(storage::ReadTransaction& txn, const Visit& visit) {
  if (ended_) return {};
  return plan_.kind == QueryPlan::Kind::kIndexPoints ? run_points(txn, visit)
                                                     : run_collection(txn, visit);
}

Status DocumentScan::run_collection(storage::ReadTransaction& txn, const Visit& visit) {
  MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(txn, collection_.id));
  if (plan_.backward) {
    MR_RETURN_IF_ERROR(started_ ? cursor.seek_before(position_) : cursor.last());
  } else {
    MR_RETURN_IF_ERROR(started_ ? cursor.seek(position_ + 1) : cursor.first());
  }
  while (cursor.valid() && cursor.record() <= last_allowed_) {
    started_ = true;
    position_ = cursor.record();
    MR_ASSIGN_OR_RETURN(bool more, offer(position_, cursor.bson(), visit));
    if (!more) return {};
    MR_RETURN_IF_ERROR(plan_.backward ? cursor.previous() : cursor.next());
  }
  ended_ = true;
  return {};
}

// The records of all points, each once: what an index finds is little enough to be remembered,
// eight bytes each.
Status DocumentScan::find_points(storage::ReadTransaction& txn) {
  const IndexInfo& index = *plan_.index;
  std::unordered_set<RecordId> seen;
  auto add = [&](RecordId record) {
    ++keys_examined_;
    if (plan_.prefixes.size() == 1 && index.is_id()) {
      points_.push_back(record);
    } else if (seen.insert(record).second) {
      points_.push_back(record);
    }
  };
  for (const auto& prefix : plan_.prefixes) {
    if (index.unique && plan_.whole_key) {
      MR_ASSIGN_OR_RETURN(auto record, storage::find_unique(txn, index.id, prefix));
      if (record) add(*record);
      continue;
    }
    MR_ASSIGN_OR_RETURN(auto cursor, storage::IndexCursor::open(txn, index.id, index.unique));
    MR_RETURN_IF_ERROR(cursor.seek(prefix));
    while (cursor.valid()) {
      std::string_view key = cursor.key();
      size_t compared = cursor.truncated() ? std::min(prefix.size(), key.size()) : prefix.size();
      if (key.substr(0, compared) != std::string_view(prefix).substr(0, compared)) break;
      add(cursor.record());
      MR_RETURN_IF_ERROR(cursor.next());
    }
  }
  return {};
}

Status DocumentScan::run_points(storage::ReadTransaction& txn, const Visit& visit) {
  if (!started_) {
    MR_RETURN_IF_ERROR(find_points(txn));
    started_ = true;
  }
  while (next_point_ < points_.size()) {
    RecordId record = points_[next_point_++];
    MR_ASSIGN_OR_RETURN(auto bson, storage::get_record(txn, collection_.id, record));
    if (!bson) continue;
    MR_ASSIGN_OR_RETURN(bool more, offer(record, *bson, visit));
    if (!more) return {};
  }
  ended_ = true;
  return {};
}

}  // namespace millrace::commands
