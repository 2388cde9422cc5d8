#include "engine/window/pane_merger.h"

namespace millrace::engine {

std::vector<const WindowContent*> PaneMerger::window(Panes& panes, int64_t first, int64_t last) {
  drop_before(first);
  std::vector<const WindowContent*> parts;
  if (back_used_ && back_from_ < first && first > front_until_)
    back_used_ = false;  // windows were skipped: it holds what is over
  merge_new(panes, first, last);
  if (front_.empty() && first > front_until_) {
    if (!worth_a_front(panes, first, last)) {
      back_used_ = false;  // valid for this window, not for the next, which lacks its first pane
      if (!back_.empty()) parts.push_back(&back_);
      return parts;
    }
    build_front(panes, first, last);
  }
  if (!front_.empty()) parts.push_back(&front_.back().content);
  if (!back_.empty()) parts.push_back(&back_);
  // What came late for panes of the front stretch.
  for (auto at = panes.lower_bound(first); at != panes.end() && at->first <= front_until_; ++at) {
    if (!at->second.empty()) parts.push_back(&at->second);
  }
  return parts;
}

// Merges panes up to `last` into back_ that are not there yet.
void PaneMerger::merge_new(Panes& panes, int64_t first, int64_t last) {
  if (!back_used_) {
    back_ = pipeline_.make_content();
    back_used_ = true;
    back_from_ = std::max(front_until_, first - 1) + 1;
    back_until_ = back_from_ - 1;
  }
  for (auto at = panes.upper_bound(back_until_); at != panes.end() && at->first <= last; ++at) {
    pipeline_.merge(back_, at->second);
  }
  back_until_ = std::max(back_until_, last);
}

// Each entry of the front holds most groups of a window. That pays when panes hold most of them
// too; where each group is in few panes, or holds all that it got, merging them every time costs
// less, and far less memory.
bool PaneMerger::worth_a_front(const Panes& panes, int64_t first, int64_t last) const {
  if (pipeline_.group_grows()) return false;
  size_t entries = 0;
  size_t present = 0;
  for (auto at = panes.lower_bound(first); at != panes.end() && at->first <= last; ++at) {
    entries += at->second.groups->count();
    ++present;
  }
  return present > 2 && entries * 4 >= present * back_.groups->count();
}

void PaneMerger::build_front(Panes& panes, int64_t first, int64_t last) {
  for (auto at = panes.upper_bound(last); at != panes.begin();) {
    --at;
    if (at->first < first) break;
    if (!front_.empty()) pipeline_.merge(at->second, front_.back().content);
    front_.push_back({at->first, std::move(at->second)});
    at = panes.erase(at);
  }
  front_until_ = last;
  back_ = pipeline_.make_content();
  back_from_ = last + 1;
  back_until_ = last;
}

void PaneMerger::drop_before(int64_t pane) {
  while (!front_.empty() && front_.back().pane < pane) front_.pop_back();
}

int64_t PaneMerger::bytes() const {
  int64_t bytes = back_.bytes();
  for (const Suffix& suffix : front_) bytes += suffix.content.bytes();
  return bytes;
}

// back_ is not saved: restore() merges it anew.
void PaneMerger::save(BsonWriter& to) const {
  to.begin_object("merged");
  to.append("frontUntil", front_until_);
  if (back_used_) {
    to.append("backFrom", back_from_);
    to.append("backUntil", back_until_);
  }
  to.begin_array("front");
  size_t index = 0;
  for (const Suffix& suffix : front_) {
    to.begin_object(std::to_string(index++));
    to.append("pane", suffix.pane);
    pipeline_.save(suffix.content, to);
    to.end();
  }
  to.end();
  to.end();
}

Status PaneMerger::restore(const Value& saved, Panes& panes) {
  Status bad(ErrorCode::kInternalError, "the saved panes of a window are not readable");
  if (!saved.is_object()) return bad;
  Value front_until = saved.as_object().get("frontUntil");
  Value back_from = saved.as_object().get("backFrom");
  Value back_until = saved.as_object().get("backUntil");
  Value front = saved.as_object().get("front");
  if (!front_until.is(Type::kInt64) || !front.is_array()) return bad;
  for (const Value& element : front.as_array()) {
    if (!element.is_object()) return bad;
    Value pane = element.as_object().get("pane");
    if (!pane.is(Type::kInt64)) return bad;
    front_.push_back({pane.as_int64(), pipeline_.make_content()});
    MR_RETURN_IF_ERROR(pipeline_.load(front_.back().content, element));
  }
  front_until_ = front_until.as_int64();
  if (back_from.is(Type::kInt64) && back_until.is(Type::kInt64))
    merge_new(panes, back_from.as_int64(), back_until.as_int64());
  return {};
}

}  // namespace millrace::engine
