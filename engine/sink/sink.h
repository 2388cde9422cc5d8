// The two halves of every sink: an encoder on the pipeline thread that makes bytes of documents,
// and a writer on the sink's own thread that brings them out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connection/connection.h"
#include "engine/document/bson.h"
#include "engine/document/status.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

// Encoded documents on their way to the sink thread. Recycled.
struct OutputBatch {
  struct Item {
    uint32_t begin;  // of the document in `documents`
    uint32_t size;
    uint32_t route_begin;  // of the route document in `routes`; size 0: no route
    uint32_t route_size;
  };
  BsonWriter documents;  // BSON, one behind the other
  BsonWriter routes;  // what the encoder evaluated per document (database, topic, key, action): a
                      // BSON document of its own making
  std::vector<Item> items;
  int64_t read_ns = 0;  // monotonic clock: when the input that gave this output was read

  std::string_view document(const Item& item) const {
    return documents.bytes().substr(item.begin, item.size);
  }
  std::string_view route(const Item& item) const {
    return routes.bytes().substr(item.route_begin, item.route_size);
  }
  void clear() {
    documents.clear();
    routes.clear();
    items.clear();
    read_ns = 0;
  }
};

// Turns documents into items of an OutputBatch. On the pipeline thread; part of the pipeline, so it
// has its dependencies.
class SinkEncoder {
 public:
  virtual ~SinkEncoder() = default;
  virtual std::string_view name()
      const = 0;  // "MergeOperator", "KafkaEmitOperator", "LogSinkOperator"
  // What the sink reads: normally the whole document.
  virtual void dependencies(Dependencies& dependencies) const { dependencies.fields.add_all(); }
  // Appends one item. Throws EvaluationError: the document goes to the dead letters (a topic
  // expression that is no string, …).
  virtual void encode(const StreamDocument& document, OperatorContext& context,
                      OutputBatch& batch) {
    append(document.body, batch);
    (void)context;
  }

  OperatorStats stats;

 protected:
  // The document and, unless it is missing, its route (an object). Throws EvaluationError for what
  // no BSON document can hold; the batch is then as it was.
  static void append(const Value& document, OutputBatch& batch, const Value& route = Value());
};

// Takes dead letters from the sink thread (a duplicate key, a document too large): thread-safe,
// never drops.
class SinkDeadLetters {
 public:
  virtual ~SinkDeadLetters() = default;
  virtual void add(std::string_view document, std::string_view operator_name,
                   std::string_view reason) = 0;
};

// Brings encoded documents out. open(), write(), flush() and close() on the sink thread (open()
// also on the starting thread, before).
class SinkWriter {
 public:
  virtual ~SinkWriter() = default;
  // Connects and checks what can be checked before the first document. The start command answers
  // with the error.
  virtual Status open() { return {}; }
  // Hands the batch to the target. Documents that the target refuses one by one go to
  // `dead_letters`; an error means that the target is out of reach and the same batch may be
  // written again (at-least-once).
  virtual Status write(const OutputBatch& batch, SinkDeadLetters& dead_letters) = 0;
  // Returns when everything written so far is safe at the target: a checkpoint waits for it.
  virtual Status flush(SinkDeadLetters& /*dead_letters*/) { return {}; }
  virtual void close() {}
  // Fields that only this sink adds to its operatorStats entry (targetStats). Any thread.
  virtual void add_stats(BsonWriter& /*stats*/) const {}
};

// A sink: its two halves.
struct Sink {
  std::unique_ptr<SinkEncoder> encoder;
  std::unique_ptr<SinkWriter> writer;
};

struct SinkContext {
  const Value& spec;         // what stands beside $merge or $emit, spellings normalized
  ConnectionPtr connection;  // null for the built-in ones
  ClusterConnector* clusters;
  ParseContext& parse;
  StageContext& stage;  // for update pipelines ($merge.whenMatched)
  const Clock* clock;
};

// Checks the options and makes the sink, unopened. An option that is not there yet is refused by
// name. Errors: 420.
using SinkFunction = Result<Sink> (*)(SinkContext& context);

}  // namespace millrace::engine
