// {$emit: {connectionName: "__testLog"}}: counts and discards.
#include "engine/sink/sinks.h"

namespace millrace::engine {
namespace {

class LogEncoder final : public SinkEncoder {
 public:
  std::string_view name() const override { return "LogSinkOperator"; }
};

// The documents have been counted and encoded by the time they get here; nobody wants them.
class LogWriter final : public SinkWriter {
 public:
  Status write(const OutputBatch&, SinkDeadLetters&) override { return {}; }
};

}  // namespace

Result<Sink> parse_test_log_sink(SinkContext& context) {
  for (const Field& field : context.spec.as_object()) {
    if (field.name() == "connectionName") continue;
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  "$emit to __testLog has an unknown field '" + std::string(field.name()) + "'");
  }
  Sink sink;
  sink.encoder = std::make_unique<LogEncoder>();
  sink.writer = std::make_unique<LogWriter>();
  return sink;
}

}  // namespace millrace::engine
