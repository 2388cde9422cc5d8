// Transactions and cursors on LMDB. Made by LmdbStore only.
#pragma once

#include <lmdb.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "storage/lmdb_store.h"
#include "storage/record_envelope.h"
#include "storage/store.h"

namespace millrace::storage {

class LmdbCursor final : public Cursor {
 public:
  // `write`: the cursor's LMDB part ends with the transaction, so this object must go first.
  LmdbCursor(MDB_cursor* cursor, Table table, std::string_view prefix);
  ~LmdbCursor() override;
  Status first() override;
  Status last() override;
  Status seek(std::string_view key) override;
  Status seek_before(std::string_view key) override;
  Status next() override;
  Status previous() override;
  bool valid() const override { return place_ == Place::kRecord; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }

 private:
  enum class Place { kEnd, kRecord, kDamaged };
  Status move(MDB_cursor_op op);
  Status at_or_after(std::string_view key);
  Status before(std::string_view key);

  MDB_cursor* cursor_;
  Table table_;
  std::string prefix_;
  std::string prefix_end_;  // the first key after all with the prefix; "" if there is none
  Place place_ = Place::kEnd;
  std::string_view key_;
  std::string_view value_;
};

// Reading, in either kind of transaction.
class LmdbReader {
 public:
  LmdbReader(const LmdbEnvironment& environment, MDB_txn* txn)
      : environment_(environment), txn_(txn) {}
  Result<std::optional<std::string_view>> get(Table table, std::string_view key) const;
  Result<std::unique_ptr<Cursor>> cursor(Table table, std::string_view prefix) const;
  MDB_txn* txn() const { return txn_; }
  MDB_dbi table(Table table) const { return environment_.table(table); }
  std::string doing(const char* verb) const {
    return std::string(verb) + " " + environment_.path();
  }
  void forget() { txn_ = nullptr; }

 private:
  const LmdbEnvironment& environment_;
  MDB_txn* txn_;
};

class LmdbReadTransaction final : public ReadTransaction {
 public:
  // Leaves `gate` when it ends. Requires: the gate was entered.
  LmdbReadTransaction(const LmdbEnvironment& environment, MDB_txn* txn, TransactionGate& gate)
      : reader_(environment, txn), gate_(gate) {}
  ~LmdbReadTransaction() override {
    mdb_txn_abort(reader_.txn());
    gate_.leave();
  }
  Result<std::optional<std::string_view>> get(Table table, std::string_view key) override {
    return reader_.get(table, key);
  }
  Result<std::unique_ptr<Cursor>> cursor(Table table, std::string_view prefix) override {
    return reader_.cursor(table, prefix);
  }

 private:
  LmdbReader reader_;
  TransactionGate& gate_;
};

// Aborts when it ends without a commit.
class LmdbWriteTransaction final : public WriteTransaction {
 public:
  LmdbWriteTransaction(const LmdbEnvironment& environment, MDB_txn* txn)
      : reader_(environment, txn) {}
  ~LmdbWriteTransaction() override {
    if (reader_.txn()) mdb_txn_abort(reader_.txn());
  }

  Result<std::optional<std::string_view>> get(Table table, std::string_view key) override {
    return reader_.get(table, key);
  }
  Result<std::unique_ptr<Cursor>> cursor(Table table, std::string_view prefix) override {
    return reader_.cursor(table, prefix);
  }
  Status put(Table table, std::string_view key, std::string_view value) override;
  Result<bool> insert(Table table, std::string_view key, std::string_view value) override;
  Result<bool> erase(Table table, std::string_view key) override;
  Result<int64_t> erase_prefix(Table table, std::string_view prefix) override;
  Result<std::string*> deferred(Table table, std::string_view key) override;

  Status commit();
  int failure() const { return failure_; }  // the first thing LMDB answered that was not expected
  bool changed() const { return changed_; }
  uint64_t number() const { return number_; }

 private:
  struct Deferred {
    std::string before;
    std::string now;
  };
  Result<bool> store(Table table, std::string_view key, std::string_view value, bool replace);
  Status fail(int code, const char* verb);
  Status write_deferred();
  Status write_summaries();
  void count(Table table, int64_t records, uint64_t checksums) {
    changed_ = true;
    auto& delta = deltas_[table_index(table)];
    delta.records += static_cast<uint64_t>(records);
    delta.checksums += checksums;
  }

  LmdbReader reader_;
  int failure_ = 0;
  bool changed_ = false;
  uint64_t number_ = 0;
  std::array<TableSummary, kTableCount> deltas_{};
  std::map<std::pair<Table, std::string>, Deferred> deferred_;
};

}  // namespace millrace::storage
