#include "engine/testing/memory_store.h"

#include <list>
#include <utility>

namespace millrace::engine {
namespace {

using storage::Table;

class MapCursor final : public storage::Cursor {
 public:
  MapCursor(const MemoryStore::Records& records, std::string_view prefix)
      : records_(records), prefix_(prefix), at_(records.end()) {}

  Status first() override { return move_to(records_.lower_bound(prefix_)); }
  Status last() override {
    auto it = past_prefix();
    return it == records_.begin() ? move_to(records_.end()) : move_to(std::prev(it));
  }
  Status seek(std::string_view key) override {
    return move_to(records_.lower_bound(std::max(key, std::string_view(prefix_))));
  }
  Status seek_before(std::string_view key) override {
    auto it = records_.lower_bound(key);
    return it == records_.begin() ? move_to(records_.end()) : move_to(std::prev(it));
  }
  Status next() override { return move_to(std::next(at_)); }
  Status previous() override {
    return at_ == records_.begin() ? move_to(records_.end()) : move_to(std::prev(at_));
  }
  bool valid() const override { return at_ != records_.end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }

 private:
  MemoryStore::Records::const_iterator past_prefix() const {
    auto it = records_.lower_bound(prefix_);
    while (it != records_.end() && it->first.starts_with(prefix_)) ++it;
    return it;
  }
  Status move_to(MemoryStore::Records::const_iterator it) {
    at_ = it != records_.end() && it->first.starts_with(prefix_) ? it : records_.end();
    return {};
  }

  const MemoryStore::Records& records_;
  const std::string prefix_;
  MemoryStore::Records::const_iterator at_;
};

std::optional<std::string_view> find(MemoryStore::Tables& tables, Table table,
                                     std::string_view key) {
  const auto& records = tables[table];
  auto it = records.find(key);
  if (it == records.end()) return std::nullopt;
  return it->second;
}

class Reader final : public storage::ReadTransaction {
 public:
  explicit Reader(MemoryStore::Tables& tables) : tables_(tables) {}
  Result<std::optional<std::string_view>> get(Table table, std::string_view key) override {
    return find(tables_, table, key);
  }
  Result<std::unique_ptr<storage::Cursor>> cursor(Table table, std::string_view prefix) override {
    return std::unique_ptr<storage::Cursor>(std::make_unique<MapCursor>(tables_[table], prefix));
  }

 private:
  MemoryStore::Tables& tables_;
};

// Works on a copy that takes the original's place when it commits.
class Writer final : public storage::WriteTransaction {
 public:
  explicit Writer(MemoryStore::Tables tables) : tables_(std::move(tables)) {}

  Result<std::optional<std::string_view>> get(Table table, std::string_view key) override {
    return find(tables_, table, key);
  }
  Result<std::unique_ptr<storage::Cursor>> cursor(Table table, std::string_view prefix) override {
    return std::unique_ptr<storage::Cursor>(std::make_unique<MapCursor>(tables_[table], prefix));
  }
  Status put(Table table, std::string_view key, std::string_view value) override {
    MR_RETURN_IF_ERROR(check(key, value));
    tables_[table][std::string(key)] = std::string(value);
    return {};
  }
  Result<bool> insert(Table table, std::string_view key, std::string_view value) override {
    MR_RETURN_IF_ERROR(check(key, value));
    return tables_[table].try_emplace(std::string(key), value).second;
  }
  Result<bool> erase(Table table, std::string_view key) override {
    auto& records = tables_[table];
    auto it = records.find(key);
    if (it == records.end()) return false;
    records.erase(it);
    return true;
  }
  Result<int64_t> erase_prefix(Table table, std::string_view prefix) override {
    return static_cast<int64_t>(std::erase_if(
        tables_[table], [&](const auto& record) { return record.first.starts_with(prefix); }));
  }
  Result<std::string*> deferred(Table table, std::string_view key) override {
    for (Deferred& known : deferred_) {
      if (known.table == table && known.key == key) return &known.value;
    }
    auto now = find(tables_, table, key);
    deferred_.push_back({table, std::string(key), std::string(now.value_or(""))});
    return &deferred_.back().value;
  }

  MemoryStore::Tables finish() {
    for (Deferred& record : deferred_) {
      if (record.value.empty()) {
        tables_[record.table].erase(record.key);
      } else {
        tables_[record.table][record.key] = std::move(record.value);
      }
    }
    return std::move(tables_);
  }

 private:
  struct Deferred {
    Table table;
    std::string key;
    std::string value;
  };
  static Status check(std::string_view key, std::string_view value) {
    if (key.empty() || key.size() > storage::kMaxKeyBytes || value.size() > storage::kMaxValueBytes)
      return Status(ErrorCode::kBadValue, "a record's key or value is too long");
    return {};
  }

  MemoryStore::Tables tables_;
  std::list<Deferred> deferred_;  // addresses stay
};

}  // namespace

MemoryStore::MemoryStore() {
  identity_.workspace_id = std::string(24, '0');
  identity_.project_id = std::string(24, '0');
}

Result<std::unique_ptr<storage::ReadTransaction>> MemoryStore::read() {
  return std::unique_ptr<storage::ReadTransaction>(std::make_unique<Reader>(tables_));
}

Status MemoryStore::write(const std::function<Status(storage::WriteTransaction&)>& work) {
  Writer writer(tables_);
  MR_RETURN_IF_ERROR(work(writer));
  tables_ = writer.finish();
  return {};
}

storage::StoreSize MemoryStore::size() const {
  storage::StoreSize size;
  for (const auto& [table, records] : tables_) {
    for (const auto& [key, value] : records) size.used_bytes += key.size() + value.size();
  }
  return size;
}

}  // namespace millrace::engine
