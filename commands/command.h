// What a command handler gets and what it gives back. The wire layer turns a message into a
// Request, looks the command up in the table (table.h) and runs its handler; commands know nothing
// of bytes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/document/bson.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::commands {

struct Services;  // services.h: the store, the local database, the processors, the connections, the
                  // settings

// One client connection, as far as commands care. Owned by the session; shared with the handlers
// that run for it.
struct Client {
  int64_t connection_id = 0;
  std::string remote_address;       // "127.0.0.1:50122"
  std::atomic<bool> closed{false};  // the socket is gone: a waiting handler gives up
  // The `client` document of the first hello; empty before. Written once, under `mutex`.
  std::mutex mutex;
  engine::Document metadata;
};

struct Request {
  Services& services;
  Client& client;
  // The whole command document, kind-1 sections merged in as arrays. Valid BSON, in memory for as
  // long as the handler runs.
  engine::Value body;
  std::string_view name;      // as the client wrote it (the first key)
  std::string_view database;  // $db
  std::chrono::steady_clock::time_point
      received;  // when the message was complete; the same at each attempt

  // The client allows a stream of replies without further requests (OP_MSG bit 16). A handler that
  // wants one sets `more_to_come`: its reply goes out with that flag, and it is called again with
  // the next `exhaust_round` and a new `received`. Only hello does.
  bool exhaust_allowed = false;
  int exhaust_round = 0;
  bool more_to_come = false;
  // Fields of a failed command's reply beside code and text: keyPattern and keyValue of a duplicate
  // key. Set before the error is returned.
  engine::Document error_details;
  // With kWait: not to be called again before this (default: after a few milliseconds, growing to
  // 25).
  std::chrono::steady_clock::time_point next_attempt{};

  // The value of the first key; missing in an empty body.
  engine::Value argument() const {
    auto fields = body.as_object();
    return fields.empty() ? engine::Value::missing() : fields.begin()->value;
  }
  engine::Value get(std::string_view field) const { return body.as_object().get(field); }
};

enum class Progress {
  kDone,  // the reply's fields are written
  kWait,  // nothing to say yet: what was written is dropped and the handler is called again a few
          // milliseconds later (a waiting getMore)
};

// Writes the fields of a successful reply (without "ok", which the caller adds) into the open
// document `reply`. Runs on a worker thread, or on the I/O thread when the row says kInline;
// several run at once for different connections. Errors: the Status becomes {ok: 0, errmsg, code,
// codeName} in one place (reply.h).
using Handler = engine::Result<Progress> (*)(Request& request, engine::BsonWriter& reply);

enum CommandFlags : uint8_t {
  kAdminOnly = 1,  // on another database: 13 Unauthorized "<name> may only be run against the admin
                   // database."
  kNoLogin = 2,    // allowed before authentication (clients-wire.md section 6)
  kOpQuery = 4,    // may also arrive as OP_QUERY on <db>.$cmd
  kInline = 8,     // never blocks: runs on the I/O thread
  kAnyCase = 16,   // known under this other spelling for old clients; not listed by listCommands
};

struct CommandRow {
  std::string_view name;
  Handler handler;  // nullptr: MongoDB has it, Millrace does not (yet): 115 CommandNotSupported
                    // with the command's name
  std::string_view action;  // privilege action ("" = none needed); stream actions as
                            // commands-lifecycle.md section 15.1 names them
  uint8_t flags;
  std::string_view help;  // one line for listCommands, and the manual page
};

}  // namespace millrace::commands
