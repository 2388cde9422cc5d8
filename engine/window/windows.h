// The window stages, for the stage table and for what drives a pipeline with one of them.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/windows/
#pragma once

#include <string>

#include "engine/stage/operator.h"

namespace millrace::engine {

// A $tumblingWindow, $hoppingWindow or $sessionWindow at work.
class WindowStage : public Operator {
 public:
  bool stateless() const override { return false; }
  bool has_state() const override { return true; }
  // What {$meta: "stream.source.type"} is in the documents that come out of a window.
  void set_source_type(std::string type) { source_type_ = std::move(type); }

 protected:
  std::string source_type_ = "generated";
};

// Errors: 420 StreamProcessorInvalidOptions for the window's own options, those of the stages for
// its pipeline.
Result<OperatorPtr> parse_tumbling_window_stage(std::string_view name, const Value& spec,
                                                StageContext& context);
Result<OperatorPtr> parse_hopping_window_stage(std::string_view name, const Value& spec,
                                               StageContext& context);
Result<OperatorPtr> parse_session_window_stage(std::string_view name, const Value& spec,
                                               StageContext& context);

}  // namespace millrace::engine
