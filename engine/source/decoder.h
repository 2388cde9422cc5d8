// Decodes the raw records of a source batch: only the fields a pipeline reads, straight from JSON
// or BSON bytes.
//
// Why our own JSON reader: reading only the needed fields is worth a factor of 2.5 over making
// whole documents, libbson's reader costs a factor of 15, and simdjson's on-demand front end cannot
// resume behind a broken document of a batch. The heavy part, finding the structure of the text and
// checking UTF-8, is simdjson's (its first stage, over a whole batch at once); here the tokens it
// found are walked, every one of them, so that a record with broken JSON anywhere is refused and
// not half believed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/field_path.h"
#include "engine/document/value.h"
#include "engine/source/source.h"

namespace millrace::engine {

// Which fields to decode, with a memory of the shape of the last document: streams repeat their
// shape, so each key is compared with the one that stood there last time before it is looked up.
class DecodePlan {
 public:
  // Everything.
  DecodePlan() : all_(true) {}
  // The fields in `paths`. Names stay those of `paths` (interned ones are found by address later).
  explicit DecodePlan(const PathSet& paths);
  DecodePlan(DecodePlan&&) = default;

  bool all() const { return all_; }

 private:
  friend class JsonDecoder;
  friend class BsonDecoder;

  static constexpr int kSkip = -1;
  struct Entry {
    std::string_view name;
    std::unique_ptr<DecodePlan> sub;  // null: the whole value
  };
  // What stood at one position of the last document: the key's bytes as they stood and the entry it
  // means.
  struct Seen {
    std::string key;  // padded with 16 zero bytes behind `size`
    uint32_t size = 0;
    int entry = kSkip;
  };

  int find(std::string_view key) const;
  void remember(size_t position, std::string_view key, int entry);

  bool all_ = false;
  bool numeric_child_ =
      false;  // a part like "0" may be an array index: arrays here are decoded whole
  std::vector<Entry> entries_;
  std::vector<Seen> seen_;
};

// Single-threaded. One per pipeline and plan.
class JsonDecoder {
 public:
  explicit JsonDecoder(DecodePlan plan);
  ~JsonDecoder();

  // Finds the structure of all payloads of `batch`. Requires: JSON; the batch stays as it is while
  // its records are decoded.
  void start(SourceBatch& batch);
  // Decodes the next record (in order, each once after start) into `body`: an object in tree form
  // whose strings point into the batch. A top-level array becomes an object with the fields "0",
  // "1", … Returns nullptr, or why the record is no document.
  const char* next(const SourceRecord& record, Arena& arena, Value* body);
  // Decodes one payload in full, whatever the plan; what `body` points to lives in `arena`. Does
  // not disturb next().
  const char* decode_whole(std::string_view payload, Arena& arena, Value* body);

 private:
  class Walker;
  struct Index;
  const char* decode_alone(std::string_view payload, DecodePlan& plan, Arena& arena, Value* body);

  std::unique_ptr<Index> index_;
  DecodePlan plan_;
  DecodePlan whole_;
  std::unique_ptr<JsonDecoder> aside_;  // for decode_whole, while the batch's own index is in use
};

// The same for records that are BSON already (change streams, documents). With a plan for
// everything the bytes are kept as they are.
class BsonDecoder {
 public:
  explicit BsonDecoder(DecodePlan plan) : plan_(std::move(plan)) {}
  // Requires: `payload` is valid BSON (the source made or checked it).
  Value decode(std::string_view payload, Arena& arena);

 private:
  Value decode_object(const char* bson, DecodePlan& plan, Arena& arena);
  Value decode_array(const char* bson, DecodePlan& plan, Arena& arena);
  DecodePlan plan_;
};

}  // namespace millrace::engine
