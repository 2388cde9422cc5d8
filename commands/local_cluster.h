// The local database as a Cluster connection: stream processors send it the same commands that
// clients send, without a socket between.
#pragma once

#include <memory>

#include "commands/services.h"
#include "engine/connection/connection.h"

namespace millrace::commands {

// Any thread. `services` outlives it and its clients.
class LocalClusterConnector final : public engine::ClusterConnector {
 public:
  explicit LocalClusterConnector(Services& services) : services_(services) {}
  engine::Result<std::unique_ptr<engine::ClusterClient>> connect(
      const engine::Connection& connection) override;

 private:
  Services& services_;
};

}  // namespace millrace::commands
