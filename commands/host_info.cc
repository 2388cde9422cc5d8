// hostInfo: the machine below. Compass refuses a server that fails here (clients-wire.md rule 11),
// so whatever cannot be read is left at its neutral value.
// https://www.mongodb.com/docs/manual/reference/command/hostInfo/
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include "commands/handlers.h"

namespace millrace::commands {
namespace {

// The value behind `key` in a file of `key<separator>value` lines, quotes and blanks around it
// removed; "" if there is none.
std::string value_in_file(const char* path, std::string_view key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    auto at = line.find(separator);
    if (at == line.npos || line.compare(0, key.size(), key) != 0) continue;
    if (line.find_first_not_of(" \t", key.size()) != at) continue;
    auto from = line.find_first_not_of(" \t\"", at + 1);
    if (from == line.npos) return "";
    return line.substr(from, line.find_last_not_of(" \t\"") - from + 1);
  }
  return "";
}

int64_t memory_mb() {
  int64_t pages = sysconf(_SC_PHYS_PAGES);
  int64_t page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? pages * page_bytes / (1024 * 1024) : 0;
}

}  // namespace

Result<Progress> cmd_host_info(Request&, BsonWriter& reply) {
  utsname machine{};
  uname(&machine);
  reply.begin_object("system");
  reply.append("currentTime", engine::Value::date(now_ms()));
  reply.append("hostname", static_cast<const char*>(machine.nodename));
  reply.append("cpuAddrSize", int32_t{64});
  reply.append("memSizeMB", engine::Value::integer(memory_mb()));
  reply.append("memLimitMB", engine::Value::integer(memory_mb()));
  reply.append("numCores", static_cast<int32_t>(std::thread::hardware_concurrency()));
  reply.append("cpuArch", static_cast<const char*>(machine.machine));
  reply.append("numaEnabled", false);
  reply.end();
  reply.begin_object("os");
  reply.append("type", static_cast<const char*>(machine.sysname));
  reply.append("name", value_in_file("/etc/os-release", "PRETTY_NAME", '='));
  reply.append("version", value_in_file("/etc/os-release", "VERSION_ID", '='));
  reply.end();
  reply.begin_object("extra");
  reply.append("versionString",
               std::string(machine.sysname) + " " + machine.release + " " + machine.version);
  reply.append("kernelVersion", static_cast<const char*>(machine.release));
  reply.append("cpuFrequencyMHz", value_in_file("/proc/cpuinfo", "cpu MHz", ':'));
  reply.append("pageSize", engine::Value::integer(sysconf(_SC_PAGESIZE)));
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
