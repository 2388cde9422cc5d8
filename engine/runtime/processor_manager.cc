#include "engine/runtime/processor_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

#include "engine/runtime/modification.h"
#include "storage/checkpoints.h"
#include "storage/processors.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kTemporaryIdleNs = 60 * kSecondNs;   // process() without a getMore
constexpr int64_t kTemporaryLifeNs = 600 * kSecondNs;  // "process: 10 min"
constexpr int64_t kSampleIdleNs = 600 * kSecondNs;
constexpr int64_t kStateExpiryMs = int64_t{45} * 86'400'000;  // saved state after a stop
constexpr int64_t kCountersIntervalNs = 10 * kSecondNs;

Status missing(std::string_view name) {
  return Status(ErrorCode::kCommandFailed, "stream processor doesn't exist: " + std::string(name));
}

}  // namespace

// One processor. `mutex` serialises what is done to it and is held while it starts and stops;
// `view` guards what others read meanwhile.
struct ProcessorManager::Entry {
  std::mutex mutex;

  mutable std::mutex view;
  ProcessorDefinition definition;
  ProcessorCounters base;             // of the runs before the current one
  std::shared_ptr<ProcessorRun> run;  // null when it does not run
  std::optional<RunStats> last_run;
  Document last_source_stats;
  bool temporary = false;
  bool start_wanted = false;  // after a restart of the server
  int start_attempts = 0;
  int64_t next_attempt_ns = 0;
  bool dropped = false;

  // Of a temporary one.
  TemporaryOwner owner;
  int64_t started_ns = 0;
  SampleCursorPtr cursor;
  int64_t counters_saved_ns = 0;
};

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

Status ProcessorManager::load(std::vector<std::string>* damaged) {
  storage::NamedDocumentList definitions;
  storage::NamedDocumentList counters;
  {
    MR_ASSIGN_OR_RETURN(auto txn, environment_.store->read());
    MR_ASSIGN_OR_RETURN(definitions, storage::Processors::list(*txn));
    MR_ASSIGN_OR_RETURN(counters, storage::Stats::list(*txn));
  }
  for (const Status& status : definitions.damaged) damaged->push_back(status.message());
  std::lock_guard lock(mutex_);
  for (const auto& [name, document] : definitions.documents) {
    auto definition = ProcessorDefinition::decode(document.value());
    if (!definition.ok()) {
      damaged->push_back(definition.status().message());
      continue;
    }
    auto entry = std::make_shared<Entry>();
    entry->definition = std::move(*definition);
    entry->start_wanted = entry->definition.state == ProcessorState::kStarted;
    sequence_ = std::max(sequence_, entry->definition.created_sequence);
    for (const auto& saved : counters.documents) {
      if (saved.name == name) entry->base = ProcessorCounters::decode(saved.document.value());
    }
    entries_.emplace(name, std::move(entry));
  }
  wake_.notify_all();
  return {};
}

void ProcessorManager::stop_all() {
  std::vector<EntryPtr> running;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    for (auto& [name, entry] : entries_) running.push_back(entry);
    wake_.notify_all();
  }
  supervisor_.join();
  for (const EntryPtr& entry : running) {
    std::shared_ptr<ProcessorRun> run;
    {
      std::lock_guard view(entry->view);
      run = entry->run;
    }
    if (run != nullptr && entry->temporary) run->request_stop();
  }
  std::vector<std::thread> stops;
  for (const EntryPtr& entry : running) {
    stops.emplace_back([this, entry] {
      std::lock_guard lock(entry->mutex);
      end_run_locked(*entry, !entry->temporary);
    });
  }
  for (std::thread& stop : stops) stop.join();
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
  ProcessorState before;
  {
    std::lock_guard view(entry.view);
    before = entry.definition.state;
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
    entry.definition.last_state_change_ms = now;
    if (!run.ok()) {
      entry.definition.state =
          before == ProcessorState::kProvisioning ? ProcessorState::kStopped : before;
      return Status(run.status().code(), "Failed to start stream processor: (" +
                                             code_name(run.status().code()) + ") " +
                                             run.status().message());
    }
    entry.run = std::shared_ptr<ProcessorRun>(std::move(*run));
    entry.base = entry.run->base_counters();
    entry.definition.state = ProcessorState::kStarted;
    entry.definition.has_started = true;
    entry.definition.error = {};
    entry.definition.error_retryable = false;
    entry.definition.stopped_ms = 0;
    entry.counters_saved_ns = environment_.clock->monotonic_ns();
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
    if (options.resume) MR_RETURN_IF_ERROR(check_modification(entry->definition, changed));
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
  return snapshot_locked(*entry);
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

int64_t ProcessorManager::next_cursor_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return static_cast<int64_t>(random() >> 2) | 1;  // positive, never 0
}

Result<SampleCursorPtr> ProcessorManager::start_sample(std::string_view name, int64_t limit) {
  MR_ASSIGN_OR_RETURN(EntryPtr entry, find(name));
  std::shared_ptr<ProcessorRun> run;
  {
    std::lock_guard view(entry->view);
    run = entry->run;
  }
  if (run == nullptr || run->ended()) {
    return Status(ErrorCode::kCommandFailed,
                  "stream processor is not started: " + std::string(name));
  }
  auto cursor = std::make_shared<SampleCursor>(next_cursor_id(), std::string(name), limit,
                                               SampleCursor::Loss::kDropWhenFull,
                                               environment_.clock->monotonic_ns());
  run->add_sample(cursor);
  std::lock_guard lock(mutex_);
  cursors_.emplace(cursor->id(), cursor);
  return cursor;
}

Result<SampleCursorPtr> ProcessorManager::process(const CreateOptions& options, int64_t limit,
                                                  const TemporaryOwner& owner) {
  MR_RETURN_IF_ERROR(check(options, false));
  auto entry = std::make_shared<Entry>();
  entry->temporary = true;
  entry->owner = owner;
  ProcessorDefinition& d = entry->definition;
  d.id = ObjectId::generate().to_hex();
  d.name = "interactive_run_" + d.id;
  d.pipeline = options.pipeline;
  d.dlq = options.dlq;
  d.stream_meta_field = options.stream_meta_field;
  d.tier = options.tier;
  d.last_modified_ms = d.last_state_change_ms = environment_.clock->now_ms();
  entry->started_ns = environment_.clock->monotonic_ns();
  entry->cursor = std::make_shared<SampleCursor>(
      next_cursor_id(), d.name, limit, SampleCursor::Loss::kWaitWhenFull, entry->started_ns);
  {
    std::lock_guard lock(mutex_);
    if (temporary_count_ >= static_cast<int64_t>(environment_.workspace.max_temporary)) {
      return Status(ErrorCode::kCommandFailed,
                    "too many interactive runs at once (limit " +
                        std::to_string(environment_.workspace.max_temporary) + ")");
    }
    ++temporary_count_;
    d.created_sequence = ++sequence_;
    entries_.emplace(d.name, entry);
    cursors_.emplace(entry->cursor->id(), entry->cursor);
  }
  std::lock_guard lock(entry->mutex);
  if (Status status = start_temporary(*entry); !status.ok()) {
    remove_temporary(entry);
    return status;
  }
  return entry->cursor;
}

Status ProcessorManager::start_temporary(Entry& entry) {
  RunOptions run_options;
  run_options.definition = entry.definition;
  run_options.temporary = true;
  run_options.resume = false;
  run_options.cursor = entry.cursor;
  auto run = ProcessorRun::start(std::move(run_options), run_environment(entry.definition, true));
  if (!run.ok())
    return Status(run.status().code(), "Failed to start stream processor: (" +
                                           code_name(run.status().code()) + ") " +
                                           run.status().message());
  std::lock_guard view(entry.view);
  entry.run = std::shared_ptr<ProcessorRun>(std::move(*run));
  entry.definition.state = ProcessorState::kStarted;
  entry.definition.has_started = true;
  return {};
}

// Takes a temporary processor out of sight; its run is stopped and freed by the supervisor.
void ProcessorManager::remove_temporary(const EntryPtr& entry) {
  std::lock_guard lock(mutex_);
  if (entries_.erase(entry->definition.name) == 0) return;
  --temporary_count_;
  cursors_.erase(entry->cursor->id());
  leaving_.push_back(entry);
  wake_.notify_all();
}

Result<SampleCursorPtr> ProcessorManager::find_cursor(std::string_view name, int64_t id,
                                                      const TemporaryOwner& owner) {
  std::lock_guard lock(mutex_);
  auto found = cursors_.find(id);
  if (found == cursors_.end() || found->second->processor() != name) {
    return Status(ErrorCode::kCursorNotFound, "cursor id " + std::to_string(id) + " not found");
  }
  auto entry = entries_.find(name);
  if (entry != entries_.end() && entry->second->temporary) entry->second->owner = owner;
  return found->second;
}

void ProcessorManager::sessions_ended(const std::vector<std::string>& session_ids) {
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    for (auto& [name, entry] : entries_) {
      if (entry->temporary && !entry->owner.session_id.empty() &&
          std::find(session_ids.begin(), session_ids.end(), entry->owner.session_id) !=
              session_ids.end()) {
        names.push_back(name);
      }
    }
  }
  for (const std::string& name : names) (void)drop(name);  // gone already: nothing to do
}

void ProcessorManager::connection_gone(int64_t connection_id) {
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    for (auto& [name, entry] : entries_) {
      if (entry->temporary && entry->owner.connection_id == connection_id) names.push_back(name);
    }
  }
  for (const std::string& name : names) (void)drop(name);  // gone already: nothing to do
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

void ProcessorManager::supervise() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, std::chrono::milliseconds(50));
    if (stopping_) break;
    std::vector<EntryPtr> entries;
    for (auto& [name, entry] : entries_) entries.push_back(entry);
    std::vector<EntryPtr> leaving = std::move(leaving_);
    leaving_.clear();
    lock.unlock();
    for (const EntryPtr& entry : leaving) {
      std::lock_guard own(entry->mutex);
      end_run_locked(*entry, false);
    }
    for (const EntryPtr& entry : entries) supervise_entry(entry);
    expire_cursors();
    lock.lock();
  }
  for (const EntryPtr& entry : leaving_)
    entries_.emplace(entry->definition.name, entry);  // stop_all ends them
  leaving_.clear();
}

void ProcessorManager::supervise_entry(const EntryPtr& entry) {
  std::unique_lock own(entry->mutex, std::try_to_lock);
  if (!own || entry->dropped) return;
  int64_t now_ns = environment_.clock->monotonic_ns();
  if (entry->temporary) {
    bool idle =
        entry->cursor->delivered() || now_ns - entry->cursor->last_used_ns() > kTemporaryIdleNs;
    if (idle || now_ns - entry->started_ns > kTemporaryLifeNs) {
      // At the end of its life the cursor says so at the next getMore, and the processor goes then.
      entry->cursor->end();
      own.unlock();
      if (idle) remove_temporary(entry);
    }
    return;
  }
  if (entry->start_wanted && now_ns >= entry->next_attempt_ns)
    return restart_after_boot(*entry, now_ns);
  if (entry->run == nullptr) return;
  if (entry->run->ended()) {
    Status failure = entry->run->failure();
    end_run_locked(*entry, false);
    {
      std::lock_guard view(entry->view);
      entry->definition.state = ProcessorState::kFailed;
      entry->definition.error =
          failure.ok() ? Status(ErrorCode::kInternalError, "the processor ended unexpectedly")
                       : failure;
      entry->definition.error_retryable =
          !failure.is(ErrorCode::kStreamProcessorWorkerOutOfMemory) &&
          !failure.is(ErrorCode::kStreamProcessorInvalidOptions);
      entry->definition.last_state_change_ms = entry->definition.stopped_ms =
          environment_.clock->now_ms();
      spdlog::error("stream processor {} failed: ({}) {}", entry->definition.name,
                    code_name(entry->definition.error.code()), entry->definition.error.message());
    }
    // The store may be what failed: the state is in memory all the same, and is written again at
    // the next change.
    (void)persist(*entry);
  } else if (now_ns - entry->counters_saved_ns > kCountersIntervalNs) {
    entry->counters_saved_ns = now_ns;
    persist_counters(*entry);
  }
}

// A processor that ran when the server went down. What it needs may not be up yet: a few attempts,
// then FAILED.
void ProcessorManager::restart_after_boot(Entry& entry, int64_t now_ns) {
  Status status = start_locked(entry, {});
  if (status.ok()) {
    entry.start_wanted = false;
    return;
  }
  ++entry.start_attempts;
  entry.next_attempt_ns =
      now_ns + std::min<int64_t>(10, int64_t{1} << std::min(entry.start_attempts, 4)) * kSecondNs;
  std::lock_guard view(entry.view);
  entry.definition.error = status;
  if (entry.start_attempts < environment_.run.retry_attempts &&
      !status.is(ErrorCode::kStreamProcessorInvalidOptions)) {
    entry.definition.state = ProcessorState::kStarted;  // as it was: it is being brought up
    return;
  }
  entry.start_wanted = false;
  entry.definition.state = ProcessorState::kFailed;
  entry.definition.last_state_change_ms = environment_.clock->now_ms();
}

void ProcessorManager::expire_cursors() {
  int64_t now_ns = environment_.clock->monotonic_ns();
  std::vector<SampleCursorPtr> expired;
  {
    std::lock_guard lock(mutex_);
    for (auto it = cursors_.begin(); it != cursors_.end();) {
      bool of_temporary = false;
      if (auto entry = entries_.find(it->second->processor()); entry != entries_.end())
        of_temporary = entry->second->temporary;
      if (!of_temporary && now_ns - it->second->last_used_ns() > kSampleIdleNs) {
        expired.push_back(it->second);
        it = cursors_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (const SampleCursorPtr& cursor : expired) cursor->end();
}

}  // namespace millrace::engine
