// The $source stage: which kind of source it is, and the fields that all kinds share.
#pragma once

#include <memory>
#include <string>

#include "engine/connection/registry.h"
#include "engine/source/source.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

class StandIns;

struct SourceStage {
  SourcePtr source;
  ExpressionPtr time_field;               // null: the source's own time
  std::string ts_field;                   // tsFieldName, "" when not given
  int64_t partition_idle_timeout_ms = 0;  // partitionIdleTimeout; 0 = never idle
};

struct SourceEnvironment {
  const ConnectionRegistry& connections;
  ClusterConnector* clusters;
  const Clock* clock;
  std::string processor_id;
  Value start_position;
  StandIns* stand_ins = nullptr;
};

// `spec` is what stands beside $source. Errors: 420 for options, the registry's text for an unknown
// connection.
Result<SourceStage> parse_source_stage(const Value& spec, const SourceEnvironment& environment,
                                       ParseContext& parse);

}  // namespace millrace::engine
