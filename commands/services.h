// What the handlers share: one struct of pointers and settings, put together by wire/application.cc
// and alive as long as any handler runs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/value.h"

namespace millrace::engine {
class ConnectionRegistry;
class ProcessorManager;
}  // namespace millrace::engine

namespace millrace::commands {

struct Client;
class LocalDatabase;

// The MongoDB version that clients are told: they choose their behaviour by it. 8.0 belongs to wire
// version 25; Compass warns of the end of life below 7.0 (clients-wire.md section 2.2).
inline constexpr std::string_view kMongoVersion = "8.0.13";
inline constexpr int32_t kMongoVersionArray[] = {8, 0, 13, 0};
inline constexpr std::string_view kFeatureCompatibilityVersion = "8.0";
inline constexpr int32_t kMinWireVersion = 0;
inline constexpr int32_t kMaxWireVersion = 25;
inline constexpr int32_t kSessionTimeoutMinutes = 30;
inline constexpr int32_t kMaxWriteBatchSize = 100'000;
inline constexpr int32_t kMaxMessageBytes = 48'000'000;

// What was asked for on the command line or in the configuration file. Constant once the server
// runs.
struct Settings {
  std::string version;  // of Millrace
  std::string bind = "127.0.0.1";
  uint16_t port = 27030;  // 0: the system chooses
  std::string data_dir = "./millrace-data";
  std::string connections_file;  // "" = none
  std::string log_level = "info";
  bool demo = true;
  std::string stream_metadata = "auto";  // auto, always, never
  int64_t checkpoint_interval_ms = 10'000;
  int64_t memory_limit_mb = 1024;  // per processor
  bool enforce_tier_limits = false;
  bool allow_remote = false;
  std::vector<std::string> command_line;  // argv
};

// Counted by the wire layer and by the dispatcher, shown by serverStatus. Any thread.
struct Counters {
  std::atomic<int64_t> connections_current{0};
  std::atomic<int64_t> connections_created{0};
  std::atomic<int64_t> bytes_in{0};
  std::atomic<int64_t> bytes_out{0};
  std::atomic<int64_t> requests{0};
  std::atomic<int64_t> inserts{0};
  std::atomic<int64_t> queries{0};
  std::atomic<int64_t> updates{0};
  std::atomic<int64_t> deletes{0};
  std::atomic<int64_t> get_mores{0};
  std::atomic<int64_t> commands{0};
  std::atomic<int64_t> active{0};  // handlers that run right now
};

struct Services {
  Settings settings;
  engine::ProcessorManager* processors = nullptr;
  engine::ConnectionRegistry* connections = nullptr;
  LocalDatabase* database = nullptr;
  Counters counters;
  engine::ObjectId process_id =
      engine::ObjectId::generate();  // hello's topologyVersion: new at each start
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  // What the wire layer can decompress, for hello; in no particular order.
  std::vector<std::string_view> compressors;
  // The newest log lines in MongoDB's structured form (JSON), oldest first, for getLog. `total` is
  // set to the number of lines ever logged.
  std::function<std::vector<std::string>(int64_t* total)> recent_log;
  // Lines of the same form that a user should read at start; mongosh shows them as a box.
  std::vector<std::string> startup_warnings;

  // Filled before the server accepts connections, then constant; called on worker threads, several
  // at once. The 16 bytes of each logical session (lsid) that a client ended or killed: cursors of
  // these sessions go.
  std::vector<std::function<void(const std::vector<std::string>& session_ids)>> on_sessions_ended;
  // The client's connection is gone and no handler runs for it any more.
  std::vector<std::function<void(Client& client)>> on_client_gone;
  // SIGHUP.
  std::vector<std::function<void()>> on_reload;
};

}  // namespace millrace::commands
