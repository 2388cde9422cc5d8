// The parse function of every sink in this folder; engine/runtime/stage_table.cc puts them beside
// their stage and connection type.
#pragma once

#include "engine/sink/sink.h"

namespace millrace::engine {

Result<Sink> parse_kafka_emit_sink(SinkContext& context);
Result<Sink> parse_merge_sink(SinkContext& context);
Result<Sink> parse_test_log_sink(SinkContext& context);

}  // namespace millrace::engine
