// Every stage of the language: what Millrace runs, where it may stand, and what it knows but does
// not support.
#pragma once

#include <span>
#include <string_view>

#include "engine/sink/sink.h"
#include "engine/source/source.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

struct StageRow {
  std::string_view name;
  uint8_t places;       // Place bits where it may stand
  StageFunction parse;  // nullptr: not supported by Millrace (yet), or not a stage in the middle
                        // ($source, sinks)
  std::string_view manual;  // page under https://www.mongodb.com/docs/manual/reference/operator/ or
                            // …/atlas-stream-processing/
};

std::span<const StageRow> stage_rows();
const StageRow* find_stage(std::string_view name);

// Kinds of sources by the connection type's name, "" for inline documents; nullptr when that type
// cannot be a source (or not yet).
SourceFunction find_source(std::string_view connection_type);

struct SinkRow {
  std::string_view stage;            // "$merge", "$emit"
  std::string_view connection_type;  // "Cluster", "Kafka", "" for the built-in __testLog
  SinkFunction parse;                // nullptr: documented by Atlas, not supported by Millrace yet
  std::string_view manual;
};
std::span<const SinkRow> sink_rows();
bool is_sink_stage(std::string_view name);
// $tumblingWindow, $hoppingWindow, $sessionWindow.
bool is_window_stage(std::string_view name);

// Builds lists of stages for one place.
class StageListBuilder final : public PipelineBuilder {
 public:
  Result<std::vector<OperatorPtr>> build(const Value& pipeline, Place place,
                                         StageContext& context) override;
};

// 7749501 when there are more stages than a pipeline may have.
Status check_stage_count(size_t count);

// The name and operand of one element of a pipeline. Errors: 40323 when it is no object with
// exactly one field.
Result<Field> stage_of(const Value& element);

}  // namespace millrace::engine
