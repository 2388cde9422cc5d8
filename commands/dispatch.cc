#include "commands/dispatch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "commands/local/index_keys.h"
#include "commands/local/name_check.h"
#include "commands/local/time_limit.h"
#include "commands/reply.h"
#include "commands/write_concern.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Type;

// clang-format off
constexpr std::array<std::string_view, 16> kGenericArguments = {
    "$audit", "$client", "$clusterTime", "$db", "$queryOptions", "$readPreference", "apiDeprecationErrors", "apiStrict", "apiVersion",
    "autocommit", "comment", "lsid", "maxTimeMS", "readConcern", "startTransaction", "writeConcern",
};
// clang-format on
static_assert(std::is_sorted(kGenericArguments.begin(), kGenericArguments.end()));

Status check_api_version(const Request& request) {
  auto version = request.get("apiVersion");
  if (version.is_missing()) {
    for (auto field : {"apiStrict", "apiDeprecationErrors"}) {
      if (!request.get(field).is_missing()) {
        return Status(4886600,
                      "Provided apiStrict and/or apiDeprecationErrors without passing apiVersion");
      }
    }
    return {};
  }
  if (!version.is_string()) {
    return Status(ErrorCode::kTypeMismatch, "BSON field 'apiVersion' is the wrong type '" +
                                                std::string(version.type_name()) +
                                                "', expected type 'string'");
  }
  if (version.as_string() == "1") return {};
  return Status(ErrorCode::kApiVersionError,
                "Cannot accept API version " + std::string(version.as_string()));
}

// https://www.mongodb.com/docs/manual/reference/method/cursor.maxTimeMS/
// `limit_ms`: how long the command may run; 0 is without end.
Status read_max_time(const CommandRow& row, const Request& request, int64_t* limit_ms) {
  *limit_ms = 0;
  auto limit = request.get("maxTimeMS");
  if (limit.is_nullish()) return {};
  if (!limit.is_number()) return Status(ErrorCode::kTypeMismatch, "maxTimeMS must be a number");
  double milliseconds = limit.to_double();
  if (std::isnan(milliseconds) || milliseconds != std::trunc(milliseconds)) {
    return Status(row.name == "distinct" ? ErrorCode::kFailedToParse : ErrorCode::kBadValue,
                  "maxTimeMS has a fraction");
  }
  if (row.name == "aggregate" && milliseconds < 0)
    return Status(51024, "maxTimeMS must not be negative");
  if (!(milliseconds >= 0 && milliseconds <= INT32_MAX)) {
    return Status(ErrorCode::kBadValue, shell_text(limit) + " value for maxTimeMS is out of range");
  }
  // A getMore's says how long it waits for documents (get_more.cc).
  if (row.name != "getMore") *limit_ms = static_cast<int64_t>(milliseconds);
  return {};
}

// What holds for every command. `limit_ms`: see read_max_time().
Status check_request(const CommandRow* row, const Request& request, int64_t* limit_ms) {
  if (row == nullptr)
    return Status(ErrorCode::kCommandNotFound,
                  "no such command: '" + std::string(request.name) + "'");
  MR_RETURN_IF_ERROR(check_database_name(request.database));
  if ((row->flags & kAdminOnly) && request.database != "admin") {
    return Status(ErrorCode::kUnauthorized,
                  std::string(request.name) + " may only be run against the admin database.");
  }
  if (row->handler == nullptr) {
    return Status(ErrorCode::kCommandNotSupported,
                  "command '" + std::string(request.name) + "' is not supported by Millrace");
  }
  MR_RETURN_IF_ERROR(check_api_version(request));
  // A standalone has no transactions and no retryable writes; drivers know this text
  // (clients-wire.md section 9.6).
  if (!request.get("txnNumber").is_missing()) {
    return Status(ErrorCode::kIllegalOperation,
                  "Transaction numbers are only allowed on a replica set member or mongos");
  }
  MR_RETURN_IF_ERROR(read_max_time(*row, request, limit_ms));
  return check_write_concern(*row, request);
}

void count(const Request& request, Counters& counters) {
  auto name = request.name;
  auto& counter = name == "insert"    ? counters.inserts
                  : name == "find"    ? counters.queries
                  : name == "update"  ? counters.updates
                  : name == "delete"  ? counters.deletes
                  : name == "getMore" ? counters.get_mores
                                      : counters.commands;
  counter.fetch_add(1, std::memory_order_relaxed);
}

// The handler, with what a library below it may throw.
engine::Result<Progress> call(const CommandRow& row, Request& request, int64_t limit_ms,
                              engine::BsonWriter& reply) {
  TimeLimit time_limit(limit_ms);
  try {
    return row.handler(request, reply);
  } catch (const engine::EvaluationError& error) {
    return error.status();
  } catch (const std::exception& error) {
    spdlog::error("command {} failed by an exception: {}", row.name, error.what());
    return Status(ErrorCode::kInternalError,
                  std::string("internal error in ") + std::string(row.name) + ": " + error.what());
  }
}

}  // namespace

bool runs_inline(const CommandRow* row) {
  return row == nullptr || row->handler == nullptr || (row->flags & kInline);
}

Outcome run_command(const CommandRow* row, Request& request, engine::BsonWriter& reply) {
  reply.clear();
  int64_t limit_ms = 0;
  Status status = check_request(row, request, &limit_ms);
  if (status.ok()) {
    auto& active = request.services.counters.active;
    active.fetch_add(1, std::memory_order_relaxed);
    reply.begin_document();
    auto progress = call(*row, request, limit_ms, reply);
    active.fetch_sub(1, std::memory_order_relaxed);
    if (progress.ok() && *progress == Progress::kWait) return {Progress::kWait, false};
    count(request, request.services.counters);
    status = progress.status();
  }
  if (status.ok()) {
    finish_success(reply);
    reply.end();
    return {Progress::kDone, true};
  }
  spdlog::debug("connection {}: {} failed: {} {}", request.client.connection_id, request.name,
                status.code(), status.message());
  request.more_to_come = false;
  reply.clear();
  write_error(status, reply, request.error_details);
  return {Progress::kDone, false};
}

bool is_generic_argument(std::string_view field) {
  return std::binary_search(kGenericArguments.begin(), kGenericArguments.end(), field);
}

Status unknown_field(const Request& request, std::string_view field) {
  return Status(40415, "BSON field '" + std::string(request.name) + "." + std::string(field) +
                           "' is an unknown field.");
}

std::string_view session_id(const Request& request) {
  auto lsid = request.get("lsid");
  if (!lsid.is_object()) return {};
  auto id = lsid.as_object().get("id");
  return id.is(Type::kBinData) && id.as_string().size() == 16 ? id.as_string() : std::string_view{};
}

}  // namespace millrace::commands
