#include "storage/lmdb_transaction.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/io_error.h"

namespace millrace::storage {
namespace {

MDB_val to_val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view to_view(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

// The first key after all that start with `prefix`; "" when there is none.
std::string end_of_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

}  // namespace

// ---- cursor

LmdbCursor::LmdbCursor(MDB_cursor* cursor, Table table, std::string_view prefix)
    : cursor_(cursor), table_(table), prefix_(prefix), prefix_end_(end_of_prefix(prefix)) {}

LmdbCursor::~LmdbCursor() { mdb_cursor_close(cursor_); }

Status LmdbCursor::move(MDB_cursor_op op) {
  MDB_val key = to_val(key_), value{};
  place_ = Place::kEnd;
  int rc = mdb_cursor_get(cursor_, &key, &value, op);
  if (rc == MDB_NOTFOUND) return {};
  if (rc != 0) return io_error(rc, fmt::format("reading table {}", table_row(table_).name));
  key_ = to_view(key);
  if (!key_.starts_with(prefix_)) return {};
  auto record = open_record(table_, key_, to_view(value));
  if (record.soundness != Soundness::kSound) {
    place_ = Place::kDamaged;
    return record.soundness == Soundness::kNewer ? newer_record_error(table_, key_)
                                                 : damaged_record_error(table_, key_);
  }
  value_ = record.payload;
  place_ = Place::kRecord;
  return {};
}

Status LmdbCursor::at_or_after(std::string_view key) {
  if (key.empty()) return move(MDB_FIRST);
  key_ = key;
  return move(MDB_SET_RANGE);
}

Status LmdbCursor::before(std::string_view key) {
  if (key.empty()) return move(MDB_LAST);
  MDB_val at = to_val(key), value{};
  int rc = mdb_cursor_get(cursor_, &at, &value, MDB_SET_RANGE);
  if (rc == MDB_NOTFOUND) return move(MDB_LAST);
  if (rc == 0) return move(MDB_PREV);
  place_ = Place::kEnd;
  return io_error(rc, fmt::format("reading table {}", table_row(table_).name));
}

Status LmdbCursor::first() { return at_or_after(prefix_); }
Status LmdbCursor::last() { return before(prefix_end_); }
Status LmdbCursor::seek(std::string_view key) {
  return at_or_after(std::max(key, std::string_view(prefix_)));
}

Status LmdbCursor::seek_before(std::string_view key) {
  if (key <= prefix_) {
    place_ = Place::kEnd;
    return {};
  }
  return before(prefix_end_.empty() ? key : std::min(key, std::string_view(prefix_end_)));
}

Status LmdbCursor::next() { return place_ == Place::kEnd ? Status() : move(MDB_NEXT); }
Status LmdbCursor::previous() { return place_ == Place::kEnd ? Status() : move(MDB_PREV); }

// ---- reading

Result<std::optional<std::string_view>> LmdbReader::get(Table table, std::string_view key) const {
  if (key.empty() || key.size() > kMaxKeyBytes) return std::optional<std::string_view>();
  MDB_val k = to_val(key), value{};
  int rc = mdb_get(txn_, this->table(table), &k, &value);
  if (rc == MDB_NOTFOUND) return std::optional<std::string_view>();
  if (rc != 0) return io_error(rc, doing("reading"));
  auto record = open_record(table, key, to_view(value));
  if (record.soundness == Soundness::kDamaged) return damaged_record_error(table, key);
  if (record.soundness == Soundness::kNewer) return newer_record_error(table, key);
  return std::optional(record.payload);
}

Result<std::unique_ptr<Cursor>> LmdbReader::cursor(Table table, std::string_view prefix) const {
  MDB_cursor* cursor = nullptr;
  if (int rc = mdb_cursor_open(txn_, this->table(table), &cursor); rc != 0)
    return io_error(rc, doing("reading"));
  return std::unique_ptr<Cursor>(std::make_unique<LmdbCursor>(cursor, table, prefix));
}

// ---- writing

Status LmdbWriteTransaction::fail(int code, const char* verb) {
  if (failure_ == 0) failure_ = code;
  return io_error(code, reader_.doing(verb));
}

Result<bool> LmdbWriteTransaction::store(Table table, std::string_view key, std::string_view value,
                                         bool replace) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return Status(ErrorCode::kBadValue,
                  fmt::format("a name or key of {} bytes cannot be stored: 1 to {} are possible",
                              key.size(), kMaxKeyBytes));
  }
  if (value.size() > kMaxValueBytes) {
    return Status(ErrorCode::kBadValue,
                  fmt::format("a record of {} bytes cannot be stored: {} is the most", value.size(),
                              kMaxValueBytes));
  }
  MDB_val k = to_val(key), room{kEnvelopeBytes + value.size(), nullptr};
  int rc = mdb_put(reader_.txn(), reader_.table(table), &k, &room, MDB_NOOVERWRITE | MDB_RESERVE);
  if (rc == MDB_KEYEXIST) {
    if (!replace) return false;
    uint64_t old = stored_checksum(to_view(room));
    room = {kEnvelopeBytes + value.size(), nullptr};
    rc = mdb_put(reader_.txn(), reader_.table(table), &k, &room, MDB_RESERVE);
    if (rc == 0) count(table, -1, uint64_t{0} - old);
  }
  if (rc != 0) return fail(rc, "writing");
  count(table, 1, seal_record(table, key, value, static_cast<char*>(room.mv_data)));
  return true;
}

Status LmdbWriteTransaction::put(Table table, std::string_view key, std::string_view value) {
  return store(table, key, value, true).status();
}

Result<bool> LmdbWriteTransaction::insert(Table table, std::string_view key,
                                          std::string_view value) {
  return store(table, key, value, false);
}

Result<bool> LmdbWriteTransaction::erase(Table table, std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes) return false;
  MDB_val k = to_val(key), value{};
  int rc = mdb_get(reader_.txn(), reader_.table(table), &k, &value);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return fail(rc, "reading");
  uint64_t old = stored_checksum(to_view(value));
  rc = mdb_del(reader_.txn(), reader_.table(table), &k, nullptr);
  if (rc != 0) return fail(rc, "writing");
  count(table, -1, uint64_t{0} - old);
  return true;
}

Result<int64_t> LmdbWriteTransaction::erase_prefix(Table table, std::string_view prefix) {
  MDB_cursor* cursor = nullptr;
  if (int rc = mdb_cursor_open(reader_.txn(), reader_.table(table), &cursor); rc != 0)
    return fail(rc, "writing");
  std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> closer(cursor, mdb_cursor_close);
  MDB_val key = to_val(prefix), value{};
  int64_t erased = 0;
  int rc = mdb_cursor_get(cursor, &key, &value, prefix.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (rc == 0 && to_view(key).starts_with(prefix)) {
    uint64_t old = stored_checksum(to_view(value));
    rc = mdb_cursor_del(cursor, 0);
    if (rc != 0) break;
    count(table, -1, uint64_t{0} - old);
    ++erased;
    rc = mdb_cursor_get(cursor, &key, &value,
                        MDB_NEXT);  // after a deletion: the record that moved up
  }
  if (rc != 0 && rc != MDB_NOTFOUND) return fail(rc, "writing");
  return erased;
}

Result<std::string*> LmdbWriteTransaction::deferred(Table table, std::string_view key) {
  std::pair<Table, std::string> place(table, key);
  auto found = deferred_.find(place);
  if (found == deferred_.end()) {
    MR_ASSIGN_OR_RETURN(auto payload, get(table, key));
    std::string before(payload.value_or(std::string_view()));
    found = deferred_.emplace(std::move(place), Deferred{before, before}).first;
  }
  return &found->second.now;
}

Status LmdbWriteTransaction::write_deferred() {
  for (auto& [place, value] : deferred_) {
    if (value.now == value.before) continue;
    if (value.now.empty()) {
      MR_RETURN_IF_ERROR(erase(place.first, place.second).status());
    } else {
      MR_RETURN_IF_ERROR(put(place.first, place.second, value.now));
    }
  }
  return {};
}

Status LmdbWriteTransaction::write_summaries() {
  for (const auto& row : kTables) {
    const auto delta = deltas_[table_index(row.table)];
    if (row.table == Table::kSummaries || (delta.records == 0 && delta.checksums == 0)) continue;
    TableSummary summary;
    MR_ASSIGN_OR_RETURN(auto payload, get(Table::kSummaries, row.name));
    if (payload && payload->size() == sizeof(summary))
      std::memcpy(&summary, payload->data(), sizeof(summary));
    summary.records += delta.records;
    summary.checksums += delta.checksums;
    MR_RETURN_IF_ERROR(
        put(Table::kSummaries, row.name,
            std::string_view(reinterpret_cast<const char*>(&summary), sizeof(summary))));
  }
  return {};
}

Status LmdbWriteTransaction::commit() {
  if (failure_ != 0)
    return io_error(failure_, reader_.doing("writing"));  // the caller did not pass it on
  MR_RETURN_IF_ERROR(write_deferred());
  MR_RETURN_IF_ERROR(write_summaries());
  number_ = mdb_txn_id(reader_.txn());
  int rc = mdb_txn_commit(reader_.txn());
  reader_.forget();  // committed or not, it is gone
  return rc == 0 ? Status() : fail(rc, "committing to");
}

}  // namespace millrace::storage
