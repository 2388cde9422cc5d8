// What a Kafka connection means to librdkafka.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/connection/connection.h"

namespace millrace::engine {

enum class KafkaRole : uint8_t { kConsumer, kProducer };

// librdkafka's properties, in the order to set them. They hold secrets: never log them.
using KafkaProperties = std::vector<std::pair<std::string, std::string>>;

// Brokers, login and the options of `config` that belong to this role. Errors: 420 for a way to log
// in that is not supported or lacks its credentials.
Result<KafkaProperties> kafka_properties(const Connection& connection, KafkaRole role);

}  // namespace millrace::engine
