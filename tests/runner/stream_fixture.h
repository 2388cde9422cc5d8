// A workspace beside the local database: connection registry and stream processors, put together as
// commands/workspace.cc does, but in the store of a LocalFixture.
#pragma once

#include <string>
#include <vector>

#include "commands/demo.h"
#include "commands/local/local_database.h"
#include "commands/local_cluster.h"
#include "commands/services.h"
#include "engine/connection/cluster_client.h"
#include "engine/connection/registry.h"
#include "engine/document/clock.h"
#include "engine/runtime/connection_table.h"
#include "engine/runtime/processor_manager.h"

namespace millrace::tests {

class StreamFixture {
 public:
  // `services` has a database already; it gets connections and processors for as long as this
  // lives. Processors run by the real clock.
  StreamFixture(commands::Services& services, const engine::WorkspaceSettings& workspace,
                storage::Store& store)
      : services_(services), connections_(engine::connection_types()) {
    services.connections = &connections_;
    engine::ProcessorManager::Environment environment;
    environment.store = &store;
    environment.connections = &connections_;
    environment.clusters = &clusters_;
    environment.clock = &clock_;
    environment.run.memory_limit_bytes = services.settings.memory_limit_mb << 20;
    environment.workspace = workspace;
    processors_ = std::make_unique<engine::ProcessorManager>(environment);
    services.processors = processors_.get();
    services.on_sessions_ended.push_back([this](const std::vector<std::string>& ids) {
      processors_->sessions_ended(ids);
      services_.database->cursors().kill_sessions(ids);
    });
  }
  // The store is left without a processor.
  ~StreamFixture() {
    for (const auto& processor : processors_->list()) {
      (void)processors_->drop(processor.definition.name);  // one that ended by itself is gone
    }
    services_.on_sessions_ended.clear();
    services_.processors = nullptr;
    processors_.reset();
    services_.connections = nullptr;
  }
  StreamFixture(const StreamFixture&) = delete;
  StreamFixture& operator=(const StreamFixture&) = delete;

  // A connection in the Admin API's spelling.
  engine::Status add_connection(const engine::Value& definition) {
    return connections_.upsert(definition).status();
  }
  engine::Status start_demo() { return commands::start_demo(*processors_); }

 private:
  commands::Services& services_;
  engine::SystemClock clock_;
  engine::ConnectionRegistry connections_;
  commands::LocalClusterConnector local_{services_};
  engine::MongoConnector clusters_{&local_};
  std::unique_ptr<engine::ProcessorManager> processors_;
};

}  // namespace millrace::tests
