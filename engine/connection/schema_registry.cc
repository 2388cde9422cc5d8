// "SchemaRegistry" connections: Confluent's registry, named from a Kafka source or sink.
#include <set>

#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxUrls = 10;

Status check_urls(const Options& options) {
  Value urls = options.get("schemaRegistryUrls");
  if (urls.is_missing()) return options.error("schemaRegistryUrls", "is required");
  if (!urls.is_array()) return options.wrong_type("schemaRegistryUrls", "an array");
  std::set<std::string_view> seen;
  for (const Value& url : urls.as_array()) {
    bool good = url.is_string() &&
                (url.as_string().starts_with("http://") || url.as_string().starts_with("https://"));
    if (!good)
      return options.error("schemaRegistryUrls",
                           "must hold strings that start with http:// or https://");
    if (!seen.insert(url.as_string()).second) {
      return options.error("schemaRegistryUrls",
                           "names '" + std::string(url.as_string()) + "' twice");
    }
  }
  if (seen.empty() || seen.size() > kMaxUrls)
    return options.error("schemaRegistryUrls", "must hold 1 to 10 URLs");
  return {};
}

}  // namespace

Result<Document> normalize_schema_registry_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(only_connection_fields(
      definition,
      {"provider", "schemaRegistryUrls", "schemaRegistryAuthentication", "networking"}));
  Options options = connection_options(definition);
  if (auto provider = options.required_string("provider"); !provider.ok()) return provider.status();
  if (auto provider = options.choice("provider", {"CONFLUENT"}); !provider.ok())
    return provider.status();
  MR_RETURN_IF_ERROR(check_urls(options));
  if (!options.has("schemaRegistryAuthentication"))
    return options.error("schemaRegistryAuthentication", "is required");
  Options login = options.sub("schemaRegistryAuthentication");
  MR_RETURN_IF_ERROR(login.only({"type", "username", "password", "links"}));
  if (auto type = login.required_string("type"); !type.ok()) return type.status();
  if (auto type = login.choice("type", {"USER_INFO", "SASL_INHERIT"}); !type.ok())
    return type.status();
  for (std::string_view name : {"username", "password"}) {
    if (auto text = login.string(name); !text.ok()) return text.status();
  }
  BsonWriter normalized;
  normalized.begin_document();
  copy_fields(definition,
              {"provider", "schemaRegistryUrls", "schemaRegistryAuthentication", "networking"},
              normalized);
  normalized.end();
  return Document(normalized.bytes());
}

}  // namespace millrace::engine
