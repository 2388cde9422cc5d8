// The kinds of connections: how each checks its definition and what may be shown of it. One file
// per kind; engine/runtime/ connection_table.cc puts them together. Field names: the Admin API's,
// see https://www.mongodb.com/docs/atlas/reference/api-resources-spec/v2/ (Streams, "Create One
// Stream Connection").
#pragma once

#include "engine/connection/connection.h"

namespace millrace::engine {

// Each takes the whole definition (name, type and what the API adds when it answers: id, state,
// region, links) and gives the fields beside those in the Admin API's newest spelling. Errors: 2
// BadValue, naming the field. Secrets are never part of a message.
Result<Document> normalize_cluster_connection(const Value& definition);
Result<Document> normalize_kafka_connection(const Value& definition);
Result<Document> normalize_sample_connection(const Value& definition);
Result<Document> normalize_https_connection(const Value& definition);
Result<Document> normalize_aws_lambda_connection(const Value& definition);
Result<Document> normalize_kinesis_connection(const Value& definition);
Result<Document> normalize_s3_connection(const Value& definition);
Result<Document> normalize_azure_blob_connection(const Value& definition);
Result<Document> normalize_pubsub_connection(const Value& definition);
Result<Document> normalize_schema_registry_connection(const Value& definition);

void list_cluster_connection(const Value& definition, BsonWriter& entry);
void list_kafka_connection(const Value& definition, BsonWriter& entry);
void list_azure_blob_connection(const Value& definition, BsonWriter& entry);
// Only name and type.
void list_nothing(const Value& definition, BsonWriter& entry);

}  // namespace millrace::engine
