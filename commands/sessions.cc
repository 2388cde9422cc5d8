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

Status wrong_type(const std::string& field, const engine::Value& value, std::string_view expected) {
  return Status(ErrorCode::kTypeMismatch, "BSON field '" + field + "' is the wrong type '" +
                                              std::string(value.type_name()) +
                                              "', expected type '" + std::string(expected) + "'");
}

constexpr uint8_t kUuidSubtype = 4;
constexpr uint8_t kOldUuidSubtype = 3;

// The 16 bytes of {id: UUID}; `where` is what a MongoDB server calls the list in its messages.
Result<std::string_view> read_session_id(const engine::Value& entry, size_t index,
                                         const std::string& where) {
  if (!entry.is_object()) return wrong_type(where + "." + std::to_string(index), entry, "object");
  for (const engine::Field& field : entry.as_object()) {
    if (field.has_name("id") || field.has_name("uid")) continue;
    return Status(
        40415, "BSON field '" + where + "." + std::string(field.name()) + "' is an unknown field.");
  }
  auto id = entry.as_object().get("id");
  if (id.is_missing())
    return Status(40414, "BSON field '" + where + ".id' is missing but a required field");
  if (!id.is(Type::kBinData)) return wrong_type(where + ".id", id, "binData");
  if (id.binary_subtype() != kUuidSubtype) {
    std::string_view found =
        id.binary_subtype() == kOldUuidSubtype ? "UUID(deprecated)" : "general";
    return Status(ErrorCode::kTypeMismatch, "BSON field '" + where +
                                                ".id' is the wrong binData type '" +
                                                std::string(found) + "', expected type 'UUID'");
  }
  if (id.as_string().size() != 16) {
    return Status(207, "uuid must be a 16-byte binary field with UUID (4) subtype");
  }
  return id.as_string();
}

// The ids of [{id: UUID}, …]. Errors: 14 TypeMismatch, 40414, 40415, 207 InvalidUUID, 16
// InvalidLength; texts as MongoDB 6.0 has them.
Result<std::vector<std::string>> read_session_ids(const Request& request) {
  auto list = request.argument();
  bool kill = request.name == "killSessions";
  std::string command(kill ? "KillSessionsCmd" : request.name);
  std::string where = command + "." + std::string(request.name);
  if (!list.is_array()) return wrong_type(where, list, "array");
  if (!kill) where += "FromClient";
  std::vector<std::string> ids;
  for (auto entry : list.as_array()) {
    MR_ASSIGN_OR_RETURN(std::string_view id, read_session_id(entry, ids.size(), where));
    if (ids.size() == kMaxSessionsPerCommand) {
      return Status(ErrorCode::kInvalidLength,
                    "at most 10000 sessions are allowed in one " + std::string(request.name));
    }
    ids.emplace_back(id);
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
