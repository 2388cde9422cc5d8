// Where the output and the dead letters of a tested processor end up.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/connection/connection.h"
#include "engine/sink/sink.h"
#include "engine/testing/matcher.h"

namespace millrace::engine {

// A document that came out, and where to: a topic, "db.coll", or "__testLog".
struct Output {
  std::string target;
  Actual actual;
};

// Everything that has come out so far. Outlives what writes into it.
struct Captured {
  std::vector<Output> outputs;
  std::vector<Document> letters;  // as the dead letter queue stores them
};

// The target of documents whose route names none, from the pipeline's last stage.
std::string fixed_target(const Value& pipeline);

// A writer of $merge or $emit that keeps what it gets.
std::unique_ptr<SinkWriter> make_capturing_writer(std::string target, Captured& captured);

// Takes the inserts of dead letter queues; every other command is an error.
class CapturingClusters final : public ClusterConnector {
 public:
  explicit CapturingClusters(Captured& captured) : captured_(captured) {}
  Result<std::unique_ptr<ClusterClient>> connect(const Connection& connection) override;

 private:
  Captured& captured_;
};

}  // namespace millrace::engine
