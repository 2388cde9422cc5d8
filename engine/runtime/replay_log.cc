#include "engine/runtime/replay_log.h"

#include <algorithm>
#include <limits>

namespace millrace::engine {

void ReplayLog::note(const Document& before, int64_t newest_ms) {
  if (stretches_.size() == kMaxStretches) {
    std::deque<Stretch> merged;
    for (size_t i = 0; i + 1 < stretches_.size(); i += 2) {
      merged.push_back({std::move(stretches_[i].before),
                        std::max(stretches_[i].newest_ms, stretches_[i + 1].newest_ms)});
    }
    stretches_ = std::move(merged);
  }
  stretches_.push_back({before, newest_ms});
}

void ReplayLog::forget_before(int64_t oldest_open_ms) {
  while (!stretches_.empty() && stretches_.front().newest_ms < oldest_open_ms) {
    stretches_.pop_front();
  }
}

Document ReplayLog::encode(int64_t oldest_open_ms) const {
  BsonWriter w;
  w.begin_document();
  if (!stretches_.empty()) {
    w.append("position", stretches_.front().before.value());
    w.append("newest", Value::date(std::max_element(stretches_.begin(), stretches_.end(),
                                                    [](const Stretch& a, const Stretch& b) {
                                                      return a.newest_ms < b.newest_ms;
                                                    })
                                       ->newest_ms));
    w.append("floor", Value::date(oldest_open_ms));
  }
  w.end();
  return Document(w.bytes());
}

void ReplayLog::restore(const Document& saved) {
  stretches_.clear();
  Value position = saved.get("position");
  Value newest = saved.get("newest");
  if (position.is_object() && newest.is(Type::kDate)) {
    stretches_.push_back({Document(position), newest.as_date()});
  }
}

}  // namespace millrace::engine
