#include "storage/salvage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <string>

#include "storage/collection_records.h"
#include "storage/collections.h"
#include "storage/file_check.h"
#include "storage/identity.h"
#include "storage/io_error.h"

namespace millrace::storage {
namespace {

constexpr size_t kBatchBytes = size_t{8} << 20;
constexpr uint64_t kCounterJump = 1'000'000;

void remove_database(const std::string& path) {
  unlink(path.c_str());
  unlink((path + "-lock").c_str());
}

// Collects records and writes them in batches.
class Rescue {
 public:
  Rescue(LmdbEnvironment& environment, size_t map_bytes_max)
      : environment_(environment), map_bytes_max_(map_bytes_max) {}

  Status add(Table table, std::string_view key, std::string_view payload) {
    // Kept by the store itself, or counted anew below.
    if (table == Table::kSummaries) return {};
    if (table == Table::kCollectionStatistics) {
      if (key.size() == 8)
        known(read_big_endian(key.data())).last_record = decode_statistics(payload).last_record;
      return {};
    }
    if (table == Table::kRecords && key.size() == 16) {
      auto& statistics = known(read_big_endian(key.data()));
      ++statistics.records;
      statistics.bytes += static_cast<int64_t>(payload.size());
      statistics.last_record = std::max(statistics.last_record, read_big_endian(key.data() + 8));
    }
    if (table == Table::kIndexes) {
      // Not taken over: an entry without its document would keep the key from ever being used.
      if (key.size() >= 8) highest_id_ = std::max(highest_id_, read_big_endian(key.data()));
      return {};
    }
    if (table == Table::kMeta && key == kCatalogCounterKey) counter_found_ = true;
    if (table == Table::kMeta && key == kIndexesLostKey) return {};  // finish() writes it
    return append(table, key, payload);
  }

  Status finish(const Identity& identity) {
    MR_RETURN_IF_ERROR(append(Table::kMeta, kIdentityKey, encode_identity(identity)));
    for (const auto& [collection, statistics] : statistics_) {
      std::string key;
      append_big_endian(key, collection);
      MR_RETURN_IF_ERROR(append(Table::kCollectionStatistics, key, encode_statistics(statistics)));
    }
    if (!counter_found_ && highest_id_ > 0) {
      // An id must never be given twice; empty collections may have had higher ones than are seen.
      MR_RETURN_IF_ERROR(
          append(Table::kMeta, kCatalogCounterKey, encode_counter(highest_id_ + kCounterJump)));
    }
    MR_RETURN_IF_ERROR(append(Table::kMeta, kIndexesLostKey, "1"));
    return flush();
  }

  int64_t saved() const { return saved_; }

 private:
  struct Record {
    Table table;
    std::string key;
    std::string payload;
  };

  CollectionStatistics& known(CollectionId collection) {
    highest_id_ = std::max(highest_id_, collection);
    return statistics_[collection];
  }

  Status append(Table table, std::string_view key, std::string_view payload) {
    batch_.push_back({table, std::string(key), std::string(payload)});
    batch_bytes_ += key.size() + payload.size();
    return batch_bytes_ >= kBatchBytes ? flush() : Status();
  }

  Status flush() {
    while (true) {
      auto outcome = write_once(environment_, [&](WriteTransaction& txn) -> Status {
        for (const auto& record : batch_)
          MR_RETURN_IF_ERROR(txn.put(record.table, record.key, record.payload));
        return {};
      });
      if (outcome.failure == MDB_MAP_FULL) {
        MR_RETURN_IF_ERROR(environment_.grow(map_bytes_max_));
        continue;
      }
      saved_ += static_cast<int64_t>(batch_.size());
      batch_.clear();
      batch_bytes_ = 0;
      return outcome.status;
    }
  }

  LmdbEnvironment& environment_;
  size_t map_bytes_max_;
  std::vector<Record> batch_;
  size_t batch_bytes_ = 0;
  int64_t saved_ = 0;
  std::map<CollectionId, CollectionStatistics> statistics_;
  uint64_t highest_id_ = 0;
  bool counter_found_ = false;
};

// The damaged file keeps its place until the new one takes it, so that a crash in between loses
// neither.
Status keep_damaged(const DataFiles& files, const std::string& kept) {
  if (link(files.database().c_str(), kept.c_str()) == 0) return {};
  if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
    return io_error(errno, "keeping the damaged file as " + kept);
  if (rename(files.database().c_str(), kept.c_str()) == 0) return {};
  return io_error(errno, "keeping the damaged file as " + kept);
}

}  // namespace

Result<std::unique_ptr<LmdbEnvironment>> make_new_environment(const DataFiles& files,
                                                              const OpenOptions& options) {
  remove_database(files.new_database());
  return LmdbEnvironment::open(files.new_database(), {options.map_bytes, Sync::kNever});
}

Status adopt_new_environment(const DataFiles& files, const OpenOptions& options) {
  unlink((files.new_database() + "-lock").c_str());
  unlink((files.database() + "-lock").c_str());
  if (rename(files.new_database().c_str(), files.database().c_str()) != 0) {
    return io_error(errno, "making " + files.database());
  }
  return options.sync == Sync::kNever ? Status() : sync_directory(files.directory);
}

Status salvage(const DataFiles& files, const OpenOptions& options, const Identity& identity,
               const ShutdownState& state, std::vector<Damage>& damage) {
  int64_t saved = 0;
  {
    MR_ASSIGN_OR_RETURN(auto environment, make_new_environment(files, options));
    Rescue rescue(*environment, options.map_bytes_max);
    auto checked = check_file(files.database(),
                              {.expected_transaction = state.last_transaction,
                               .expected_meta = state.meta,
                               .known_as_ours = true},
                              [&](Table table, std::string_view key, std::string_view payload) {
                                return rescue.add(table, key, payload);
                              });
    MR_RETURN_IF_ERROR(checked.status);
    damage = std::move(
        checked.damage);  // this time with the records that only a newer Millrace could copy
    MR_RETURN_IF_ERROR(rescue.finish(identity));
    if (options.sync != Sync::kNever) MR_RETURN_IF_ERROR(environment->sync());
    saved = rescue.saved();
  }
  engine::SystemClock system;
  auto kept = fmt::format("{}.damaged-{}", files.database(),
                          (options.clock ? options.clock->now_ms() : system.now_ms()));
  MR_RETURN_IF_ERROR(keep_damaged(files, kept));
  {
    // The new file counts its transactions from 1: forget the old count before it takes the place.
    MR_ASSIGN_OR_RETURN(auto state_file, StateFile::open(files.state()));
    MR_RETURN_IF_ERROR(
        state_file->write({false, 0, {}, identity.workspace_id, {}}, options.sync != Sync::kNever));
  }
  MR_RETURN_IF_ERROR(adopt_new_environment(files, options));
  damage.push_back(
      {"", "",
       fmt::format("{} sound records were saved; the damaged file is kept as {}", saved, kept)});
  return {};
}

}  // namespace millrace::storage
