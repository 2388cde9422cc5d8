// Open cursors of the local database. A cursor keeps a position or a result, never a transaction of
// the store.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/document/bson.h"
#include "storage/store.h"

namespace millrace::commands {

// Documents on their way to a client, made a few at a time.
class DocumentStream {
 public:
  virtual ~DocumentStream() = default;
  // Appends further documents (BSON) to `out`, about as many as `wanted`; none at all only when it
  // has ended, or, tailable, when there are none now.
  virtual engine::Status next(storage::Store& store, size_t wanted,
                              std::deque<std::string>& out) = 0;
  virtual bool ended() const = 0;
};

// Used by one request at a time.
struct LocalCursor {
  int64_t id = 0;
  std::string ns;
  std::string session;  // lsid's 16 bytes; empty: none
  std::unique_ptr<DocumentStream> stream;
  std::deque<std::string> pending;  // made, not yet sent
  bool no_timeout = false;
  bool tailable = false;
  bool await_data = false;
  int64_t last_used_ns = 0;
};

class CursorRegistry {
 public:
  explicit CursorRegistry(std::chrono::nanoseconds idle_timeout = std::chrono::minutes(10))
      : idle_timeout_(idle_timeout) {}

  // Gives it an id.
  int64_t add(std::unique_ptr<LocalCursor> cursor, int64_t now_ns);
  // Takes it out to be used; give_back() or let it die. Errors: 43 CursorNotFound; 13 Unauthorized
  // when it belongs to another namespace or session; 12051 CursorInUse.
  engine::Result<std::unique_ptr<LocalCursor>> take(int64_t id, std::string_view ns,
                                                    std::string_view session);
  // False when it was killed meanwhile.
  bool give_back(std::unique_ptr<LocalCursor> cursor, int64_t now_ns);
  // A taken cursor that ended.
  void forget(int64_t id);

  // True if there was one.
  bool kill(int64_t id, std::string_view ns);
  void kill_sessions(const std::vector<std::string>& sessions);
  void kill_idle(int64_t now_ns);
  size_t count() const;

 private:
  struct Slot {
    std::unique_ptr<LocalCursor> cursor;  // null while it is in use
    std::string ns;
    std::string session;
    bool killed = false;
  };
  const std::chrono::nanoseconds idle_timeout_;
  mutable std::mutex mutex_;
  std::unordered_map<int64_t, Slot> slots_;
};

}  // namespace millrace::commands
