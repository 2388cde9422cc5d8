// All stream processors of the workspace: their definitions in the store, their runs, the sample
// cursors. What the stream-processing commands call.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/connection/registry.h"
#include "engine/runtime/definition.h"
#include "engine/runtime/processor_run.h"
#include "engine/runtime/sample.h"

namespace millrace::engine {

struct WorkspaceSettings {
  std::string default_tier = "SP30";
  std::string max_tier = "SP50";
  std::string region = "VIRGINIA_USA";
  bool enforce_tier_limits = false;
  size_t max_temporary = 64;  // sp.process() at the same time
};

struct CreateOptions {
  std::string name;
  Document pipeline;  // {pipeline: [...]}
  DeadLetterOptions dlq;
  std::string stream_meta_field;
  std::string tier;
  Document autoscaling;
  bool failover = false;
};

struct StartOptions {
  bool resume = true;
  Document start_position;  // {startAfter: …} / {startAtOperationTime: …} or {}
  std::string tier;         // "" = unchanged
  std::optional<Document> autoscaling;
  int32_t workers = 0;  // 0 = unchanged
};

struct ModifyOptions {
  std::optional<Document> pipeline;
  std::optional<std::string> name;
  std::optional<DeadLetterOptions> dlq;
  std::optional<std::string> tier;
  std::optional<Document> autoscaling;  // {} resets
  bool resume = true;
};

// Who uses a temporary processor: it goes when its client goes.
struct TemporaryOwner {
  std::string session_id;  // the 16 bytes of the lsid, or ""
  int64_t connection_id = 0;
};

class ProcessorManager {
 public:
  struct Environment {
    storage::Store* store = nullptr;
    ConnectionRegistry* connections = nullptr;
    ClusterConnector* clusters = nullptr;
    const Clock* clock = nullptr;
    RunSettings run;
    WorkspaceSettings workspace;
  };

  explicit ProcessorManager(Environment environment);
  ~ProcessorManager();  // stop_all()

  // Reads the definitions and starts (in the background) what was running. Errors: the store's; a
  // damaged definition is reported in `damaged` and left out.
  Status load(std::vector<std::string>* damaged);
  // Stops every run with a checkpoint, at most about 4 s; their stored state stays STARTED, so that
  // they run again after the next start.
  void stop_all();

  // All from any thread; each may block while a processor starts or stops.
  Status create(const CreateOptions& options);
  Status start(std::string_view name, const StartOptions& options);
  Status stop(std::string_view name, bool force);
  Status modify(std::string_view name, const ModifyOptions& options);
  Status drop(std::string_view name);

  struct Snapshot {
    ProcessorDefinition definition;
    ProcessorCounters counters;
    std::optional<RunStats> run;  // of the current or last run
    Document source_stats;        // fields of the source's own
    bool temporary = false;
  };
  Result<Snapshot> get(std::string_view name);
  // In the order of creation.
  std::vector<Snapshot> list();

  Result<SampleCursorPtr> start_sample(std::string_view name, int64_t limit);
  // Starts a temporary processor at once; its results come through the cursor.
  Result<SampleCursorPtr> process(const CreateOptions& options, int64_t limit,
                                  const TemporaryOwner& owner);
  // 43 CursorNotFound when there is none of that id for that processor. `owner` of a temporary
  // processor's cursor moves along.
  Result<SampleCursorPtr> find_cursor(std::string_view name, int64_t id,
                                      const TemporaryOwner& owner);

  void sessions_ended(const std::vector<std::string>& session_ids);
  void connection_gone(int64_t connection_id);

  const WorkspaceSettings& workspace() const { return environment_.workspace; }
  const std::string& workspace_id() const;
  const std::string& project_id() const;
  // The names of the running processors that use `connection`.
  std::vector<std::string> users_of(std::string_view connection);

 private:
  struct Entry;
  using EntryPtr = std::shared_ptr<Entry>;

  Result<EntryPtr> find(std::string_view name);
  Status start_locked(Entry& entry, const StartOptions& options);
  void end_run_locked(Entry& entry, bool checkpoint);
  Status persist(const Entry& entry);
  void persist_counters(const Entry& entry);
  RunEnvironment run_environment(const ProcessorDefinition& definition, bool temporary) const;
  PipelineEnvironment pipeline_environment() const;
  Status check(const CreateOptions& options, bool needs_sink) const;
  void supervise();
  void supervise_entry(const EntryPtr& entry);
  void restart_after_boot(Entry& entry, int64_t now_ns);
  void restart_later(Entry& entry, const Status& failure, int64_t now_ns);
  Status start_temporary(Entry& entry);
  void expire_cursors();
  void remove_temporary(const EntryPtr& entry);
  Snapshot snapshot_locked(const Entry& entry) const;
  int64_t next_cursor_id();

  Environment environment_;
  mutable std::mutex mutex_;  // guards what follows; never held while a run starts or stops
  std::map<std::string, EntryPtr, std::less<>> entries_;
  std::map<int64_t, SampleCursorPtr> cursors_;
  std::vector<EntryPtr> leaving_;  // dropped temporary ones whose run has still to be stopped
  int64_t sequence_ = 0;
  int64_t temporary_count_ = 0;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread supervisor_;
};

}  // namespace millrace::engine
