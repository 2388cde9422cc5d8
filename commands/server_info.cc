// What the server says of itself: ping, buildInfo, getLog, getCmdLineOpts, listCommands,
// whatsmyuri. Reply shapes: https://www.mongodb.com/docs/manual/reference/command/nav-diagnostic/
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/table.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;

Result<Progress> cmd_ping(Request&, BsonWriter&) { return Progress::kDone; }

Result<Progress> cmd_whatsmyuri(Request& request, BsonWriter& reply) {
  reply.append("you", request.client.remote_address);
  return Progress::kDone;
}

Result<Progress> cmd_build_info(Request& request, BsonWriter& reply) {
  reply.append("version", kMongoVersion);
  reply.append("gitVersion", "millrace " + request.services.settings.version);
  reply.begin_array("modules"), reply.end();
  reply.append("allocator", "system");
  reply.append("javascriptEngine", "none");
  reply.append("sysInfo", "deprecated");
  reply.begin_array("versionArray");
  for (size_t i = 0; i < std::size(kMongoVersionArray); ++i)
    reply.append_element(i, engine::Value::int32(kMongoVersionArray[i]));
  reply.end();
  reply.begin_object("openssl"), reply.end();
  reply.begin_object("buildEnvironment");
#if defined(__x86_64__)
  reply.append("target_arch", "x86_64");
#elif defined(__aarch64__)
  reply.append("target_arch", "aarch64");
#endif
  reply.append("target_os", "linux");
  reply.end();
  reply.append("bits", int32_t{64});
  reply.append("debug", false);
  reply.append("maxBsonObjectSize", static_cast<int32_t>(engine::kMaxDocumentBytes));
  reply.begin_array("storageEngines"), reply.end();
  return Progress::kDone;
}

Result<Progress> cmd_get_cmd_line_opts(Request& request, BsonWriter& reply) {
  const auto& settings = request.services.settings;
  reply.begin_array("argv");
  for (size_t i = 0; i < settings.command_line.size(); ++i) {
    reply.append_element(i, engine::Value::string(settings.command_line[i]));
  }
  reply.end();
  reply.begin_object("parsed");
  reply.begin_object("net");
  reply.append("bindIp", settings.bind);
  reply.append("port", int32_t{settings.port});
  reply.end();
  reply.begin_object("storage");
  reply.append("dbPath", settings.data_dir);
  reply.end();
  reply.end();
  return Progress::kDone;
}

Result<Progress> cmd_get_log(Request& request, BsonWriter& reply) {
  auto which = request.argument();
  if (!which.is_string()) {
    return Status(ErrorCode::kTypeMismatch, "BSON field 'getLog.getLog' is the wrong type '" +
                                                std::string(which.type_name()) +
                                                "', expected type 'string'");
  }
  auto name = which.as_string();
  if (name == "*") {
    reply.begin_array("names");
    reply.append_element(0, engine::Value::string("global"));
    reply.append_element(1, engine::Value::string("startupWarnings"));
    reply.end();
    return Progress::kDone;
  }
  int64_t total = 0;
  std::vector<std::string> lines;
  if (name == "startupWarnings") {
    lines = request.services.startup_warnings;
    total = static_cast<int64_t>(lines.size());
  } else if (name == "global") {
    if (request.services.recent_log) lines = request.services.recent_log(&total);
  } else {
    return Status(ErrorCode::kOperationFailed, "No log named '" + std::string(name) + "'");
  }
  reply.append("totalLinesWritten", engine::Value::integer(total));
  reply.begin_array("log");
  for (size_t i = 0; i < lines.size(); ++i)
    reply.append_element(i, engine::Value::string(lines[i]));
  reply.end();
  return Progress::kDone;
}

Result<Progress> cmd_list_commands(Request&, BsonWriter& reply) {
  reply.begin_object("commands");
  for (const auto& row : command_table()) {
    if (row.handler == nullptr || (row.flags & kAnyCase)) continue;
    reply.begin_object(row.name);
    reply.append("help", row.help);
    reply.append("requiresAuth", !(row.flags & kNoLogin));
    reply.append("adminOnly", (row.flags & kAdminOnly) != 0);
    reply.end();
  }
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
