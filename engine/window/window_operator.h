// $tumblingWindow and $hoppingWindow at work: assigning documents to windows of fixed size, closing
// these by watermark, idleness or the clock, and what is late. Rules:
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/windows/
#pragma once

#include <memory>
#include <optional>

#include "engine/window/inner_pipeline.h"
#include "engine/window/pane_merger.h"
#include "engine/window/window_geometry.h"
#include "engine/window/window_options.h"
#include "engine/window/windows.h"

namespace millrace::engine {

inline constexpr std::string_view kLateReason = "Input document arrived late.";
inline constexpr std::string_view kTimeRangeReason =
    "The event time of the input document is out of range.";

class FixedWindowOperator final : public WindowStage {
 public:
  FixedWindowOperator(WindowKind kind, WindowOptions options,
                      std::unique_ptr<InnerPipeline> pipeline);

  std::string_view name() const override { return name_; }
  void dependencies(Dependencies& dependencies) const override {
    pipeline_->dependencies(dependencies);
  }
  void on_batch(Batch& batch, OperatorContext& context) override;
  void on_end(Batch& batch, OperatorContext& context) override;
  void on_tick(Batch& batch, OperatorContext& context) override;
  int64_t next_tick_ms() const override;
  void on_checkpoint(BsonWriter& state) const override;
  Status restore(const Value& state, OperatorContext& context) override {
    return restore_from(state, true, context);
  }
  Status restore_bounds(const Value& state, OperatorContext& context) override {
    return restore_from(state, false, context);
  }
  int64_t oldest_open_ms() const override;
  bool by_processing_time() const override { return options_.processing_time; }
  int64_t length_ms() const override { return options_.interval_ms; }
  int64_t state_bytes() const override;
  void add_stats(BsonWriter& stats) const override;

 private:
  Status restore_from(const Value& state, bool with_contents, OperatorContext& context);
  void take(std::span<StreamDocument> documents, Batch& batch, OperatorContext& context);
  // Documents of one slice, one behind the other.
  void add_run(std::span<StreamDocument> run, Batch& batch, OperatorContext& context);
  void add_to_contents(std::span<StreamDocument> run, OperatorContext& context);
  WindowContent& content(int64_t number);
  bool move_to(int64_t time_ms);
  void reject(const StreamDocument& document, std::string_view reason, OperatorContext& context);

  int64_t closed_until() const;
  std::optional<int64_t> oldest_window() const;
  void raise_watermark(int64_t watermark_ms, OperatorContext& context);
  // Closes, oldest first, all windows with end <= `until`; returns the end of the last one, or
  // kNoWatermark.
  int64_t close_until(int64_t until, OperatorContext& context);
  void close(int64_t window, OperatorContext& context);
  void plan_next_close();
  bool shares_panes() const { return merger_ != nullptr; }

  // Configuration.
  std::string_view name_;
  WindowOptions options_;
  WindowGeometry geometry_;
  std::unique_ptr<InnerPipeline> pipeline_;
  bool by_slice_;  // contents belong to slices; else each window has its own

  // State that a checkpoint saves.
  Panes contents_;                       // by slice or by window
  std::unique_ptr<PaneMerger> merger_;   // of overlapping windows that keep groups
  int64_t watermark_ms_ = kNoWatermark;  // by processing time: the clock
  int64_t idle_closed_end_ms_ = kNoWatermark;
  int64_t next_window_;  // all before it are closed

  // State that it does not.
  int64_t close_at_ms_;                   // the watermark at which the oldest open window closes
  int64_t last_input_ms_ = kNoWatermark;  // wall clock
  WindowGeometry::Slice slice_{0, 0, 0, 0, -1};  // of the newest document
  bool late_slice_ = false;
  std::vector<StreamDocument> input_;  // of the batch at work
  Batch arrival_;  // documents on their way through the inner pipeline's first stages
};

}  // namespace millrace::engine
