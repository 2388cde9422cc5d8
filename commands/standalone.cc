// Commands whose answer follows from being a single server without replication and without a
// profiler: replSetGetStatus, getDefaultRWConcern, profile.
// https://www.mongodb.com/docs/manual/reference/command/
#include "commands/handlers.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;

Result<Progress> cmd_repl_set_get_status(Request&, BsonWriter&) {
  return Status(ErrorCode::kNoReplicationEnabled, "not running with --replSet");
}

Result<Progress> cmd_get_default_rw_concern(Request&, BsonWriter& reply) {
  reply.begin_object("defaultReadConcern");
  reply.append("level", "local");
  reply.end();
  reply.append("defaultReadConcernSource", "implicit");
  reply.begin_object("defaultWriteConcern");
  reply.append("w", int32_t{1});
  reply.append("wtimeout", int32_t{0});
  reply.end();
  reply.append("defaultWriteConcernSource", "implicit");
  return Progress::kDone;
}

// Level 0 is the only one: asking for it (or with -1 for the settings) is fine, turning the
// profiler on is refused.
Result<Progress> cmd_profile(Request& request, BsonWriter& reply) {
  auto level = request.argument();
  if (!level.is_number()) {
    return Status(ErrorCode::kTypeMismatch, "BSON field 'profile.profile' is the wrong type '" +
                                                std::string(level.type_name()) +
                                                "', expected types '[long, int, decimal, double']");
  }
  if (level.to_double() != 0 && level.to_double() != -1) {
    return Status(ErrorCode::kCommandNotSupported,
                  "Millrace has no database profiler: only level 0 is supported");
  }
  reply.append("was", int32_t{0});
  reply.append("slowms", int32_t{100});
  reply.append("sampleRate", 1.0);
  return Progress::kDone;
}

}  // namespace millrace::commands
