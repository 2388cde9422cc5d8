#include "commands/workspace.h"

#include <spdlog/spdlog.h>

#include "commands/command.h"
#include "commands/demo.h"
#include "commands/local/index_build.h"
#include "commands/local/local_database.h"
#include "commands/local_cluster.h"
#include "engine/connection/cluster_client.h"
#include "engine/connection/connections_file.h"
#include "engine/connection/registry.h"
#include "engine/document/clock.h"
#include "engine/runtime/connection_table.h"
#include "engine/runtime/processor_manager.h"
#include "engine/runtime/stage_table.h"
#include "storage/connections.h"
#include "storage/store.h"

namespace millrace::commands {

using engine::Result;
using engine::Status;

namespace {

engine::StreamMetadata metadata_mode(std::string_view text) {
  if (text == "always") return engine::StreamMetadata::kAlways;
  if (text == "never") return engine::StreamMetadata::kNever;
  return engine::StreamMetadata::kAuto;
}

}  // namespace

struct Workspace::Parts {
  explicit Parts(Services& s) : services(s), connections(engine::connection_types()) {}

  Status open_store();
  Status load_connections();
  Status read_connections_file();
  Status start_processors();

  Services& services;
  std::vector<std::string> warnings;
  engine::SystemClock clock;
  std::unique_ptr<storage::Store> store;
  engine::ConnectionRegistry connections;
  engine::StageListBuilder stages;
  std::unique_ptr<LocalDatabase> database;
  std::unique_ptr<engine::ClusterConnector> local;
  std::unique_ptr<engine::ClusterConnector> clusters;
  std::unique_ptr<engine::ProcessorManager> processors;
};

Workspace::Workspace(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Workspace::~Workspace() { stop(); }

const std::vector<std::string>& Workspace::warnings() const { return parts_->warnings; }

Result<std::unique_ptr<Workspace>> Workspace::open(Services& services) {
  auto parts = std::make_unique<Parts>(services);
  MR_RETURN_IF_ERROR(parts->open_store());
  MR_RETURN_IF_ERROR(parts->load_connections());
  MR_RETURN_IF_ERROR(parts->read_connections_file());
  parts->database = std::make_unique<LocalDatabase>(*parts->store, parts->stages, parts->clock);
  MR_RETURN_IF_ERROR(rebuild_lost_indexes(*parts->database));
  parts->database->start_maintenance(std::chrono::seconds(60));
  services.database = parts->database.get();
  services.connections = &parts->connections;
  parts->local = std::make_unique<LocalClusterConnector>(services);
  parts->clusters = std::make_unique<engine::MongoConnector>(parts->local.get());
  MR_RETURN_IF_ERROR(parts->start_processors());
  return std::unique_ptr<Workspace>(new Workspace(std::move(parts)));
}

void Workspace::stop() {
  if (parts_ == nullptr) return;
  parts_->services.processors = nullptr;
  parts_->processors.reset();
  parts_->clusters.reset();
  parts_->local.reset();
  parts_->services.database = nullptr;
  parts_->database->stop();
  parts_->database.reset();
  parts_->services.connections = nullptr;
  parts_->store.reset();
  parts_.reset();
}

Status Workspace::Parts::open_store() {
  storage::OpenOptions options;
  options.clock = &clock;
  MR_ASSIGN_OR_RETURN(store, storage::Store::open(services.settings.data_dir, options));
  for (const storage::Damage& damage : store->damage()) {
    spdlog::error("the data directory was damaged: {}", damage.message);
    warnings.push_back("The data directory was damaged: " + damage.message);
  }
  return {};
}

// Those kept from earlier; a connections file is read on top of them.
Status Workspace::Parts::load_connections() {
  storage::NamedDocumentList stored;
  {
    MR_ASSIGN_OR_RETURN(auto txn, store->read());
    MR_ASSIGN_OR_RETURN(stored, storage::Connections::list(*txn));
  }
  for (const Status& damaged : stored.damaged)
    spdlog::error("a stored connection is lost: {}", damaged.message());
  for (const auto& [name, document] : stored.documents) {
    auto connection = connections.upsert(document.value());
    if (!connection.ok())
      spdlog::error("the stored connection {} cannot be used: {}", name,
                    connection.status().message());
  }
  return {};
}

Status Workspace::Parts::read_connections_file() {
  if (services.settings.connections_file.empty()) return {};
  MR_ASSIGN_OR_RETURN(auto file, engine::read_connections_file(services.settings.connections_file,
                                                               connections.types()));
  for (const std::string& warning : file.warnings) spdlog::warn("{}", warning);
  for (const auto& connection : file.connections) connections.upsert(connection);
  spdlog::info("{} connections read from {}", file.connections.size(),
               services.settings.connections_file);
  return store->write([&](storage::WriteTransaction& txn) -> Status {
    for (const auto& connection : file.connections) {
      MR_RETURN_IF_ERROR(
          storage::Connections::put(txn, connection->name, connection->definition.bytes()));
    }
    return {};
  });
}

Status Workspace::Parts::start_processors() {
  const Settings& settings = services.settings;
  engine::ProcessorManager::Environment environment;
  environment.store = store.get();
  environment.connections = &connections;
  environment.clusters = clusters.get();
  environment.clock = &clock;
  environment.run.checkpoint_interval = std::chrono::milliseconds(settings.checkpoint_interval_ms);
  environment.run.memory_limit_bytes = settings.memory_limit_mb << 20;
  environment.run.metadata = metadata_mode(settings.stream_metadata);
  environment.workspace.enforce_tier_limits = settings.enforce_tier_limits;
  processors = std::make_unique<engine::ProcessorManager>(environment);
  services.processors = processors.get();
  std::vector<std::string> damaged;
  MR_RETURN_IF_ERROR(processors->load(&damaged));
  for (const std::string& message : damaged)
    spdlog::error("a stream processor's definition is lost: {}", message);
  services.on_sessions_ended.push_back([this](const std::vector<std::string>& ids) {
    if (processors != nullptr) processors->sessions_ended(ids);
    if (database != nullptr) database->cursors().kill_sessions(ids);
  });
  services.on_client_gone.push_back([this](Client& client) {
    if (processors != nullptr) processors->connection_gone(client.connection_id);
  });
  services.on_reload.push_back([this] {
    if (Status status = read_connections_file(); !status.ok())
      spdlog::error("the connections stay as they were: {}", status.message());
  });
  if (settings.demo && processors->list().empty()) return start_demo(*processors);
  return {};
}

}  // namespace millrace::commands
