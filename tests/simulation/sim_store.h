// A store in memory that survives simulated crashes: a crash keeps exactly the committed
// transactions.
#pragma once

#include <map>
#include <string>

#include "storage/store.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

class SimulatedStore final : public storage::Store {
 public:
  using Records = std::map<std::string, std::string, std::less<>>;
  using Tables = std::map<storage::Table, Records>;

  explicit SimulatedStore(World& world) : world_(world) {}

  engine::Result<std::unique_ptr<storage::ReadTransaction>> read() override;
  engine::Status write(
      const std::function<engine::Status(storage::WriteTransaction&)>& work) override;
  const storage::Identity& identity() const override { return identity_; }
  const std::vector<storage::Damage>& damage() const override { return damage_; }
  storage::StoreSize size() const override { return {}; }

  int64_t commits() const { return commits_; }

 private:
  World& world_;
  Tables tables_;
  int64_t full_until_ms_ = 0;
  int64_t commits_ = 0;
  storage::Identity identity_{"000000000000000000000001", "000000000000000000000002", 0};
  std::vector<storage::Damage> damage_;
};

}  // namespace millrace::simulation
