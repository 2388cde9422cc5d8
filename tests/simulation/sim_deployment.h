// A MongoDB deployment in memory: as much of it as $merge and the dead letter queue use. It is
// durable: a simulated crash takes nothing of it away.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/connection/connection.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

class SimulatedDeployment final : public engine::ClusterConnector {
 public:
  // By the text of the _id; those that the deployment gives itself are "generated …".
  using Collection = std::map<std::string, engine::Document>;
  // A document has been written (inserted or changed), as it is now.
  using Observer = std::function<void(const std::string& ns, const std::string& id,
                                      const engine::Document& document)>;

  static constexpr std::string_view kTarget = "sim.results";
  static constexpr std::string_view kLetters = "sim.letters";

  SimulatedDeployment(World& world, Observer observer)
      : world_(world), observer_(std::move(observer)) {}

  engine::Result<std::unique_ptr<engine::ClusterClient>> connect(
      const engine::Connection& connection) override;

  const Collection& collection(std::string_view ns) const;
  // A document with refuse: true is not taken (error 121), as by a validator.
  void refuse_marked(bool refuse) { refuse_marked_ = refuse; }
  // Of Sabotage::kLyingFlush: what was acknowledged only is gone.
  void crash() { unsafe_.clear(); }

 private:
  class Client;
  struct Effect {
    int64_t matched = 0;
    engine::Status error;
    bool duplicate_id = false;
  };

  engine::Result<engine::Document> run(std::string_view database, const engine::Value& command);
  engine::Result<engine::Document> write(const std::string& ns, std::string_view kind,
                                         const engine::Value& command);
  engine::Document apply(const std::string& ns, std::string_view kind,
                         const std::vector<engine::Value>& statements, size_t until);
  Effect update(const std::string& ns, const engine::Value& statement);
  Effect insert(const std::string& ns, const engine::Value& document);
  void store(const std::string& ns, const std::string& id, engine::Document document);
  Collection::iterator find(Collection& collection, const engine::Value& query);

  World& world_;
  Observer observer_;
  std::map<std::string, Collection, std::less<>> collections_;
  int64_t down_until_ms_ = 0;
  int64_t generated_ = 0;
  bool refuse_marked_ = false;
  std::vector<std::function<void()>> unsafe_;
};

// The text by which an _id is found: types that compare equal give the same text.
std::string id_text(const engine::Value& id);

}  // namespace millrace::simulation
