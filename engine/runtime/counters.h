// The counters of a stream processor that survive its runs.
#pragma once

#include <cstdint>

#include "engine/document/bson.h"
#include "engine/runtime/pipeline.h"

namespace millrace::engine {

// Sums over all runs of a processor. Sizes in bytes.
struct ProcessorCounters {
  int64_t input_count = 0, input_bytes = 0;
  int64_t output_count = 0, output_bytes = 0;
  int64_t dlq_count = 0, dlq_bytes = 0;

  void add(const PipelineStats& run, int64_t run_dlq_bytes);
  // {inputMessageCount, inputMessageSize, …}, all int64.
  Document encode() const;
  // Requires: an object. What is not there is 0.
  static ProcessorCounters decode(const Value& stored);
};

}  // namespace millrace::engine
