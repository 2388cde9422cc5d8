// Logical sessions: nothing is kept of one but the cursors it opened (clients-wire.md section 9.6).
// https://www.mongodb.com/docs/manual/reference/command/nav-sessions/
#include <openssl/rand.h>

#include "commands/dispatch.h"
#include "commands/handlers.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Type;

constexpr size_t kMaxSessionsPerCommand = 10'000;

// The ids of [{id: UUID}, …]. Errors: 14 TypeMismatch, 16 InvalidLength.
Result<std::vector<std::string>> read_session_ids(const Request& request) {
  auto list = request.argument();
  auto wrong_type = [&](std::string_view what) {
    return Status(
        ErrorCode::kTypeMismatch,
        std::string(request.name) + " takes an array of {id: UUID}: " + std::string(what));
  };
  if (!list.is_array()) return wrong_type("this is " + std::string(list.type_name()));
  std::vector<std::string> ids;
  for (auto entry : list.as_array()) {
    auto id = entry.is_object() ? entry.as_object().get("id") : engine::Value::missing();
    if (!id.is(Type::kBinData) || id.binary_subtype() != 4 || id.as_string().size() != 16) {
      return wrong_type("an element has no UUID named id");
    }
    if (ids.size() == kMaxSessionsPerCommand) {
      return Status(ErrorCode::kInvalidLength,
                    "at most 10000 sessions are allowed in one " + std::string(request.name));
    }
    ids.emplace_back(id.as_string());
  }
  return ids;
}

}  // namespace

// Also killSessions: both free the cursors of the sessions, and no session outlives its cursors.
Result<Progress> cmd_end_sessions(Request& request, BsonWriter&) {
  MR_ASSIGN_OR_RETURN(auto ids, read_session_ids(request));
  if (ids.empty()) return Progress::kDone;
  for (const auto& listener : request.services.on_sessions_ended) listener(ids);
  return Progress::kDone;
}

Result<Progress> cmd_refresh_sessions(Request& request, BsonWriter&) {
  MR_RETURN_IF_ERROR(read_session_ids(request).status());
  return Progress::kDone;
}

Result<Progress> cmd_start_session(Request&, BsonWriter& reply) {
  unsigned char uuid[16];
  if (RAND_bytes(uuid, sizeof uuid) != 1)
    return Status(ErrorCode::kInternalError, "no random bytes for a session id");
  uuid[6] = static_cast<unsigned char>((uuid[6] & 0x0f) | 0x40);  // version 4, RFC 4122 section 4.4
  uuid[8] = static_cast<unsigned char>((uuid[8] & 0x3f) | 0x80);
  reply.begin_object("id");
  reply.append("id", engine::Value::binary(4, {reinterpret_cast<const char*>(uuid), sizeof uuid}));
  reply.end();
  reply.append("timeoutMinutes", kSessionTimeoutMinutes);
  return Progress::kDone;
}

// commitTransaction, abortTransaction.
Result<Progress> cmd_no_transactions(Request&, BsonWriter&) {
  return Status(ErrorCode::kIllegalOperation,
                "Transaction numbers are only allowed on a replica set member or mongos");
}

}  // namespace millrace::commands
