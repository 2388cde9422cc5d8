// The position of a Kafka source as a checkpoint keeps it:
//   {partitions: [{topic: "t", partition: 0, offset: <next offset to read>}, ...]}
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/document/value.h"

namespace millrace::engine {

// Calls `visit` for each partition in the order of the position; what is not of that form is passed
// over.
void for_each_partition(
    const Value& position,
    const std::function<void(std::string_view topic, int32_t partition, int64_t offset)>& visit);

// -1 where the position does not name that partition.
int64_t offset_in(const Value& position, std::string_view topic, int32_t partition);

}  // namespace millrace::engine
