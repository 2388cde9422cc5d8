// "AWSLambda", "S3" and "AWSKinesisDataStreams" connections: a role to assume.
#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {
namespace {

Result<Document> normalize_aws(const Value& definition, std::string_view networking,
                               bool with_bucket) {
  MR_RETURN_IF_ERROR(only_connection_fields(definition, {"aws", networking}));
  Options options = connection_options(definition);
  if (!options.has("aws")) return options.error("aws", "is required");
  Options aws = options.sub("aws");
  MR_RETURN_IF_ERROR(with_bucket ? aws.only({"roleArn", "testBucket", "links"})
                                 : aws.only({"roleArn", "links"}));
  if (auto role = aws.required_string("roleArn"); !role.ok()) return role.status();
  if (auto bucket = aws.string("testBucket"); !bucket.ok()) return bucket.status();
  MR_RETURN_IF_ERROR(check_networking(options, networking));
  BsonWriter normalized;
  normalized.begin_document();
  copy_fields(definition, {"aws", networking}, normalized);
  normalized.end();
  return Document(normalized.bytes());
}

}  // namespace

Result<Document> normalize_aws_lambda_connection(const Value& definition) {
  return normalize_aws(definition, "publicPrivateNetworking", false);
}
Result<Document> normalize_kinesis_connection(const Value& definition) {
  return normalize_aws(definition, "networking", false);
}
Result<Document> normalize_s3_connection(const Value& definition) {
  return normalize_aws(definition, "networking", true);
}

}  // namespace millrace::engine
