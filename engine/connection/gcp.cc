// "GCPPubSub" connections.
#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {

Result<Document> normalize_pubsub_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(only_connection_fields(definition, {"gcp", "publicPrivateNetworking"}));
  Options options = connection_options(definition);
  if (!options.has("gcp")) return options.error("gcp", "is required");
  Options gcp = options.sub("gcp");
  MR_RETURN_IF_ERROR(gcp.only({"serviceAccountId", "links"}));
  MR_ASSIGN_OR_RETURN(std::string account, gcp.required_string("serviceAccountId"));
  if (account.find('@') == std::string::npos)
    return gcp.error("serviceAccountId", "must be the e-mail address of a service account");
  MR_RETURN_IF_ERROR(check_networking(options, "publicPrivateNetworking"));
  BsonWriter normalized;
  normalized.begin_document();
  copy_fields(definition, {"gcp", "publicPrivateNetworking"}, normalized);
  normalized.end();
  return Document(normalized.bytes());
}

}  // namespace millrace::engine
