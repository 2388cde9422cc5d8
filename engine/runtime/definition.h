// What is stored of a stream processor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/document/bson.h"
#include "engine/document/status.h"

namespace millrace::engine {

// States as clients see them (commands-lifecycle: CREATED, PROVISIONING while a start is under way,
// STARTED, STOPPED, FAILED).
enum class ProcessorState : uint8_t { kCreated, kProvisioning, kStarted, kStopped, kFailed };
std::string_view state_name(ProcessorState state);
// The other, lower-case set of stats.status.
std::string_view state_status(ProcessorState state);

struct DeadLetterOptions {
  std::string connection;
  std::string database;
  std::string collection;
  bool configured() const { return !connection.empty(); }
};

struct ProcessorDefinition {
  std::string id;  // 24 hex
  std::string name;
  Document pipeline;  // {pipeline: [...]} as the user wrote it
  int32_t pipeline_version = 1;
  DeadLetterOptions dlq;
  std::string stream_meta_field;
  std::string tier;      // "" = the workspace's default
  Document autoscaling;  // {} = off
  bool failover = false;
  int32_t workers = 1;
  ProcessorState state = ProcessorState::kCreated;
  bool has_started = false;
  int64_t last_modified_ms = 0;
  int64_t last_state_change_ms = 0;
  int64_t stopped_ms = 0;  // when it stopped: saved state expires 45 days later
  int64_t created_sequence = 0;
  std::string modified_by;
  Status error;  // the last failure
  bool error_retryable = false;

  // The stored record; every field above. Shape: storage/FORMAT.md, "processors".
  Document encode() const;
  static Result<ProcessorDefinition> decode(const Value& record);
};

// Checks a processor's name: 1 to 64 letters, digits, '_', '.', '-'. Errors: 72.
Status check_processor_name(std::string_view name);

// options.dlq: {connectionName, db, coll}, all three non-empty strings; {} means none. Errors: 72.
Result<DeadLetterOptions> parse_dead_letter_options(const Value& spec);

// "SP2" … "SP50". Errors: 72.
Status check_tier(std::string_view tier);
// Position in the order of sizes; -1 for no tier.
int tier_rank(std::string_view tier);
int64_t tier_ram_bytes(std::string_view tier);

}  // namespace millrace::engine
