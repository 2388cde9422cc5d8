// ProcessorManager's temporary processors (sp.process()) and the sample cursors of all.
#include "engine/runtime/processor_manager.h"

#include <algorithm>
#include <random>

#include "engine/runtime/processor_entry.h"

namespace millrace::engine {
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
  if (!run.ok()) return failed_start(run.status());
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

}  // namespace millrace::engine
