#include "tests/simulation/sim_store.h"

namespace millrace::simulation {
namespace {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using storage::Table;

class MapCursor final : public storage::Cursor {
 public:
  using Records = SimulatedStore::Records;
  MapCursor(const Records& records, std::string_view prefix)
      : records_(records), prefix_(prefix), at_(records.end()) {}

  Status first() override { return seek(prefix_); }
  Status last() override {
    at_ = records_.end();
    for (auto i = records_.lower_bound(prefix_); i != records_.end() && inside(i->first); ++i)
      at_ = i;
    return {};
  }
  Status seek(std::string_view key) override {
    at_ = records_.lower_bound(std::max(key, std::string_view(prefix_)));
    return {};
  }
  Status seek_before(std::string_view key) override {
    at_ = records_.lower_bound(key);
    at_ = at_ == records_.begin() ? records_.end() : std::prev(at_);
    return {};
  }
  Status next() override {
    ++at_;
    return {};
  }
  Status previous() override {
    at_ = at_ == records_.begin() ? records_.end() : std::prev(at_);
    return {};
  }
  bool valid() const override { return at_ != records_.end() && inside(at_->first); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }

 private:
  bool inside(std::string_view key) const { return key.starts_with(prefix_); }

  const Records& records_;
  const std::string prefix_;
  Records::const_iterator at_;
};

// On a copy of all tables: small here, and a reader's view is then its own.
class Transaction final : public storage::WriteTransaction {
 public:
  explicit Transaction(SimulatedStore::Tables tables) : tables_(std::move(tables)) {}

  Result<std::optional<std::string_view>> get(Table table, std::string_view key) override {
    const auto& records = tables_[table];
    auto found = records.find(key);
    if (found == records.end()) return std::optional<std::string_view>();
    return std::optional<std::string_view>(found->second);
  }
  Result<std::unique_ptr<storage::Cursor>> cursor(Table table, std::string_view prefix) override {
    return std::unique_ptr<storage::Cursor>(std::make_unique<MapCursor>(tables_[table], prefix));
  }
  Status put(Table table, std::string_view key, std::string_view value) override {
    tables_[table].insert_or_assign(std::string(key), std::string(value));
    return {};
  }
  Result<bool> insert(Table table, std::string_view key, std::string_view value) override {
    return tables_[table].emplace(std::string(key), std::string(value)).second;
  }
  Result<bool> erase(Table table, std::string_view key) override {
    return tables_[table].erase(std::string(key)) > 0;
  }
  Result<int64_t> erase_prefix(Table table, std::string_view prefix) override {
    return static_cast<int64_t>(std::erase_if(
        tables_[table], [&](const auto& record) { return record.first.starts_with(prefix); }));
  }
  Result<std::string*> deferred(Table table, std::string_view key) override {
    auto [at, added] = deferred_.try_emplace({table, std::string(key)});
    if (added) {
      if (auto found = tables_[table].find(key); found != tables_[table].end())
        at->second = found->second;
    }
    return &at->second;
  }

  SimulatedStore::Tables take() {
    for (auto& [place, value] : deferred_) {
      if (value.empty()) {
        tables_[place.first].erase(place.second);
      } else {
        tables_[place.first][place.second] = value;
      }
    }
    return std::move(tables_);
  }

 private:
  SimulatedStore::Tables tables_;
  std::map<std::pair<Table, std::string>, std::string> deferred_;
};

}  // namespace

Result<std::unique_ptr<storage::ReadTransaction>> SimulatedStore::read() {
  world_.crash_point("store read");
  if (world_.strikes(world_.rates.store_error)) {
    world_.trace.line("store: a read fails");
    return Status(ErrorCode::kUnknownError, "simulated I/O error while reading");
  }
  return std::unique_ptr<storage::ReadTransaction>(std::make_unique<Transaction>(tables_));
}

Status SimulatedStore::write(const std::function<Status(storage::WriteTransaction&)>& work) {
  world_.crash_point("before a commit");
  world_.take_time();
  if (world_.strikes(world_.rates.store_full)) {
    full_until_ms_ = world_.clock.monotonic_ns() / 1'000'000 + world_.random.between(100, 60'000);
    world_.trace.line("store: the disk is full");
  }
  if (world_.faults_on && world_.clock.monotonic_ns() / 1'000'000 < full_until_ms_)
    return Status(ErrorCode::kOutOfDiskSpace, "simulated full disk");
  if (world_.strikes(world_.rates.store_error)) {
    world_.trace.line("store: a write fails");
    return Status(ErrorCode::kUnknownError, "simulated I/O error while writing");
  }
  if (world_.strikes(0.1)) {  // the store grows: the work starts from scratch
    Transaction discarded(tables_);
    (void)work(discarded);
  }
  Transaction transaction(tables_);
  MR_RETURN_IF_ERROR(work(transaction));
  world_.crash_point("in a commit, undone");
  tables_ = transaction.take();
  ++commits_;
  world_.crash_point("in a commit, done");
  return {};
}

}  // namespace millrace::simulation
