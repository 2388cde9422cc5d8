#include "commands/local/empty_timestamp.h"

#include <algorithm>
#include <atomic>

namespace millrace::commands {

using engine::Type;
using engine::Value;

bool is_empty_timestamp(const engine::Field& field) {
  return field.value.is(Type::kTimestamp) && field.value.as_timestamp_bits() == 0 &&
         !field.has_name("_id");
}

bool has_empty_timestamp(const Value& document) {
  // Most documents have no byte that could be a timestamp's type.
  constexpr char kTimestampByte = 0x11;
  if (!document.is_tree() && document.bson_bytes().find(kTimestampByte) == std::string_view::npos)
    return false;
  for (const auto& field : document.as_object()) {
    if (is_empty_timestamp(field)) return true;
  }
  return false;
}

Value next_timestamp(const engine::Clock& clock) {
  static std::atomic<uint64_t> latest{0};
  uint64_t now = static_cast<uint64_t>(clock.now_ms() / 1000) << 32;
  uint64_t before = latest.load(std::memory_order_relaxed);
  uint64_t next = 0;
  do {
    next = std::max(before, now) + 1;
  } while (!latest.compare_exchange_weak(before, next, std::memory_order_relaxed));
  return Value::timestamp(static_cast<uint32_t>(next >> 32), static_cast<uint32_t>(next));
}

}  // namespace millrace::commands
