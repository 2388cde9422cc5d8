// $emit to Kafka at its broker. What it has taken it keeps until the broker has acknowledged it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/connection/kafka.h"
#include "engine/document/extended_json.h"
#include "engine/sink/sink.h"

namespace millrace::engine {

inline constexpr std::string_view kKafkaEmitOperatorName = "KafkaEmitOperator";
inline constexpr int32_t kCouldNotConnectToKafka = 77175;  // as the service answers

// The compiled options as far as the writer needs them.
struct KafkaEmitPlan {
  ConnectionPtr connection;
  std::string topic;  // "": in every route
  JsonFormat format = JsonFormat::kRelaxed;
  DateFormat dates = DateFormat::kDefault;
  KafkaProperties properties;
};

// Fields of a route document; each is there only if the message has it.
namespace kafka_route {
inline constexpr std::string_view kTopic = "topic";
inline constexpr std::string_view kKey = "key";              // binData: the bytes to send
inline constexpr std::string_view kHeaders = "headers";      // [{k: string, v: binData or null}]
inline constexpr std::string_view kTombstone = "tombstone";  // true: null instead of the document
}  // namespace kafka_route

// librdkafka's properties for a connection, with the stage's own options last. Errors: 420 for what
// is not supported.
Result<KafkaProperties> producer_properties(const Connection& connection, std::string_view acks,
                                            std::string_view compression);

std::unique_ptr<SinkWriter> make_kafka_writer(KafkaEmitPlan plan);

}  // namespace millrace::engine
