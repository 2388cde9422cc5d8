// "Sample" connections: the name is the data set.
#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {

Result<Document> normalize_sample_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(only_connection_fields(definition, {"networking"}));
  MR_RETURN_IF_ERROR(check_networking(connection_options(definition), "networking"));
  return Document();
}

void list_nothing(const Value& /*definition*/, BsonWriter& /*entry*/) {}

}  // namespace millrace::engine
