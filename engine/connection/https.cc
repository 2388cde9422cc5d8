// "Https" connections: a base URL and headers, which may hold credentials and are therefore never
// shown.
#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {

Result<Document> normalize_https_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(only_connection_fields(definition, {"url", "headers", "networking"}));
  Options options = connection_options(definition);
  MR_ASSIGN_OR_RETURN(std::string url, options.required_string("url"));
  if (!url.starts_with("https://") && !url.starts_with("http://"))
    return options.error("url", "must start with https:// or http://");
  Options headers = options.sub("headers");
  MR_RETURN_IF_ERROR(headers.check());
  if (headers.value().is_object()) {
    for (const Field& header : headers.value().as_object()) {
      if (!header.value.is_string()) return headers.wrong_type(header.name(), "a string");
    }
  }
  MR_RETURN_IF_ERROR(check_networking(options, "networking"));
  BsonWriter normalized;
  normalized.begin_document();
  copy_fields(definition, {"url", "headers", "networking"}, normalized);
  normalized.end();
  return Document(normalized.bytes());
}

}  // namespace millrace::engine
