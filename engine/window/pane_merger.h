// Puts overlapping windows together from panes at an amortised cost of a few merges per group and
// pane, however many panes a window has.
//
// Two stacks: `front` holds, for each pane of an older stretch, that pane merged with all later
// ones of the stretch; `back` is the merge of all panes behind the stretch. A window is the front's
// entry for its first pane, merged with `back`. When the windows have moved past the stretch, a new
// one is built from the panes that are there.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "engine/window/inner_pipeline.h"

namespace millrace::engine {

// Panes by number, in order.
using Panes = std::map<int64_t, WindowContent>;

// Single-threaded.
class PaneMerger {
 public:
  explicit PaneMerger(InnerPipeline& pipeline) : pipeline_(pipeline) {}

  // The parts that make up the panes [first, last], in order; valid until the next call. Takes
  // panes out of `panes` whose content it now holds itself. Requires: windows are asked for in
  // ascending order.
  std::vector<const WindowContent*> window(Panes& panes, int64_t first, int64_t last);
  // True if `pane` is already part of what later windows are put together from, so that a late
  // document must be added to back() as well.
  bool has_merged(int64_t pane) const {
    return back_used_ && pane > front_until_ && pane <= back_until_;
  }
  WindowContent& back() { return back_; }

  // The oldest pane held here, or max().
  int64_t oldest() const {
    return front_.empty() ? std::numeric_limits<int64_t>::max() : front_.back().pane;
  }
  // Forgets panes before `pane`.
  void drop_before(int64_t pane);
  int64_t bytes() const;

  void save(BsonWriter& to) const;
  Status restore(const Value& saved, Panes& panes);

 private:
  struct Suffix {
    int64_t pane;
    WindowContent content;
  };
  void merge_new(Panes& panes, int64_t first, int64_t last);
  void build_front(Panes& panes, int64_t first, int64_t last);
  bool worth_a_front(const Panes& panes, int64_t first, int64_t last) const;

  InnerPipeline& pipeline_;
  std::vector<Suffix> front_;  // oldest pane last
  int64_t front_until_ = std::numeric_limits<int64_t>::min();
  bool back_used_ = false;
  WindowContent back_;
  int64_t back_from_ = 0;  // panes from here to back_until_ are in back_
  int64_t back_until_ = std::numeric_limits<int64_t>::min();
};

}  // namespace millrace::engine
