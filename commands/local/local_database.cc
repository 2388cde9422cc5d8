#include "commands/local/local_database.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "commands/local/collection_writer.h"

namespace millrace::commands {

using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

struct LocalDatabase::Maintenance {
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;
};

LocalDatabase::LocalDatabase(storage::Store& store, engine::PipelineBuilder& stages,
                             const engine::Clock& clock)
    : store_(store), stages_(stages), clock_(clock), started_ms_(clock.now_ms()) {}

LocalDatabase::~LocalDatabase() { stop(); }

Result<std::optional<Collection>> LocalDatabase::find(std::string_view database,
                                                      std::string_view name) {
  MR_ASSIGN_OR_RETURN(auto txn, store_.read());
  return find_collection(*txn, database, name);
}

void LocalDatabase::note_index_use(storage::IndexId index) {
  std::lock_guard lock(uses_mutex_);
  ++uses_[index];
}

LocalDatabase::IndexUses LocalDatabase::index_uses(storage::IndexId index) const {
  std::lock_guard lock(uses_mutex_);
  auto at = uses_.find(index);
  return {at == uses_.end() ? 0 : at->second, started_ms_};
}

Status LocalDatabase::maintain() {
  cursors_.kill_idle(clock_.monotonic_ns());
  std::vector<Collection> collections;
  {
    MR_ASSIGN_OR_RETURN(auto txn, store_.read());
    MR_ASSIGN_OR_RETURN(collections, list_collections(*txn));
  }
  for (const auto& collection : collections) {
    if (collection.capped()) continue;
    for (const auto& index : collection.indexes) {
      if (index.expire_after_seconds() >= 0 && index.fields.size() == 1)
        MR_RETURN_IF_ERROR(expire(collection, index));
    }
  }
  return {};
}

namespace {

// The earliest date at the index's field, if there is one: an array counts by its earliest.
bool is_expired(const IndexInfo& index, const Value& document, int64_t before_ms) {
  auto keys = index_keys(index, document);
  if (!keys.ok()) return false;
  for (const auto& key : *keys) {
    const Value& value = key.values.front();
    if (value.is(Type::kDate) && value.as_date() < before_ms) return true;
  }
  return false;
}

}  // namespace

// https://www.mongodb.com/docs/manual/core/index-ttl/
Status LocalDatabase::expire(const Collection& collection, const IndexInfo& index) {
  constexpr size_t kPerTransaction = 1000;
  int64_t before_ms = clock_.now_ms() - index.expire_after_seconds() * 1000;
  while (true) {
    size_t found = 0;
    MR_RETURN_IF_ERROR(store_.write([&](storage::WriteTransaction& txn) -> Status {
      found = 0;
      MR_ASSIGN_OR_RETURN(auto now, find_collection(txn, collection.database, collection.name));
      if (!now || now->id != collection.id) return {};
      std::vector<std::pair<storage::RecordId, std::string>> expired;
      {
        MR_ASSIGN_OR_RETURN(auto cursor, storage::RecordCursor::open(txn, collection.id));
        MR_RETURN_IF_ERROR(cursor.first());
        while (cursor.valid() && expired.size() < kPerTransaction) {
          if (is_expired(index, Value::bson_object(cursor.bson().data()), before_ms))
            expired.emplace_back(cursor.record(), cursor.bson());
          MR_RETURN_IF_ERROR(cursor.next());
        }
      }
      found = expired.size();
      if (found == 0) return {};
      MR_ASSIGN_OR_RETURN(auto writer, CollectionWriter::open(txn, std::move(*now), clock_, true));
      for (const auto& [record, bson] : expired) MR_RETURN_IF_ERROR(writer->erase(record, bson));
      return {};
    }));
    if (found < kPerTransaction) return {};
  }
}

void LocalDatabase::start_maintenance(std::chrono::milliseconds interval) {
  maintenance_ = std::make_unique<Maintenance>();
  maintenance_->thread = std::thread([this, interval] {
    auto& state = *maintenance_;
    std::unique_lock lock(state.mutex);
    while (!state.wake.wait_for(lock, interval, [&] { return state.stopping; })) {
      lock.unlock();
      if (auto status = maintain(); !status.ok())
        spdlog::warn("upkeep of the local database: {}", status.message());
      lock.lock();
    }
  });
}

void LocalDatabase::stop() {
  if (maintenance_ == nullptr) return;
  {
    std::lock_guard lock(maintenance_->mutex);
    maintenance_->stopping = true;
  }
  maintenance_->wake.notify_all();
  maintenance_->thread.join();
  maintenance_.reset();
}

}  // namespace millrace::commands
