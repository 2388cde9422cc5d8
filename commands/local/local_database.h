// The local database: MongoDB collections kept in Millrace's own store. It serves clients under its
// databases' names, and stream processors as the target and source of Cluster connections without a
// `uri`.
//
// This class holds what all operations share; the operations stand in their own files: insert.h,
// update_documents.h, delete.h, find.h, aggregate.h, and so on. The handlers in commands/ read
// requests and write replies.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "commands/local/catalog.h"
#include "commands/local/cursor_registry.h"
#include "engine/document/clock.h"
#include "engine/stage/operator.h"
#include "storage/store.h"

namespace millrace::commands {

// All functions from any thread. Outlived by the store, the builder and the clock.
class LocalDatabase {
 public:
  // `stages` builds the stages that need no database; it must be callable from several threads at
  // once.
  LocalDatabase(storage::Store& store, engine::PipelineBuilder& stages, const engine::Clock& clock);
  ~LocalDatabase();

  storage::Store& store() { return store_; }
  engine::PipelineBuilder& stages() { return stages_; }
  const engine::Clock& clock() const { return clock_; }
  CursorRegistry& cursors() { return cursors_; }

  // Nothing if it is not there.
  engine::Result<std::optional<Collection>> find(std::string_view database, std::string_view name);

  // How often a query of a client was answered by an index, since when: for $indexStats. Counted
  // since the start of the server.
  struct IndexUses {
    int64_t count = 0;
    int64_t since_ms = 0;
  };
  void note_index_use(storage::IndexId index);
  IndexUses index_uses(storage::IndexId index) const;

  // Upkeep: cursors nobody uses any more, documents whose TTL index says they have expired. Call it
  // every minute.
  engine::Status maintain();
  // Calls maintain() every `interval` on a thread of its own until stop().
  void start_maintenance(std::chrono::milliseconds interval);
  void stop();

 private:
  engine::Status expire(const Collection& collection, const IndexInfo& index);

  storage::Store& store_;
  engine::PipelineBuilder& stages_;
  const engine::Clock& clock_;
  CursorRegistry cursors_;
  const int64_t started_ms_;
  mutable std::mutex uses_mutex_;
  std::unordered_map<storage::IndexId, int64_t> uses_;
  struct Maintenance;
  std::unique_ptr<Maintenance> maintenance_;
};

}  // namespace millrace::commands
