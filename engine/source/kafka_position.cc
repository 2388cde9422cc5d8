#include "engine/source/kafka_position.h"

namespace millrace::engine {

void for_each_partition(
    const Value& position,
    const std::function<void(std::string_view topic, int32_t partition, int64_t offset)>& visit) {
  Value list = position.is_object() ? position.as_object().get("partitions") : Value();
  if (!list.is_array()) return;
  for (const Value& entry : list.as_array()) {
    if (!entry.is_object()) continue;
    ObjectView view = entry.as_object();
    Value topic = view.get("topic"), partition = view.get("partition"), offset = view.get("offset");
    if (topic.is_string() && partition.is_integer() && offset.is_integer())
      visit(topic.as_string(), static_cast<int32_t>(partition.integer_value()),
            offset.integer_value());
  }
}

int64_t offset_in(const Value& position, std::string_view topic, int32_t partition) {
  int64_t found = -1;
  for_each_partition(position, [&](std::string_view t, int32_t p, int64_t offset) {
    if (found < 0 && t == topic && p == partition) found = offset;
  });
  return found;
}

}  // namespace millrace::engine
