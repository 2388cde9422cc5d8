// The window stages, for the stage table and for what drives a pipeline with one of them.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/windows/
#pragma once

#include <string>

#include "engine/stage/operator.h"
#include "engine/window/window_output.h"

namespace millrace::engine {

// A $tumblingWindow, $hoppingWindow or $sessionWindow at work.
class WindowStage : public Operator {
 public:
  bool stateless() const override { return false; }
  bool has_state() const override { return true; }
  // The time of the oldest document that an open window may hold; max() when none is open.
  virtual int64_t oldest_open_ms() const = 0;
  virtual bool by_processing_time() const = 0;
  // How long a window is, at least.
  virtual int64_t length_ms() const = 0;
  // Like restore(), but only which windows are open and which are closed, not what they hold: the
  // documents come again.
  virtual Status restore_bounds(const Value& state, OperatorContext& context) = 0;
  // What {$meta: "stream.source.type"} is in the documents that come out of a window.
  void set_source_type(std::string type) { source_type_ = std::move(type); }

 protected:
  std::string source_type_ = "generated";
  WindowOutput output_;
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
