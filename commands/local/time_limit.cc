#include "commands/local/time_limit.h"

#include <chrono>

namespace millrace::commands {
namespace {

using Clock = std::chrono::steady_clock;

struct Limit {
  bool set = false;
  bool passed = false;
  uint32_t asked = 0;
  Clock::time_point end;
};
thread_local Limit limit;

constexpr uint32_t kAskedPerLook = 32;  // reading the clock costs more than a document

}  // namespace

TimeLimit::TimeLimit(int64_t milliseconds) {
  limit = {};
  limit.set = milliseconds > 0;
  if (limit.set) limit.end = Clock::now() + std::chrono::milliseconds(milliseconds);
}

TimeLimit::~TimeLimit() { limit = {}; }

engine::Status TimeLimit::check() {
  if (!limit.set) return {};
  if (limit.asked++ % kAskedPerLook == 0) limit.passed = Clock::now() >= limit.end;
  if (!limit.passed) return {};
  return engine::Status(engine::ErrorCode::kMaxTimeMsExpired, "operation exceeded time limit");
}

}  // namespace millrace::commands
