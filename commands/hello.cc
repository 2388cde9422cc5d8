// hello, isMaster, ismaster: the handshake and the heartbeat of every client.
// https://www.mongodb.com/docs/manual/reference/command/hello/ and the drivers' "Server Monitoring"
// specification (streaming protocol).
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "commands/handlers.h"
#include "commands/services.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Type;
using engine::Value;

// What a monitor already knows, and how long it wants to wait for news.
struct Await {
  bool asked = false;  // both fields are there
  bool up_to_date = false;
  std::chrono::milliseconds max{0};
};

engine::Result<Await> read_await(const Request& request) {
  auto version = request.get("topologyVersion");
  auto max = request.get("maxAwaitTimeMS");
  if (version.is_nullish() && max.is_nullish()) return Await{};
  if (version.is_nullish())
    return Status(ErrorCode::kBadValue,
                  "'maxAwaitTimeMS' is only allowed together with 'topologyVersion'");
  if (max.is_nullish())
    return Status(ErrorCode::kBadValue,
                  "'topologyVersion' is only allowed together with 'maxAwaitTimeMS'");
  if (!version.is_object())
    return Status(ErrorCode::kTypeMismatch, "'topologyVersion' must be an object");
  if (!max.is_number())
    return Status(ErrorCode::kTypeMismatch, "'maxAwaitTimeMS' must be a number");
  double ms = max.to_double();
  if (!(ms >= 0))
    return Status(ErrorCode::kBadValue, "'maxAwaitTimeMS' must be a non-negative integer");
  auto process = version.as_object().get("processId");
  auto counter = version.as_object().get("counter");
  if (!process.is(Type::kObjectId) || !counter.is_integer()) {
    return Status(ErrorCode::kTypeMismatch,
                  "'topologyVersion' must have an ObjectId 'processId' and an integer 'counter'");
  }
  bool same_process = std::memcmp(process.as_object_id().bytes, request.services.process_id.bytes,
                                  sizeof(engine::ObjectId)) == 0;
  constexpr double kDayMs = 86'400'000;
  return Await{.asked = true,
               .up_to_date = same_process && counter.integer_value() == 0,
               .max = std::chrono::milliseconds(static_cast<int64_t>(std::min(ms, kDayMs)))};
}

std::string_view text_at(engine::ObjectView view, std::string_view outer, std::string_view inner,
                         std::string_view otherwise) {
  auto object = view.get(outer);
  if (!object.is_object()) return otherwise;
  auto text = object.as_object().get(inner);
  return text.is_string() ? text.as_string() : otherwise;
}

// Keeps the first `client` document and logs it: the quickest way to tell a client's connections
// apart.
void remember_client(Request& request) {
  auto metadata = request.get("client");
  if (!metadata.is_object()) return;
  auto& client = request.client;
  {
    std::lock_guard lock(client.mutex);
    if (!client.metadata.view().empty()) return;
    client.metadata = engine::Document(metadata);
  }
  auto view = metadata.as_object();
  spdlog::info("connection {} from {}: {}, driver {} {}", client.connection_id,
               client.remote_address, text_at(view, "application", "name", "no application name"),
               text_at(view, "driver", "name", "unknown"), text_at(view, "driver", "version", ""));
}

// The client's order of preference decides.
Status append_compression(const Request& request, engine::BsonWriter& reply) {
  auto wanted = request.get("compression");
  if (wanted.is_nullish()) return {};
  if (!wanted.is_array()) {
    return Status(ErrorCode::kTypeMismatch,
                  "BSON field '" + std::string(request.name) + ".compression' is the wrong type '" +
                      std::string(wanted.type_name()) + "', expected type 'array'");
  }
  std::vector<Value> agreed;
  for (auto name : wanted.as_array()) {
    if (!name.is_string()) continue;
    const auto& ours = request.services.compressors;
    if (std::find(ours.begin(), ours.end(), name.as_string()) != ours.end()) agreed.push_back(name);
  }
  if (!agreed.empty()) reply.append("compression", Value::array(agreed));
  return {};
}

Status append_hello(const Request& request, bool legacy, engine::BsonWriter& reply) {
  const auto& services = request.services;
  if (request.get("helloOk").truthy()) reply.append("helloOk", true);
  reply.append(legacy ? "ismaster" : "isWritablePrimary", true);
  reply.begin_object("topologyVersion");
  reply.append("processId", Value::object_id(&services.process_id));
  reply.append("counter", int64_t{0});
  reply.end();
  reply.append("maxBsonObjectSize", static_cast<int32_t>(engine::kMaxDocumentBytes));
  reply.append("maxMessageSizeBytes", kMaxMessageBytes);
  reply.append("maxWriteBatchSize", kMaxWriteBatchSize);
  reply.append("localTime", Value::date(now_ms()));
  reply.append("logicalSessionTimeoutMinutes", kSessionTimeoutMinutes);
  reply.append("connectionId", static_cast<int32_t>(request.client.connection_id));
  reply.append("minWireVersion", kMinWireVersion);
  reply.append("maxWireVersion", kMaxWireVersion);
  reply.append("readOnly", false);
  return append_compression(request, reply);
}

engine::Result<Progress> answer(Request& request, bool legacy, engine::BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(Await await, read_await(request));
  if (request.exhaust_round == 0) remember_client(request);
  // The topology never changes while the process lives, so who is up to date waits the whole time.
  // After the first reply of a stream the client is.
  bool up_to_date = await.up_to_date || request.exhaust_round > 0;
  if (await.asked && up_to_date) {
    auto until = request.received + await.max;
    if (std::chrono::steady_clock::now() < until) {
      request.next_attempt = until;
      return Progress::kWait;
    }
  }
  request.more_to_come = await.asked && request.exhaust_allowed;
  MR_RETURN_IF_ERROR(append_hello(request, legacy, reply));
  return Progress::kDone;
}

}  // namespace

engine::Result<Progress> cmd_hello(Request& request, engine::BsonWriter& reply) {
  return answer(request, false, reply);
}
engine::Result<Progress> cmd_is_master(Request& request, engine::BsonWriter& reply) {
  return answer(request, true, reply);
}

}  // namespace millrace::commands
