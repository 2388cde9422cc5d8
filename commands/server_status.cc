// What monitoring tools poll (mongostat, mongotop, Compass): serverStatus, top, currentOp, killOp,
// connPoolStats. https://www.mongodb.com/docs/manual/reference/command/serverStatus/; fields that
// clients read: clients-wire.md section 7.3.
#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "commands/handlers.h"
#include "commands/local/index_keys.h"
#include "commands/services.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

struct Memory {
  int64_t virtual_mb = 0;
  int64_t resident_mb = 0;
};

Memory process_memory() {
  std::ifstream file("/proc/self/statm");
  int64_t virtual_pages = 0, resident_pages = 0;
  file >> virtual_pages >> resident_pages;
  int64_t page_bytes = sysconf(_SC_PAGESIZE);
  constexpr int64_t kMb = 1024 * 1024;
  return {virtual_pages * page_bytes / kMb, resident_pages * page_bytes / kMb};
}

void append_counters(const Counters& counters, BsonWriter& reply) {
  reply.begin_object("connections");
  reply.append("current", Value::integer(counters.connections_current));
  reply.append("totalCreated", Value::integer(counters.connections_created));
  reply.append("active", Value::integer(counters.active));
  reply.end();
  reply.begin_object("network");
  reply.append("bytesIn", counters.bytes_in.load());
  reply.append("bytesOut", counters.bytes_out.load());
  reply.append("numRequests", counters.requests.load());
  reply.end();
  reply.begin_object("opcounters");
  reply.append("insert", counters.inserts.load());
  reply.append("query", counters.queries.load());
  reply.append("update", counters.updates.load());
  reply.append("delete", counters.deletes.load());
  reply.append("getmore", counters.get_mores.load());
  reply.append("command", counters.commands.load());
  reply.end();
}

// Who runs and who waits for a lock: commands do not queue for a global lock here, so only the
// running ones are not zero.
void append_global_lock(const Counters& counters, BsonWriter& reply) {
  reply.begin_object("globalLock");
  reply.begin_object("currentQueue");
  for (auto name : {"total", "readers", "writers"}) reply.append(name, int32_t{0});
  reply.end();
  reply.begin_object("activeClients");
  reply.append("total", Value::integer(counters.active));
  for (auto name : {"readers", "writers"}) reply.append(name, int32_t{0});
  reply.end();
  reply.end();
}

}  // namespace

Result<Progress> cmd_server_status(Request& request, BsonWriter& reply) {
  const auto& services = request.services;
  auto uptime = std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::steady_clock::now() - services.started)
                    .count();
  utsname machine{};
  uname(&machine);
  reply.append("host",
               std::string(machine.nodename) + ":" + std::to_string(services.settings.port));
  reply.append("version", kMongoVersion);
  reply.append("process", "millrace");
  reply.append("pid", int64_t{getpid()});
  reply.append("uptime", static_cast<double>(uptime / 1000));
  reply.append("uptimeMillis", int64_t{uptime});
  reply.append("uptimeEstimate", int64_t{uptime / 1000});
  reply.append("localTime", Value::date(now_ms()));
  append_counters(services.counters, reply);
  append_global_lock(services.counters, reply);
  auto memory = process_memory();
  reply.begin_object("mem");
  reply.append("bits", int32_t{64});
  reply.append("resident", Value::integer(memory.resident_mb));
  reply.append("virtual", Value::integer(memory.virtual_mb));
  reply.append("supported", true);
  reply.end();
  return Progress::kDone;
}

// Time per namespace is not measured; the empty form is what a server without collections answers.
Result<Progress> cmd_top(Request&, BsonWriter& reply) {
  reply.begin_object("totals");
  reply.append("note", "all times in microseconds");
  reply.end();
  return Progress::kDone;
}

Result<Progress> cmd_current_op(Request&, BsonWriter& reply) {
  reply.begin_array("inprog"), reply.end();
  return Progress::kDone;
}

// mongod answers the same for an operation that is not there, and here no operation has an id that
// currentOp shows.
Result<Progress> cmd_kill_op(Request& request, BsonWriter& reply) {
  auto op = request.get("op");
  if (op.is_missing()) return Status(ErrorCode::kNoSuchKey, "Missing expected field \"op\"");
  if (!op.is_number()) {
    return Status(
        ErrorCode::kTypeMismatch,
        "Expected field \"op\" to have numeric type, but found " + std::string(op.type_name()));
  }
  if (!op.is_integer() && op.to_double() != std::floor(op.to_double())) {
    return Status(ErrorCode::kBadValue,
                  "Expected field \"op\" to have a value exactly representable as a 64-bit "
                  "integer, but found op: " +
                      shell_text(op));
  }
  reply.append("info", "attempting to kill op");
  return Progress::kDone;
}

// Connections to other members of a deployment: a single server has none.
Result<Progress> cmd_conn_pool_stats(Request&, BsonWriter& reply) {
  for (auto name : {"numClientConnections", "numAScopedConnections", "totalInUse", "totalAvailable",
                    "totalLeased", "totalCreated", "totalRefreshing"}) {
    reply.append(name, int32_t{0});
  }
  reply.begin_object("pools"), reply.end();
  reply.begin_object("hosts"), reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
