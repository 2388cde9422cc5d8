// A local database in a directory of its own, for the runners of tests/commands and tests/update.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "commands/local/local_database.h"
#include "engine/document/clock.h"
#include "engine/runtime/stage_table.h"
#include "storage/store.h"

namespace millrace::tests {

class LocalFixture {
 public:
  // 2024-03-01T12:00:00Z for everything that asks for the time.
  static constexpr int64_t kNowMs = 1'709'294'400'000;

  LocalFixture() {
    auto pattern = (std::filesystem::temp_directory_path() / "millrace-cases-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return;
    root_ = pattern;
    storage::OpenOptions options;
    options.sync = storage::Sync::kNever;
    auto opened = storage::Store::open(root_ + "/data", options);
    if (!opened.ok()) return;
    store_ = std::move(opened).value();
    database_ = std::make_unique<commands::LocalDatabase>(*store_, stages_, clock_);
  }
  ~LocalFixture() {
    database_.reset();
    store_.reset();
    std::error_code ignored;
    if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
  }
  bool ready() const { return database_ != nullptr; }
  commands::LocalDatabase& database() { return *database_; }
  storage::Store& store() { return *store_; }
  const std::string& root() const { return root_; }

  // Everything that is in it goes.
  engine::Status clear() {
    return store_->write([](storage::WriteTransaction& txn) -> engine::Status {
      MR_ASSIGN_OR_RETURN(auto collections, commands::list_collections(txn));
      for (const auto& collection : collections)
        MR_RETURN_IF_ERROR(commands::erase_collection(txn, collection));
      return {};
    });
  }

 private:
  std::string root_;
  engine::ManualClock clock_{kNowMs};
  engine::StageListBuilder stages_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<commands::LocalDatabase> database_;
};

}  // namespace millrace::tests
