// The interface of everything between a source and a sink, and the batch of documents that travels
// through it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/arena.h"
#include "engine/document/bson.h"
#include "engine/document/clock.h"
#include "engine/document/status.h"
#include "engine/document/value.h"
#include "engine/expression/expression.h"

namespace millrace::engine {

struct SourceRecord;  // source/source.h: the bytes a document came from

// Milliseconds since the epoch; no watermark yet.
inline constexpr int64_t kNoWatermark = std::numeric_limits<int64_t>::min();

// One document on its way. The body may be pruned to what later stages read (Dependencies); its
// record has the whole.
struct StreamDocument {
  Value body;  // an object
  Value meta;  // stream metadata as an object, or missing when nothing in the pipeline reads it
  int64_t timestamp_ms = 0;             // event time
  int64_t watermark_ms = kNoWatermark;  // the watermark as it was before this document was consumed
  const SourceRecord* record =
      nullptr;           // null behind a stage that makes new documents ($group, window)
  uint32_t ordinal = 0;  // which of the documents that $unwind made from one record
};

// Documents that are processed together, in order, and the memory their values live in.
struct Batch {
  Arena arena;
  std::vector<StreamDocument> documents;
  int64_t watermark_ms =
      kNoWatermark;      // the watermark after the whole batch, filtered documents included
  int64_t consumed = 0;  // records read at the source for this batch, whatever became of them; 0
                         // when only time has passed

  void clear() {
    documents.clear();
    arena.reset();
    watermark_ms = kNoWatermark;
    consumed = 0;
  }
};

// Where a document goes that an operator cannot process.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  // `document` as it entered the operator; `reason` for errInfo.reason.
  virtual void add(const StreamDocument& document, std::string_view operator_name,
                   std::string_view reason) = 0;
};

// Where an operator's documents go on before its batch is done, so that a large output takes the
// memory of a portion only.
class Downstream {
 public:
  explicit Downstream(size_t portion) : portion(portion) {}
  virtual ~Downstream() = default;
  // Runs the later stages on the batch's documents, which are over when it returns.
  virtual void pass_on(Batch& batch) = 0;

  const size_t portion;  // documents that are worth the way; more should not wait
};

// Bytes of state that the processor holds, against its ceiling.
struct MemoryAccount {
  int64_t state_bytes = 0;
  int64_t limit_bytes = std::numeric_limits<int64_t>::max();
};

// What an operator may use while it works. One per pipeline; single-threaded.
struct OperatorContext {
  EvalContext eval;
  const Clock* clock = nullptr;
  DeadLetters* dead_letters = nullptr;
  Downstream* downstream = nullptr;  // null: all output is handed over at the end of the batch
  MemoryAccount* memory = nullptr;
};

// Counters of one operator, as stats({verbose: true}) shows them.
struct OperatorStats {
  int64_t input_count = 0;
  int64_t input_bytes = 0;
  int64_t output_count = 0;
  int64_t output_bytes = 0;
  int64_t dlq_count = 0;
  int64_t dlq_bytes = 0;
  int64_t execution_ns = 0;
  int64_t max_state_bytes = 0;
};

// A stage at work. Made by its parse function, used by one thread at a time. It reads time only
// from the context's clock and talks only to the batch it is given and to the dead letters.
class Operator {
 public:
  virtual ~Operator() = default;

  // The operator's class name as Atlas shows it: "MatchOperator", "TumblingWindowOperator".
  virtual std::string_view name() const = 0;

  // Turns what later stages need into what this one needs of its input (in place).
  virtual void dependencies(Dependencies& dependencies) const = 0;

  // True for a stage that only drops documents: bodies go through it unchanged ($match, $validate).
  virtual bool only_filters() const { return false; }
  // True for a stage that only puts its documents into another order ($sort).
  virtual bool only_orders() const { return false; }
  // How many documents it gives at the most ($limit).
  virtual int64_t most_documents() const { return std::numeric_limits<int64_t>::max(); }
  // True for a stage of which every output belongs to one input record (all but windows, $group,
  // $sort, $limit, $count).
  virtual bool stateless() const { return true; }

  // Replaces the batch's documents by the stage's output for them, in order. A stateful stage may
  // take all and give nothing.
  virtual void on_batch(Batch& batch, OperatorContext& context) = 0;

  // The end of a bounded input (a closed window's documents, an aggregate command): blocking stages
  // now add their output to `batch`.
  virtual void on_end(Batch& /*batch*/, OperatorContext& /*context*/) {}

  // A bounded input that is in `batch` from its first to its last document; the stage is fresh
  // before and after. Documents may stay where they are.
  virtual void on_whole(Batch& batch, OperatorContext& context) {
    on_batch(batch, context);
    on_end(batch, context);
    reset();
  }

  // Time has passed without input: windows may close on idleness or on processing time. Output goes
  // to `batch`.
  virtual void on_tick(Batch& /*batch*/, OperatorContext& /*context*/) {}
  // The next clock time (now_ms scale) at which on_tick has something to do; max() when there is
  // none.
  virtual int64_t next_tick_ms() const { return std::numeric_limits<int64_t>::max(); }

  // Bounded stages used again for another input (the next window): back to the fresh state.
  virtual void reset() {}

  // State for a checkpoint: a BSON document under readable field names; nothing for a stateless
  // operator.
  virtual bool has_state() const { return false; }
  virtual void on_checkpoint(BsonWriter& /*state*/) const {}
  virtual Status restore(const Value& /*state*/, OperatorContext& /*context*/) { return {}; }

  // Bytes of state held now.
  virtual int64_t state_bytes() const { return 0; }
  // Fields of operatorStats that only this kind of operator has, e.g. minOpenWindowStartTime.
  virtual void add_stats(BsonWriter& /*stats*/) const {}

  OperatorStats stats;
};
using OperatorPtr = std::unique_ptr<Operator>;

// Where a stage stands; each stage's row says which places allow it (stages-windows-time.md section
// 2).
enum class Place : uint8_t { kMain = 1, kWindow = 2, kPayload = 4, kAggregate = 8, kUpdate = 16 };

struct StageContext;

// Builds a list of stages: what a stage that holds a pipeline is handed instead of including the
// table.
class PipelineBuilder {
 public:
  virtual ~PipelineBuilder() = default;
  virtual Result<std::vector<OperatorPtr>> build(const Value& pipeline, Place place,
                                                 StageContext& context) = 0;
};

// What a stage's parse function gets.
struct StageContext {
  ParseContext& parse;
  PipelineBuilder& builder;
  Place place;
};

// `spec` is what stands beside the stage's name, e.g. the value of {$match: …}.
using StageFunction = Result<OperatorPtr> (*)(std::string_view name, const Value& spec,
                                              StageContext& context);

// A stage that turns each document into exactly one other, or drops it, needs only this: the loop,
// the dead letters and the counters stand in per_document.cc.
class PerDocumentOperator : public Operator {
 public:
  void on_batch(Batch& batch, OperatorContext& context) final;

 protected:
  // Changes `document` in place; false drops it. Throws EvaluationError: the document goes to the
  // dead letters.
  virtual bool process(StreamDocument& document, OperatorContext& context) = 0;
};

}  // namespace millrace::engine
