#include "engine/runtime/counters.h"

namespace millrace::engine {

void ProcessorCounters::add(const PipelineStats& run, int64_t run_dlq_bytes) {
  input_count += run.input_count;
  input_bytes += run.input_bytes;
  output_count += run.output_count;
  output_bytes += run.output_bytes;
  dlq_count += run.dlq_count;
  dlq_bytes += run_dlq_bytes;
}

Document ProcessorCounters::encode() const {
  BsonWriter w;
  w.begin_document();
  w.append("inputMessageCount", input_count);
  w.append("inputMessageSize", input_bytes);
  w.append("outputMessageCount", output_count);
  w.append("outputMessageSize", output_bytes);
  w.append("dlqMessageCount", dlq_count);
  w.append("dlqMessageSize", dlq_bytes);
  w.end();
  return Document(w.bytes());
}

ProcessorCounters ProcessorCounters::decode(const Value& stored) {
  auto number = [&](std::string_view field) {
    Value v = stored.as_object().get(field);
    return v.is_integer() ? v.integer_value() : 0;
  };
  ProcessorCounters c;
  c.input_count = number("inputMessageCount");
  c.input_bytes = number("inputMessageSize");
  c.output_count = number("outputMessageCount");
  c.output_bytes = number("outputMessageSize");
  c.dlq_count = number("dlqMessageCount");
  c.dlq_bytes = number("dlqMessageSize");
  return c;
}

}  // namespace millrace::engine
