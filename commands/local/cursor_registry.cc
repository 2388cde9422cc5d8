#include "commands/local/cursor_registry.h"

#include <openssl/rand.h>

#include <algorithm>

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;

namespace {

constexpr int kCursorInUse = 12051;

int64_t random_id() {
  int64_t id = 0;
  while (id <= 0) {
    RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id);
    id &= INT64_MAX;
  }
  return id;
}

Status not_found(int64_t id) {
  return Status(ErrorCode::kCursorNotFound, "cursor id " + std::to_string(id) + " not found");
}

}  // namespace

int64_t CursorRegistry::add(std::unique_ptr<LocalCursor> cursor, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  int64_t id = random_id();
  while (slots_.contains(id)) id = random_id();
  cursor->id = id;
  cursor->last_used_ns = now_ns;
  Slot slot{nullptr, cursor->ns, cursor->session, false};
  slot.cursor = std::move(cursor);
  slots_.emplace(id, std::move(slot));
  return id;
}

Result<std::unique_ptr<LocalCursor>> CursorRegistry::take(int64_t id, std::string_view ns,
                                                          std::string_view session) {
  std::lock_guard lock(mutex_);
  auto at = slots_.find(id);
  if (at == slots_.end() || at->second.killed) return not_found(id);
  Slot& slot = at->second;
  if (slot.ns != ns) {
    return Status(ErrorCode::kUnauthorized, "Requested getMore on namespace '" + std::string(ns) +
                                                "', but cursor belongs to a different namespace " +
                                                slot.ns);
  }
  if (slot.session != session) {
    return Status(ErrorCode::kUnauthorized, "Cannot run getMore on cursor " + std::to_string(id) +
                                                ", which was created in another session");
  }
  if (slot.cursor == nullptr)
    return Status(kCursorInUse, "cursor id " + std::to_string(id) + " is already in use");
  return std::move(slot.cursor);
}

bool CursorRegistry::give_back(std::unique_ptr<LocalCursor> cursor, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  auto at = slots_.find(cursor->id);
  if (at == slots_.end()) return false;
  if (at->second.killed) {
    slots_.erase(at);
    return false;
  }
  cursor->last_used_ns = now_ns;
  at->second.cursor = std::move(cursor);
  return true;
}

void CursorRegistry::forget(int64_t id) {
  std::lock_guard lock(mutex_);
  slots_.erase(id);
}

bool CursorRegistry::kill(int64_t id, std::string_view ns) {
  std::lock_guard lock(mutex_);
  auto at = slots_.find(id);
  if (at == slots_.end() || at->second.killed || at->second.ns != ns) return false;
  if (at->second.cursor == nullptr) {
    at->second.killed = true;
  } else {
    slots_.erase(at);
  }
  return true;
}

void CursorRegistry::kill_sessions(const std::vector<std::string>& sessions) {
  std::lock_guard lock(mutex_);
  for (auto at = slots_.begin(); at != slots_.end();) {
    bool ended = !at->second.session.empty() &&
                 std::find(sessions.begin(), sessions.end(), at->second.session) != sessions.end();
    if (ended && at->second.cursor == nullptr) at->second.killed = true;
    at = ended && at->second.cursor != nullptr ? slots_.erase(at) : std::next(at);
  }
}

void CursorRegistry::kill_idle(int64_t now_ns) {
  std::lock_guard lock(mutex_);
  for (auto at = slots_.begin(); at != slots_.end();) {
    const auto& cursor = at->second.cursor;
    bool idle = cursor != nullptr && !cursor->no_timeout &&
                now_ns - cursor->last_used_ns > idle_timeout_.count();
    at = idle ? slots_.erase(at) : std::next(at);
  }
}

size_t CursorRegistry::count() const {
  std::lock_guard lock(mutex_);
  return slots_.size();
}

}  // namespace millrace::commands
