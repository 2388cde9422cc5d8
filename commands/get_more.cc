// getMore: https://www.mongodb.com/docs/manual/reference/command/getMore/
#include "commands/arguments.h"
#include "commands/cursor_reply.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

constexpr int64_t kDefaultAwaitMs = 1000;

// An awaiting cursor without anything new: to be tried again.
bool should_wait(const Request& request, const LocalCursor& cursor, int64_t sent) {
  if (sent > 0 || !cursor.await_data || request.client.closed.load()) return false;
  Value limit = request.get("maxTimeMS");
  int64_t wait_ms = limit.is_number() ? static_cast<int64_t>(limit.to_double()) : kDefaultAwaitMs;
  return std::chrono::steady_clock::now() - request.received < std::chrono::milliseconds(wait_ms);
}

}  // namespace

Result<Progress> cmd_get_more(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"collection", "batchSize"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  Value id = request.argument();
  Arguments arguments("getMore", request.body);
  if (!id.is(engine::Type::kInt64)) return arguments.wrong_type("getMore", "long");
  MR_RETURN_IF_ERROR(arguments.require("collection"));
  MR_ASSIGN_OR_RETURN(Value collection, arguments.string("collection"));
  MR_ASSIGN_OR_RETURN(auto batch_size, arguments.count("batchSize"));
  LocalDatabase& local = *request.services.database;
  std::string ns = namespace_of(request.database, collection.as_string());
  MR_ASSIGN_OR_RETURN(auto cursor, local.cursors().take(id.as_int64(), ns, session_id(request)));
  reply.begin_object("cursor");
  reply.begin_array("nextBatch");
  int64_t count = batch_size && *batch_size > 0 ? *batch_size : INT64_MAX;
  auto sent = fill_batch(local.store(), *cursor, count, reply);
  auto exhausted = sent.ok() ? is_exhausted(local.store(), *cursor) : sent.status();
  if (!exhausted.ok()) {  // a cursor that failed is gone, as on the server
    local.cursors().forget(cursor->id);
    return exhausted.status();
  }
  int64_t next_id = *exhausted ? 0 : cursor->id;
  bool wait = !*exhausted && should_wait(request, *cursor, *sent);
  if (*exhausted) {
    local.cursors().forget(cursor->id);
  } else if (!local.cursors().give_back(std::move(cursor), local.clock().monotonic_ns())) {
    next_id = 0;
  } else if (wait) {
    return Progress::kWait;
  }
  reply.end();
  reply.append("id", next_id);
  reply.append("ns", ns);
  reply.end();
  return Progress::kDone;
}

}  // namespace millrace::commands
