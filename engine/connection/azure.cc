// "AzureBlobStorage" connections.
#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {

Result<Document> normalize_azure_blob_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(only_connection_fields(definition, {"azure", "publicPrivateNetworking"}));
  Options options = connection_options(definition);
  if (!options.has("azure")) return options.error("azure", "is required");
  Options azure = options.sub("azure");
  MR_RETURN_IF_ERROR(azure.only({"servicePrincipalId", "storageAccountName", "region", "links"}));
  if (auto principal = azure.required_string("servicePrincipalId"); !principal.ok())
    return principal.status();
  MR_ASSIGN_OR_RETURN(std::string account, azure.required_string("storageAccountName"));
  bool plain =
      account.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos;
  if (account.size() < 3 || account.size() > 24 || !plain) {
    return azure.error("storageAccountName", "must be 3 to 24 lower-case letters and digits");
  }
  if (auto region = azure.string("region"); !region.ok()) return region.status();
  MR_RETURN_IF_ERROR(check_networking(options, "publicPrivateNetworking"));
  BsonWriter normalized;
  normalized.begin_document();
  copy_fields(definition, {"azure", "publicPrivateNetworking"}, normalized);
  normalized.end();
  return Document(normalized.bytes());
}

void list_azure_blob_connection(const Value& definition, BsonWriter& entry) {
  Value azure = definition.as_object().get("azure");
  if (azure.is_object())
    entry.append("storageAccountName", azure.as_object().get("storageAccountName"));
}

}  // namespace millrace::engine
