#include "commands/local/find.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr size_t kScanBytesPerRun = size_t{16} << 20;
// With disk use allowed a sort of this size still stays in memory: there are no spill files.
constexpr size_t kLargeSortMemoryBytes = size_t{1} << 30;

// {$natural: ±1} is no sort but a direction of the scan.
bool is_natural(const Value& sort) { return sort.is_object() && sort.as_object().has("$natural"); }

}  // namespace

Result<std::unique_ptr<FindStream>> FindStream::open(LocalDatabase& local, Collection collection,
                                                     FindSpec spec) {
  if (spec.tailable && !collection.capped()) {
    return Status(ErrorCode::kBadValue, "error processing query: ns=" + collection.ns() +
                                            ": tailable cursor requested on non capped collection");
  }
  std::unique_ptr<FindStream> stream(new FindStream(local, std::move(spec)));
  FindSpec& find = stream->spec_;
  MR_RETURN_IF_ERROR(stream->evaluation_.bind(find.let));
  stream->evaluation_.parse().has_now = find.has_now;
  if (is_natural(find.sort) && find.sort.as_object().size() > 1)
    return Status(ErrorCode::kBadValue, "Cannot include '$natural' in compound sort");
  Value hint = is_natural(find.sort) ? find.sort : find.hint;
  MR_ASSIGN_OR_RETURN(stream->scan_, DocumentScan::open(std::move(collection), find.filter, hint,
                                                        stream->evaluation_));
  if (stream->scan_->plan().index != nullptr) local.note_index_use(stream->scan_->plan().index->id);
  bool sorted = find.sort.is_object() && !find.sort.as_object().empty() && !is_natural(find.sort);
  if (sorted) {
    size_t most = find.limit > 0 ? static_cast<size_t>(find.limit + find.skip) : 0;
    MR_ASSIGN_OR_RETURN(stream->sort_, ResultSort::parse(find.sort, most, stream->evaluation_));
    if (find.allow_disk_use) stream->sort_->allow_memory(kLargeSortMemoryBytes);
  }
  MR_ASSIGN_OR_RETURN(stream->projection_, Projection::parse(find.projection, find.filter,
                                                             local.stages(), stream->evaluation_));
  return stream;
}

Status FindStream::emit(storage::RecordId record, const Value& document,
                        std::deque<std::string>& out) {
  if (skipped_ < spec_.skip) {
    ++skipped_;
    return {};
  }
  ++returned_;
  if (projection_ == nullptr && !spec_.show_record_id) {
    out.emplace_back(document.bson_bytes());
    return {};
  }
  Value shown = document;
  if (projection_ != nullptr) {
    MR_ASSIGN_OR_RETURN(shown, projection_->apply(document));
  }
  engine::BsonWriter writer;
  writer.begin_document();
  for (const auto& field : shown.as_object()) writer.append(field.name(), field.value);
  if (spec_.show_record_id) writer.append("$recordId", static_cast<int64_t>(record));
  writer.end();
  out.emplace_back(writer.bytes());
  return {};
}

Status FindStream::read_sorted(storage::ReadTransaction& txn) {
  MR_RETURN_IF_ERROR(
      scan_->run(txn, [&](storage::RecordId record, const Value& document) -> Result<bool> {
        MR_RETURN_IF_ERROR(sort_->add(record, document));
        return true;
      }));
  for (auto& entry : sort_->finish()) sorted_.push_back(std::move(entry));
  is_sorted_ = true;
  return {};
}

Status FindStream::next(storage::Store& store, size_t wanted, std::deque<std::string>& out) {
  if (ended_) return {};
  MR_ASSIGN_OR_RETURN(auto txn, store.read());
  size_t target = out.size() + wanted;
  auto limit_reached = [&] { return spec_.limit > 0 && returned_ >= spec_.limit; };
  if (sort_ != nullptr) {
    if (!is_sorted_) MR_RETURN_IF_ERROR(read_sorted(*txn));
    while (!sorted_.empty() && out.size() < target && !limit_reached()) {
      MR_RETURN_IF_ERROR(
          emit(sorted_.front().record, Value::bson_object(sorted_.front().bson.data()), out));
      sorted_.pop_front();
    }
    ended_ = sorted_.empty() || limit_reached();
    return {};
  }
  if (spec_.tailable) scan_->go_on();
  size_t bytes = 0;
  MR_RETURN_IF_ERROR(
      scan_->run(*txn, [&](storage::RecordId record, const Value& document) -> Result<bool> {
        MR_RETURN_IF_ERROR(emit(record, document, out));
        if (!out.empty()) bytes += document.bson_bytes().size();
        return out.size() < target && !limit_reached() && bytes < kScanBytesPerRun;
      }));
  ended_ = limit_reached() || (scan_->ended() && !spec_.tailable);
  return {};
}

}  // namespace millrace::commands
