#include "engine/runtime/connection_table.h"

#include <algorithm>
#include <array>

#include "engine/connection/types.h"

namespace millrace::engine {
namespace {

constexpr uint8_t kSource = static_cast<uint8_t>(ConnectionUse::kSource);
constexpr uint8_t kSink = static_cast<uint8_t>(ConnectionUse::kSink);
constexpr uint8_t kMiddle = static_cast<uint8_t>(ConnectionUse::kMiddle);
constexpr uint8_t kDeadLetterQueue = static_cast<uint8_t>(ConnectionUse::kDeadLetterQueue);
constexpr uint8_t kSchemaRegistry = static_cast<uint8_t>(ConnectionUse::kSchemaRegistry);

// Where each may be used:
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-connection-registry/
// clang-format off
constexpr std::array kTypes = {
    //             name                     listed as         may be used as                                  runs   normalize                             shown
    ConnectionType{"AWSKinesisDataStreams", "kinesis",        kSource | kSink,                                false, normalize_kinesis_connection,         list_nothing},
    ConnectionType{"AWSLambda",             "awsLambda",      kMiddle | kSink,                                false, normalize_aws_lambda_connection,      list_nothing},
    ConnectionType{"AzureBlobStorage",      "azureBlobStorage", kSink,                                        false, normalize_azure_blob_connection,      list_azure_blob_connection},
    ConnectionType{"Cluster",               "atlas",          kSource | kSink | kMiddle | kDeadLetterQueue,   true,  normalize_cluster_connection,         list_cluster_connection},
    ConnectionType{"GCPPubSub",             "gcpPubSub",      kSink,                                          false, normalize_pubsub_connection,          list_nothing},
    ConnectionType{"Https",                 "https",          kMiddle | kSink,                                false, normalize_https_connection,           list_nothing},
    ConnectionType{"Kafka",                 "kafka",          kSource | kSink,                                true,  normalize_kafka_connection,           list_kafka_connection},
    ConnectionType{"S3",                    "s3",             kSink,                                          false, normalize_s3_connection,              list_nothing},
    ConnectionType{"Sample",                "inmemory",       kSource,                                        true,  normalize_sample_connection,          list_nothing},
    ConnectionType{"SchemaRegistry",        "schemaRegistry", kSchemaRegistry,                                false, normalize_schema_registry_connection, list_nothing},
};
// clang-format on
static_assert(std::is_sorted(kTypes.begin(), kTypes.end(),
                             [](const ConnectionType& a, const ConnectionType& b) {
                               return a.name < b.name;
                             }));

}  // namespace

std::span<const ConnectionType> connection_types() { return kTypes; }

}  // namespace millrace::engine
