// The options of a Kafka $source.
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-source/#apache-kafka-broker
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/connection/kafka.h"
#include "engine/document/arena.h"
#include "engine/document/value.h"
#include "engine/source/source.h"

namespace millrace::engine {

enum class KafkaKeyFormat : uint8_t { kBinData, kString, kJson, kInt, kLong, kDouble };
enum class KafkaKeyFault : uint8_t { kDeadLetter, kPassThrough, kDiscard };

struct KafkaSourceOptions {
  std::vector<std::string> topics;
  bool from_beginning = false;    // auto_offset_reset
  std::string group;              // "" without one: nothing is committed
  bool group_given = false;       // by the user: its committed offsets are where reading starts
  bool commit_when_read = false;  // else when a checkpoint is taken
  KafkaKeyFormat key_format = KafkaKeyFormat::kBinData;
  KafkaKeyFault key_fault = KafkaKeyFault::kDeadLetter;
  int64_t partition_idle_timeout_ms =
      0;  // for isIdle in stats; the watermark has it from the builder; 0: never idle
  KafkaProperties properties;  // of the connection
};

Result<KafkaSourceOptions> parse_kafka_options(const SourceContext& context);

// The value of a record's key. Missing when the bytes do not fit the format. Integers and doubles
// are big-endian, as Kafka's Java serializers write them.
Value decode_kafka_key(std::string_view bytes, KafkaKeyFormat format, Arena& arena);

// The JSON inside a record's value: without the frame of Confluent's JSON serializer (a zero byte
// and a schema id of four bytes), and {} for a null value (a tombstone).
std::string_view kafka_json_payload(const void* payload, size_t size);

}  // namespace millrace::engine
