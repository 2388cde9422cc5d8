// ProcessorManager's supervisor: processors that run when the server starts, that fail, that go by
// themselves; and the end of all.
#include "engine/runtime/processor_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "engine/runtime/processor_entry.h"
#include "storage/processors.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kTemporaryIdleNs = 60 * kSecondNs;   // process() without a getMore
constexpr int64_t kTemporaryLifeNs = 600 * kSecondNs;  // "process: 10 min"
constexpr int64_t kSampleIdleNs = 600 * kSecondNs;
constexpr int64_t kCountersIntervalNs = 10 * kSecondNs;
constexpr int64_t kLastedNs = 300 * kSecondNs;  // a run that was good for that long begins anew

}  // namespace

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
    if (failure.is(ErrorCode::kInternalError)) return restart_later(*entry, failure, now_ns);
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

// Our own errors are retried for ever, from the last checkpoint, at growing intervals.
void ProcessorManager::restart_later(Entry& entry, const Status& failure, int64_t now_ns) {
  bool lasted = now_ns - entry.started_ns > kLastedNs;
  entry.internal_failures = lasted ? 0 : entry.internal_failures + 1;
  int64_t pause = std::min<int64_t>(60, int64_t{1} << std::min(entry.internal_failures, 6));
  entry.start_wanted = true;
  entry.start_attempts = 0;
  entry.next_attempt_ns = now_ns + pause * kSecondNs;
  spdlog::error("stream processor {} is started again in {} s: {}", entry.definition.name, pause,
                failure.message());
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
  // Neither a wrong definition nor a checkpoint that is lost gets better by waiting.
  bool hopeless = status.is(ErrorCode::kStreamProcessorInvalidOptions) ||
                  status.is(ErrorCode::kDataCorruptionDetected);
  {
    std::lock_guard view(entry.view);
    entry.definition.error = status;
    if (entry.start_attempts < environment_.run.retry_attempts && !hopeless) {
      entry.definition.state = ProcessorState::kStarted;  // as it was: it is being brought up
      return;
    }
    entry.start_wanted = false;
    entry.definition.state = ProcessorState::kFailed;
    entry.definition.error_retryable = !hopeless;
    entry.definition.last_state_change_ms = entry.definition.stopped_ms =
        environment_.clock->now_ms();
  }
  spdlog::error("stream processor {} failed: ({}) {}", entry.definition.name,
                code_name(status.code()), status.message());
  (void)persist(entry);  // what cannot be written now is written at the next change
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
