// A store in memory: what takes the place of LMDB where processors are tested without a data
// directory.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>

#include "storage/store.h"

namespace millrace::engine {

// As storage::Store promises, with everything gone at its end. One thread. Cursors and
// transactions see the writes that come after them; nobody in a test holds one that long.
class MemoryStore final : public storage::Store {
 public:
  using Records = std::map<std::string, std::string, std::less<>>;
  using Tables = std::map<storage::Table, Records>;

  MemoryStore();
  Result<std::unique_ptr<storage::ReadTransaction>> read() override;
  Status write(const std::function<Status(storage::WriteTransaction&)>& work) override;
  const storage::Identity& identity() const override { return identity_; }
  const std::vector<storage::Damage>& damage() const override { return damage_; }
  storage::StoreSize size() const override;

 private:
  Tables tables_;
  storage::Identity identity_;
  std::vector<storage::Damage> damage_;
};

}  // namespace millrace::engine
