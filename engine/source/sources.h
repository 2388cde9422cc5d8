// The parse function of every kind of source in this folder; engine/runtime/stage_table.cc puts
// them beside their connection type.
#pragma once

#include "engine/source/source.h"

namespace millrace::engine {

Result<SourcePtr> parse_change_stream_source(const SourceContext& context);
Result<SourcePtr> parse_documents_source(const SourceContext& context);
Result<SourcePtr> parse_kafka_source(const SourceContext& context);
Result<SourcePtr> parse_sample_source(const SourceContext& context);

}  // namespace millrace::engine
