#include "engine/runtime/processor_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "engine/runtime/modification.h"
#include "engine/runtime/processor_entry.h"
#include "storage/checkpoints.h"
#include "storage/processors.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

constexpr int64_t kStateExpiryMs = int64_t{45} * 86'400'000;  // saved state after a stop

Status missing(std::string_view name) {
  return Status(ErrorCode::kCommandFailed, "stream processor doesn't exist: " + std::string(name));
}

}  // namespace

ProcessorManager::ProcessorManager(Environment environment) : environment_(std::move(environment)) {
  supervisor_ = std::thread([this] { supervise(); });
}

ProcessorManager::~ProcessorManager() { stop_all(); }

const std::string& ProcessorManager::workspace_id() const {
  return environment_.store->identity().workspace_id;
}

const std::string& ProcessorManager::project_id() const {
  return environment_.store->identity().project_id;
}

PipelineEnvironment ProcessorManager::pipeline_environment() const {
  return {environment_.connections, environment_.clusters, environment_.clock, nullptr};
}

RunEnvironment ProcessorManager::run_environment(const ProcessorDefinition& definition,
                                                 bool temporary) const {
  RunEnvironment environment{pipeline_environment(), temporary ? nullptr : environment_.store,
                             environment_.run};
  if (environment_.workspace.enforce_tier_limits) {
    // "stateSize at most 80 % of the tier's RAM"
    int64_t ram = tier_ram_bytes(definition.tier.empty() ? environment_.workspace.default_tier
                                                         : definition.tier);
    environment.settings.memory_limit_bytes = ram / 10 * 8;
  }
  return environment;
}

Result<ProcessorManager::EntryPtr> ProcessorManager::find(std::string_view name) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(name);
  if (found == entries_.end()) return missing(name);
  return found->second;
}

// Everything about a definition that can be checked without touching the outside world.
Status ProcessorManager::check(const CreateOptions& options, bool needs_sink) const {
  PipelineSpec spec;
  spec.pipeline = options.pipeline;
  spec.stream_meta_field = options.stream_meta_field;
  spec.metadata = environment_.run.metadata;
  spec.needs_sink = needs_sink;
  auto pipeline = Pipeline::build(spec, pipeline_environment());
  if (!pipeline.ok()) return pipeline.status();
  if (options.dlq.configured()) {
    MR_ASSIGN_OR_RETURN(ConnectionPtr connection,
                        environment_.connections->find(options.dlq.connection));
    if ((connection->type->uses & static_cast<uint8_t>(ConnectionUse::kDeadLetterQueue)) == 0) {
      return Status(ErrorCode::kInvalidOptions,
                    "dlq.connectionName must name a connection of type Cluster");
    }
  }
  if (!options.tier.empty()) MR_RETURN_IF_ERROR(check_tier(options.tier));
  return {};
}

Status ProcessorManager::create(const CreateOptions& options) {
  MR_RETURN_IF_ERROR(check_processor_name(options.name));
  {
    std::lock_guard lock(mutex_);
    if (entries_.contains(options.name)) {
      return Status(ErrorCode::kCommandFailed, "stream processor already exists: " + options.name);
    }
  }
  MR_RETURN_IF_ERROR(check(options, true));
  auto entry = std::make_shared<Entry>();
  ProcessorDefinition& d = entry->definition;
  d.id = ObjectId::generate().to_hex();
  d.name = options.name;
  d.pipeline = options.pipeline;
  d.dlq = options.dlq;
  d.stream_meta_field = options.stream_meta_field;
  d.tier = options.tier;
  d.autoscaling = options.autoscaling;
  d.failover = options.failover;
  d.last_modified_ms = d.last_state_change_ms = environment_.clock->now_ms();
  {
    std::lock_guard lock(mutex_);
    d.created_sequence = ++sequence_;
    if (!entries_.emplace(options.name, entry).second) {
      return Status(ErrorCode::kCommandFailed, "stream processor already exists: " + options.name);
    }
  }
  if (Status status = persist(*entry); !status.ok()) {
    std::lock_guard lock(mutex_);
    entries_.erase(options.name);
    return status;
  }
  return {};
}

Status ProcessorManager::persist(const Entry& entry) {
  if (entry.temporary) return {};
  Document record;
  {
    std::lock_guard view(entry.view);
    record = entry.definition.encode();
  }
  return environment_.store->write([&](storage::WriteTransaction& txn) {
    return storage::Processors::put(txn, entry.definition.name, record.bytes());
  });
}

void ProcessorManager::persist_counters(const Entry& entry) {
  if (entry.temporary) return;
  Snapshot snapshot = snapshot_locked(entry);
  // Counters are for the eye: when they cannot be written, the next time will do, and the
  // processor's own writes report the cause.
  (void)environment_.store->write([&](storage::WriteTransaction& txn) {
    return storage::Stats::put(txn, snapshot.definition.name, snapshot.counters.encode().bytes());
  });
}

Status ProcessorManager::start(std::string_view name, const StartOptions& options) {
  MR_ASSIGN_OR_RETURN(EntryPtr entry, find(name));
  std::lock_guard lock(entry->mutex);
  if (entry->dropped) return missing(name);
  if (entry->run != nullptr && !entry->run->ended()) {
    return Status(ErrorCode::kCommandFailed,
                  "stream processor is already started: " + std::string(name));
  }
  if (!options.tier.empty()) {
    MR_RETURN_IF_ERROR(check_tier(options.tier));
    if (tier_rank(options.tier) > tier_rank(environment_.workspace.max_tier)) {
      return Status(ErrorCode::kInvalidOptions, "tier " + options.tier +
                                                    " is above the workspace's maximum tier " +
                                                    environment_.workspace.max_tier);
    }
  }
  entry->start_wanted = false;
  return start_locked(*entry, options);
}

Status ProcessorManager::start_locked(Entry& entry, const StartOptions& options) {
  end_run_locked(entry, false);
  int64_t now = environment_.clock->now_ms();
  ProcessorDefinition before;
  {
    std::lock_guard view(entry.view);
    before = entry.definition;
    entry.definition.state = ProcessorState::kProvisioning;
    if (!options.tier.empty()) entry.definition.tier = options.tier;
    if (options.autoscaling) entry.definition.autoscaling = *options.autoscaling;
    if (options.workers > 0) entry.definition.workers = options.workers;
  }
  bool expired =
      entry.definition.stopped_ms > 0 && now - entry.definition.stopped_ms > kStateExpiryMs;
  bool resume = options.resume && options.start_position.view().empty() && !expired;
  if (!resume && !entry.temporary) {
    (void)environment_.store->write([&](storage::WriteTransaction& txn) -> Status {
      auto erased = storage::erase_checkpoints(txn, entry.definition.id);
      return erased.ok() ? Status() : erased.status();
    });
  }
  RunOptions run_options;
  run_options.definition = entry.definition;
  run_options.temporary = entry.temporary;
  run_options.resume = resume;
  run_options.start_position = options.start_position;
  // After 45 days a processor begins as if it had never run.
  if (!expired) run_options.counters = entry.base;
  auto run = ProcessorRun::start(std::move(run_options),
                                 run_environment(entry.definition, entry.temporary));
  {
    std::lock_guard view(entry.view);
    if (!run.ok()) {  // nothing of what the start asked for is kept
      entry.definition = before;
      entry.definition.last_state_change_ms = now;
      if (before.state == ProcessorState::kProvisioning)
        entry.definition.state = ProcessorState::kStopped;
      return failed_start(run.status());
    }
    entry.definition.last_state_change_ms = now;
    entry.run = std::shared_ptr<ProcessorRun>(std::move(*run));
    entry.base = entry.run->base_counters();
    entry.definition.state = ProcessorState::kStarted;
    entry.definition.has_started = true;
    entry.definition.error = {};
    entry.definition.error_retryable = false;
    entry.definition.stopped_ms = 0;
    entry.counters_saved_ns = entry.started_ns = environment_.clock->monotonic_ns();
  }
  spdlog::info("stream processor {} started{}", entry.definition.name, resume ? "" : " afresh");
  return persist(entry);
}

// Stops the run, if there is one, and takes over its figures. The definition's state is the
// caller's business.
void ProcessorManager::end_run_locked(Entry& entry, bool checkpoint) {
  std::shared_ptr<ProcessorRun> run;
  {
    std::lock_guard view(entry.view);
    run = entry.run;
  }
  if (run == nullptr) return;
  run->stop(checkpoint);
  RunStats stats = run->stats();
  BsonWriter source;
  source.begin_document();
  run->add_source_stats(stats, source);
  source.end();
  {
    std::lock_guard view(entry.view);
    entry.base.add(stats.pipeline, stats.dlq_bytes);
    stats.pipeline = {};
    stats.dlq_bytes = 0;
    entry.last_run = std::move(stats);
    entry.last_source_stats = Document(source.bytes());
    entry.run.reset();
  }
  persist_counters(entry);
}

Status ProcessorManager::stop(std::string_view name, bool force) {
  MR_ASSIGN_OR_RETURN(EntryPtr entry, find(name));
  std::lock_guard lock(entry->mutex);
  if (entry->dropped) return missing(name);
  ProcessorState state = entry->definition.state;
  if (state != ProcessorState::kStarted && state != ProcessorState::kFailed) {
    return Status(ErrorCode::kCommandFailed,
                  "stream processor is not started: " + std::string(name));
  }
  entry->start_wanted = false;
  end_run_locked(*entry, !force && state == ProcessorState::kStarted);
  {
    std::lock_guard view(entry->view);
    entry->definition.state = ProcessorState::kStopped;
    entry->definition.last_state_change_ms = entry->definition.stopped_ms =
        environment_.clock->now_ms();
  }
  spdlog::info("stream processor {} stopped", entry->definition.name);
  return persist(*entry);
}

Status ProcessorManager::modify(std::string_view name, const ModifyOptions& options) {
  MR_ASSIGN_OR_RETURN(EntryPtr entry, find(name));
  std::lock_guard lock(entry->mutex);
  if (entry->dropped) return missing(name);
  if (entry->definition.state == ProcessorState::kStarted ||
      entry->definition.state == ProcessorState::kProvisioning) {
    return Status(ErrorCode::kCommandFailed,
                  "stream processor must be stopped before it is modified: " + std::string(name));
  }
  ProcessorDefinition changed = entry->definition;
  if (options.pipeline) changed.pipeline = *options.pipeline;
  if (options.dlq) changed.dlq = *options.dlq;
  if (options.tier) changed.tier = *options.tier;
  if (options.autoscaling) changed.autoscaling = *options.autoscaling;
  if (options.name && *options.name != changed.name) {
    MR_RETURN_IF_ERROR(check_processor_name(*options.name));
    changed.name = *options.name;
  }
  CreateOptions as_created{
      changed.name, changed.pipeline,    changed.dlq,     changed.stream_meta_field,
      changed.tier, changed.autoscaling, changed.failover};
  MR_RETURN_IF_ERROR(check(as_created, true));
  if (options.pipeline) {
    // One that never ran has no saved state that the change must fit.
    if (options.resume && entry->definition.has_started)
      MR_RETURN_IF_ERROR(check_modification(entry->definition, changed));
    ++changed.pipeline_version;
  }
  changed.last_modified_ms = environment_.clock->now_ms();
  if (changed.state == ProcessorState::kFailed) changed.state = ProcessorState::kStopped;
  std::string old_name = entry->definition.name;
  if (changed.name != old_name) {
    std::lock_guard all(mutex_);
    if (entries_.contains(changed.name)) {
      return Status(ErrorCode::kCommandFailed, "stream processor already exists: " + changed.name);
    }
    entries_.erase(old_name);
    entries_.emplace(changed.name, entry);
  }
  {
    std::lock_guard view(entry->view);
    entry->definition = changed;
  }
  Snapshot snapshot = snapshot_locked(*entry);
  return environment_.store->write([&](storage::WriteTransaction& txn) -> Status {
    if (changed.name != old_name) {
      auto erased = storage::Processors::erase(txn, old_name);
      if (!erased.ok()) return erased.status();
      erased = storage::Stats::erase(txn, old_name);
      if (!erased.ok()) return erased.status();
      MR_RETURN_IF_ERROR(
          storage::Stats::put(txn, changed.name, snapshot.counters.encode().bytes()));
    }
    if (!options.resume) {
      auto erased = storage::erase_checkpoints(txn, changed.id);
      if (!erased.ok()) return erased.status();
    }
    return storage::Processors::put(txn, changed.name, changed.encode().bytes());
  });
}

Status ProcessorManager::drop(std::string_view name) {
  MR_ASSIGN_OR_RETURN(EntryPtr entry, find(name));
  if (entry->temporary) {  // the shell waits for the answer: the run ends in the background
    std::shared_ptr<ProcessorRun> run;
    {
      std::lock_guard view(entry->view);
      run = entry->run;
    }
    if (entry->cursor != nullptr) entry->cursor->end();
    if (run != nullptr) run->request_stop();
    remove_temporary(entry);
    return {};
  }
  std::lock_guard lock(entry->mutex);
  if (entry->dropped) return missing(name);
  end_run_locked(*entry, false);
  Status status = environment_.store->write([&](storage::WriteTransaction& txn) -> Status {
    auto erased = storage::Processors::erase(txn, entry->definition.name);
    if (erased.ok()) erased = storage::Stats::erase(txn, entry->definition.name);
    if (erased.ok()) erased = storage::erase_checkpoints(txn, entry->definition.id);
    return erased.ok() ? Status() : erased.status();
  });
  if (!status.ok()) return status;
  entry->dropped = true;
  std::lock_guard all(mutex_);
  entries_.erase(entry->definition.name);
  return {};
}

ProcessorManager::Snapshot ProcessorManager::snapshot_locked(const Entry& entry) const {
  std::shared_ptr<ProcessorRun> run;
  Snapshot snapshot;
  {
    std::lock_guard view(entry.view);
    snapshot.definition = entry.definition;
    snapshot.counters = entry.base;
    snapshot.run = entry.last_run;
    snapshot.source_stats = entry.last_source_stats;
    snapshot.temporary = entry.temporary;
    run = entry.run;
  }
  if (run != nullptr) {
    snapshot.run = run->stats();
    snapshot.counters.add(snapshot.run->pipeline, snapshot.run->dlq_bytes);
    BsonWriter source;
    source.begin_document();
    run->add_source_stats(*snapshot.run, source);
    source.end();
    snapshot.source_stats = Document(source.bytes());
  }
  return snapshot;
}

Result<ProcessorManager::Snapshot> ProcessorManager::get(std::string_view name) {
  MR_ASSIGN_OR_RETURN(EntryPtr entry, find(name));
  Snapshot snapshot = snapshot_locked(*entry);
  const ProcessorDefinition& definition = snapshot.definition;
  if (snapshot.source_stats.view().empty() && definition.has_started && !snapshot.temporary) {
    // It ran before the server was restarted, and not since.
    PipelineSpec spec;
    spec.pipeline = definition.pipeline;
    spec.processor_id = definition.id;
    snapshot.source_stats = stored_source_stats(spec, pipeline_environment(), *environment_.store);
  }
  return snapshot;
}

std::vector<ProcessorManager::Snapshot> ProcessorManager::list() {
  std::vector<EntryPtr> entries;
  {
    std::lock_guard lock(mutex_);
    for (auto& [name, entry] : entries_) entries.push_back(entry);
  }
  std::vector<Snapshot> snapshots;
  for (const EntryPtr& entry : entries) snapshots.push_back(snapshot_locked(*entry));
  std::sort(snapshots.begin(), snapshots.end(), [](const Snapshot& a, const Snapshot& b) {
    return a.definition.created_sequence < b.definition.created_sequence;
  });
  return snapshots;
}

std::vector<std::string> ProcessorManager::users_of(std::string_view connection) {
  std::vector<std::string> users;
  for (const Snapshot& snapshot : list()) {
    if (snapshot.definition.state != ProcessorState::kStarted) continue;
    auto uses = [&](auto&& self, const Value& value) -> bool {
      if (value.is_array()) {
        for (const Value& element : value.as_array()) {
          if (self(self, element)) return true;
        }
      }
      if (value.is_object()) {
        for (const Field& field : value.as_object()) {
          if (field.name() == "connectionName" && field.value.is_string() &&
              field.value.as_string() == connection)
            return true;
          if (self(self, field.value)) return true;
        }
      }
      return false;
    };
    if (snapshot.definition.dlq.connection == connection ||
        uses(uses, snapshot.definition.pipeline.value())) {
      users.push_back(snapshot.definition.name);
    }
  }
  return users;
}

}  // namespace millrace::engine
