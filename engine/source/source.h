// The interface of every source, and the batches of raw records it hands to the pipeline.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connection/connection.h"
#include "engine/document/arena.h"
#include "engine/document/bson.h"
#include "engine/document/clock.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

enum class PayloadFormat : uint8_t { kJson, kBson };

// One event as it came: the bytes and where they stood.
struct SourceRecord {
  uint32_t payload_at = 0;  // in SourceBatch::payloads()
  uint32_t payload_size = 0;
  int32_t partition = 0;     // index into Source::partitions()
  bool replayed = false;     // read before, and again because of Source::replay_until()
  int64_t offset = 0;        // within the partition, where the source has offsets
  int64_t timestamp_ms = 0;  // the event time when the pipeline has no timeField
  const void* attributes =
      nullptr;  // source-specific (key, headers), in the batch's arena; read by Source::describe
  const char* fault = nullptr;  // why the record must go to the dead letters whatever its payload
                                // (a key that is not of keyFormat); static, or in the batch's arena
};

// Records read together. Made and filled on the source thread, consumed on the pipeline thread,
// then recycled. JSON payloads stand in one buffer, one behind the other with a newline between,
// and kPadding readable bytes behind the last: what simdjson needs to index all of them in one go.
class SourceBatch {
 public:
  static constexpr size_t kPadding = 64;

  SourceBatch() = default;
  SourceBatch(const SourceBatch&) = delete;
  SourceBatch& operator=(const SourceBatch&) = delete;
  ~SourceBatch() { std::free(buffer_); }

  // Appends a record; its payload is copied. The caller sets the other fields.
  SourceRecord& add(std::string_view payload) {
    char* at = reserve(payload.size());
    if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
    return commit(payload.size());
  }
  // Room for `size` bytes of payload at the end of the buffer, to read into directly; commit()
  // makes it a record.
  char* reserve(size_t size);
  SourceRecord& commit(size_t size);

  // For sources whose input already stands line by line (a file): the bytes are taken over once,
  // then each line becomes a record.
  char* bulk_reserve(size_t size) { return reserve(size); }
  void bulk_commit(size_t size) { used_ += size; }
  SourceRecord& add_line(size_t at, size_t size);

  std::string_view payload(const SourceRecord& record) const {
    return {buffer_ + record.payload_at, record.payload_size};
  }
  std::string_view payloads() const { return {buffer_, used_}; }
  // Makes the padding behind the last payload zero. Called once all records are there.
  void seal();
  bool empty() const { return records.empty(); }
  void clear();

  std::vector<SourceRecord> records;
  PayloadFormat format = PayloadFormat::kJson;
  Arena arena;        // for attributes
  Document position;  // where the source stands after the last record: what a checkpoint stores and
                      // Source::open takes back
  bool end_of_input = false;  // a finite source (documents) has nothing more
  bool replaying = false;     // more records that were read before are still to come
  int64_t ingest_ms = 0;      // wall clock when the batch was read
  int64_t read_ns = 0;        // the same on the monotonic clock

 private:
  char* buffer_ = nullptr;
  size_t used_ = 0;
  size_t capacity_ = 0;
};

// One partition of a source, for watermarks and stats.
struct SourcePartition {
  std::string topic;
  int32_t partition = 0;
};

// Where records come from. open() and close() run on the thread that starts and stops the
// processor, read() on the source's own thread; describe() on the pipeline thread. Nothing is
// called concurrently with open() or close().
class Source {
 public:
  virtual ~Source() = default;

  virtual std::string_view name() const = 0;  // "KafkaConsumerOperator"
  virtual std::string_view type()
      const = 0;  // {$meta: "stream.source.type"}: "kafka", "atlas", "generated"

  // Connects and takes position: at `position` of a checkpoint, or where the options say when it is
  // missing. Blocks at most about 30 s. Errors: the user's (419, 77175, …) with the documented
  // text; the start command answers with them.
  virtual Status open(const Value& position) = 0;
  // Fills `batch` with what is there, waits up to `max_wait` for the first record; an empty batch
  // is no error. Stops at about `max_records` records or 1 MiB. Errors: the outside world's; the
  // processor retries from the last checkpoint.
  virtual Status read(SourceBatch& batch, size_t max_records,
                      std::chrono::milliseconds max_wait) = 0;
  virtual void close() {}
  // Where it stands right after open(), before the first read(): kept at once, so that a processor
  // that ends before its first checkpoint goes on from where it began. {} for sources that always
  // begin at the same place.
  virtual Document position() const { return {}; }

  // True if open() at an earlier position gives the same records again.
  virtual bool replayable() const { return false; }
  // After open() at an earlier position: records up to `position` were processed once; they are
  // marked as replayed. Requires: replayable().
  virtual void replay_until(const Value& /*position*/) {}

  // The partitions known now; grows only. Any thread.
  virtual std::vector<SourcePartition> partitions() const { return {SourcePartition{}}; }
  // Adds the fields of stream.source beside `type` and `ts` for one record (topic, partition,
  // offset, key; operationType, ns, …). `body` is the decoded event (change streams read theirs
  // from it).
  virtual void describe(const SourceRecord& /*record*/, const Value& /*body*/, Arena& /*arena*/,
                        ObjectBuilder& /*source*/) const {}
  // A checkpoint with this position has been committed. Any thread; returns at once (offsets are
  // committed in the background).
  virtual void on_committed(const Value& /*position*/) {}
  // Fields that only this source adds to `stats` (kafkaPartitions, changeStreamState, …).
  // `checkpoint` is the position of the last checkpoint or missing; `processed` that of the last
  // batch the pipeline has finished. Any thread.
  virtual void add_stats(const Value& /*processed*/, const Value& /*checkpoint*/,
                         BsonWriter& /*stats*/) const {}
};
using SourcePtr = std::unique_ptr<Source>;

// What the parse function of a kind of source gets.
struct SourceContext {
  const Value& spec;           // what stands beside $source, spellings normalized
  ConnectionPtr connection;    // null for documents
  ClusterConnector* clusters;  // for change streams on the local database and remote ones
  const Clock* clock;
  std::string processor_id;  // for the default consumer group; empty for sp.process()
  Value start_position;  // startAfter / startAtOperationTime of the start command, as {startAfter:
                         // …}; missing otherwise
};

// Checks the options of this kind of source and makes it, unopened. Fields common to all sources
// (connectionName, timeField, tsFieldName) are the builder's. An option that is not there yet is
// refused by name. Errors: 420 StreamProcessorInvalidOptions.
using SourceFunction = Result<SourcePtr> (*)(const SourceContext& context);

}  // namespace millrace::engine
