// Keys, in the table "checkpoints":
//   commit record = processor name, 0, sequence (8, most significant byte first), 0
//   blob          = processor name, 0, sequence (8), 1, name of the blob
// A commit record is a document {id, sequence, time, bytes, blobs: [{name, version, bytes,
// checksum}], details}, so that a blob that is missing or of another time is noticed. In the table
// "checkpointHeads": processor name → the newest sequence (8, little-endian), so that a checkpoint
// which vanished with its page is noticed too. A blob's value is its bytes as they are.
#include "storage/checkpoints.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "storage/collection_records.h"
#include "storage/record_envelope.h"

namespace millrace::storage {
namespace {

using engine::Value;

constexpr size_t kMaxNameBytes = 480;

std::string processor_prefix(std::string_view processor) { return std::string(processor) + '\0'; }

std::string generation_prefix(std::string_view processor, uint64_t sequence) {
  std::string prefix = processor_prefix(processor);
  append_big_endian(prefix, sequence);
  return prefix;
}

std::string commit_key(std::string_view processor, uint64_t sequence) {
  return generation_prefix(processor, sequence) + '\0';
}

std::string blob_key(std::string_view processor, uint64_t sequence, std::string_view blob) {
  return (generation_prefix(processor, sequence) + '\1').append(blob);
}

int64_t checksum_of(std::string_view bytes) {
  return static_cast<int64_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

bool is_record_fault(const Status& status) {
  return status.is(ErrorCode::kDataCorruptionDetected) || status.is(ErrorCode::kUnsupportedFormat);
}

// Of every generation of which there is any part, sound or not; oldest first.
Result<std::vector<uint64_t>> generations(ReadTransaction& txn, std::string_view processor) {
  auto prefix = processor_prefix(processor);
  MR_ASSIGN_OR_RETURN(auto cursor, txn.cursor(Table::kCheckpoints, prefix));
  std::vector<uint64_t> sequences;
  auto status = cursor->first();
  while (true) {
    if (!status.ok() && !is_record_fault(status)) return status;
    if (status.ok() && !cursor->valid()) return sequences;
    auto key = cursor->key();
    if (!key.starts_with(prefix) || key.size() < prefix.size() + 9)
      return status.ok() ? damaged_record_error(Table::kCheckpoints, key) : status;
    uint64_t sequence = read_big_endian(key.data() + prefix.size());
    if (!sequences.empty() && sequence <= sequences.back())
      return status;  // a cursor that does not move on
    sequences.push_back(sequence);
    status = cursor->seek(generation_prefix(processor, sequence + 1));
  }
}

struct BlobEntry {
  std::string name;
  int32_t version;
  int64_t bytes;
  int64_t checksum;
};

struct Commit {
  CheckpointHeader header;
  std::vector<BlobEntry> blobs;
};

std::string encode_commit(const CheckpointHeader& header, uint64_t sequence,
                          std::span<const CheckpointBlobView> blobs) {
  engine::BsonWriter writer;
  int64_t total = 0;
  for (const auto& blob : blobs) total += static_cast<int64_t>(blob.bytes.size());
  writer.begin_document();
  writer.append("id", header.id);
  writer.append("sequence", static_cast<int64_t>(sequence));
  writer.append("time", Value::date(header.time_ms));
  writer.append("bytes", total);
  writer.begin_array("blobs");
  for (size_t i = 0; i < blobs.size(); ++i) {
    writer.begin_object(std::to_string(i));
    writer.append("name", blobs[i].name);
    writer.append("version", blobs[i].version);
    writer.append("bytes", static_cast<int64_t>(blobs[i].bytes.size()));
    writer.append("checksum", checksum_of(blobs[i].bytes));
    writer.end();
  }
  writer.end();
  writer.append("details", header.details.value());
  writer.end();
  return std::string(writer.bytes());
}

// Requires: the payload passed its checksum, so it is what encode_commit wrote.
Commit decode_commit(std::string_view payload) {
  auto document = Value::bson_object(payload.data()).as_object();
  Commit commit;
  commit.header.id = document.get("id").as_string();
  commit.header.sequence = document.get("sequence").as_int64();
  commit.header.time_ms = document.get("time").as_date();
  commit.header.bytes = static_cast<uint64_t>(document.get("bytes").as_int64());
  commit.header.details = engine::Document(document.get("details"));
  for (Value entry : document.get("blobs").as_array()) {
    auto blob = entry.as_object();
    commit.blobs.push_back({std::string(blob.get("name").as_string()),
                            blob.get("version").as_int32(), blob.get("bytes").as_int64(),
                            blob.get("checksum").as_int64()});
  }
  return commit;
}

// One generation, or one blob of it (`only`, unless it is empty), whole or not at all. Errors: 301
// naming the part that is damaged or missing, 12 for a newer record.
Result<Checkpoint> read_generation(ReadTransaction& txn, std::string_view processor,
                                   uint64_t sequence, std::string_view only) {
  auto key = commit_key(processor, sequence);
  auto missing = [&](std::string_view part) {
    return Status(ErrorCode::kDataCorruptionDetected,
                  fmt::format("{} of {} is missing", part, record_name(Table::kCheckpoints, key)));
  };
  MR_ASSIGN_OR_RETURN(auto payload, txn.get(Table::kCheckpoints, key));
  if (!payload) return missing("the commit record");
  auto commit = decode_commit(*payload);
  Checkpoint checkpoint{std::move(commit.header), {}};
  for (auto& entry : commit.blobs) {
    if (!only.empty() && entry.name != only) continue;
    MR_ASSIGN_OR_RETURN(auto bytes,
                        txn.get(Table::kCheckpoints, blob_key(processor, sequence, entry.name)));
    if (!bytes || static_cast<int64_t>(bytes->size()) != entry.bytes ||
        checksum_of(*bytes) != entry.checksum) {
      return missing(entry.name);
    }
    checkpoint.blobs.push_back({std::move(entry.name), entry.version, std::string(*bytes)});
  }
  return checkpoint;
}

Status check_names(std::string_view processor, std::span<const CheckpointBlobView> blobs) {
  if (processor.empty() || processor.find('\0') != std::string_view::npos) {
    return {ErrorCode::kBadValue,
            "a stream processor's name must not be empty or contain a zero byte"};
  }
  for (const auto& blob : blobs) {
    if (processor.size() + blob.name.size() > kMaxNameBytes) {
      return {
          ErrorCode::kBadValue,
          fmt::format(
              "the names of stream processor and operator are too long to store: {} and {} bytes",
              processor.size(), blob.name.size())};
    }
  }
  return {};
}

// The newest sequence that was written, by the head record; 0 if there is none.
Result<uint64_t> read_head(ReadTransaction& txn, std::string_view processor) {
  MR_ASSIGN_OR_RETURN(auto payload, txn.get(Table::kCheckpointHeads, processor));
  return payload ? decode_counter(*payload) : 0;
}

}  // namespace

const CheckpointBlob* Checkpoint::find(std::string_view name) const {
  auto found = std::find_if(blobs.begin(), blobs.end(),
                            [&](const CheckpointBlob& blob) { return blob.name == name; });
  return found == blobs.end() ? nullptr : &*found;
}

Result<int64_t> put_checkpoint(WriteTransaction& txn, std::string_view processor,
                               const CheckpointHeader& header,
                               std::span<const CheckpointBlobView> blobs) {
  MR_RETURN_IF_ERROR(check_names(processor, blobs));
  MR_ASSIGN_OR_RETURN(auto sequences, generations(txn, processor));
  auto head = read_head(txn, processor);
  if (!head.ok() && !is_record_fault(head.status())) return head.status();
  uint64_t newest = std::max(head.ok() ? *head : 0, sequences.empty() ? 0 : sequences.back());
  uint64_t sequence = newest + 1;
  for (const auto& blob : blobs) {
    MR_ASSIGN_OR_RETURN(
        bool added,
        txn.insert(Table::kCheckpoints, blob_key(processor, sequence, blob.name), blob.bytes));
    if (!added)
      return Status(ErrorCode::kInternalError,
                    fmt::format("a checkpoint has two blobs \"{}\"", blob.name));
  }
  MR_RETURN_IF_ERROR(txn.put(Table::kCheckpoints, commit_key(processor, sequence),
                             encode_commit(header, sequence, blobs)));
  MR_RETURN_IF_ERROR(txn.put(Table::kCheckpointHeads, processor, encode_counter(sequence)));
  for (size_t i = 0; i + kCheckpointGenerations - 1 < sequences.size(); ++i) {
    MR_RETURN_IF_ERROR(
        txn.erase_prefix(Table::kCheckpoints, generation_prefix(processor, sequences[i])).status());
  }
  return static_cast<int64_t>(sequence);
}

Result<CheckpointRead> read_checkpoint(ReadTransaction& txn, std::string_view processor) {
  return read_checkpoint_blob(txn, processor, {});
}

Result<CheckpointRead> read_checkpoint_blob(ReadTransaction& txn, std::string_view processor,
                                            std::string_view blob) {
  MR_ASSIGN_OR_RETURN(auto sequences, generations(txn, processor));
  CheckpointRead result;
  auto head = read_head(txn, processor);
  if (!head.ok()) {
    if (!head.status().is(ErrorCode::kDataCorruptionDetected)) return head.status();
    result.damaged.push_back(head.status().message());
  } else if (*head > (sequences.empty() ? 0 : sequences.back())) {
    result.damaged.push_back(fmt::format("{}, checkpoint {}, is missing", processor, *head));
  }
  for (auto sequence = sequences.rbegin(); sequence != sequences.rend(); ++sequence) {
    auto checkpoint = read_generation(txn, processor, *sequence, blob);
    if (checkpoint.ok()) {
      result.checkpoint = std::move(checkpoint).value();
      return result;
    }
    // One that only a newer Millrace can read is no reason to go back behind it.
    if (!checkpoint.status().is(ErrorCode::kDataCorruptionDetected)) return checkpoint.status();
    result.damaged.push_back(checkpoint.status().message());
  }
  if (result.damaged.empty()) return result;
  std::string text = fmt::format("stream processor {} has no sound checkpoint left:", processor);
  for (const auto& sentence : result.damaged) text += " " + sentence + ";";
  text.back() = '.';
  return Status(ErrorCode::kDataCorruptionDetected, text);
}

Result<std::vector<CheckpointHeader>> list_checkpoints(ReadTransaction& txn,
                                                       std::string_view processor) {
  MR_ASSIGN_OR_RETURN(auto sequences, generations(txn, processor));
  std::vector<CheckpointHeader> headers;
  for (auto sequence = sequences.rbegin(); sequence != sequences.rend(); ++sequence) {
    auto payload = txn.get(Table::kCheckpoints, commit_key(processor, *sequence));
    if (!payload.ok()) {
      if (!is_record_fault(payload.status())) return payload.status();
    } else if (*payload) {
      headers.push_back(decode_commit(**payload).header);
    }
  }
  return headers;
}

Result<bool> erase_checkpoints(WriteTransaction& txn, std::string_view processor) {
  MR_ASSIGN_OR_RETURN(int64_t erased,
                      txn.erase_prefix(Table::kCheckpoints, processor_prefix(processor)));
  MR_ASSIGN_OR_RETURN(bool had_head, txn.erase(Table::kCheckpointHeads, processor));
  return erased > 0 || had_head;
}

}  // namespace millrace::storage
