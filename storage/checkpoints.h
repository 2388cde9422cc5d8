// Checkpoints of stream processors: the last generations of each, a commit record and one blob per
// operator or source.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/bson.h"
#include "storage/store.h"

namespace millrace::storage {

inline constexpr int kCheckpointGenerations = 2;

// The state of one operator. The name is unique in its checkpoint and readable ("source", "stage 2
// $tumblingWindow"); name and processor name together at most 480 bytes. `version` is the
// operator's own, of the layout of `bytes`.
struct CheckpointBlobView {
  std::string_view name;
  int32_t version = 1;
  std::string_view bytes;
};

struct CheckpointBlob {
  std::string name;
  int32_t version = 1;
  std::string bytes;
};

struct CheckpointHeader {
  std::string id;  // shown to users
  int64_t sequence =
      0;  // 1, 2, …: given by put_checkpoint, never reused while the processor exists
  int64_t time_ms = 0;
  engine::Document details;  // the runtime's: pipeline version, counters, …
  uint64_t bytes = 0;        // of all blobs
};

struct Checkpoint {
  CheckpointHeader header;
  std::vector<CheckpointBlob> blobs;  // in the order they were written

  const CheckpointBlob* find(std::string_view name) const;
};

struct CheckpointRead {
  std::optional<Checkpoint>
      checkpoint;  // the newest whose every part is sound; none if there never was one
  std::vector<std::string> damaged;  // newer ones that were passed over: a sentence each
};

// Writes one generation and deletes those beyond the newest kCheckpointGenerations. Call it inside
// Store::write: it is there whole or not at all. Returns the sequence. `header.sequence` and
// `header.bytes` are ignored.
Result<int64_t> put_checkpoint(WriteTransaction& txn, std::string_view processor,
                               const CheckpointHeader& header,
                               std::span<const CheckpointBlobView> blobs);

// Errors: 301 DataCorruptionDetected when there was a checkpoint and no generation of it is sound
// (never silently "none").
Result<CheckpointRead> read_checkpoint(ReadTransaction& txn, std::string_view processor);

// The same of one blob only: the others, which may be large, are neither read nor checked.
Result<CheckpointRead> read_checkpoint_blob(ReadTransaction& txn, std::string_view processor,
                                            std::string_view blob);

// The sound commit records, newest first; blobs are not read.
Result<std::vector<CheckpointHeader>> list_checkpoints(ReadTransaction& txn,
                                                       std::string_view processor);

// On drop, and for clearCheckpoints. False when there was none.
Result<bool> erase_checkpoints(WriteTransaction& txn, std::string_view processor);

}  // namespace millrace::storage
