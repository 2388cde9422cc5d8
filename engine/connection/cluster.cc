// "Cluster" connections: a MongoDB deployment. `uri` (Millrace's own field) says where it can be
// reached; without it the connection means Millrace's local database.
#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {
namespace {

// The role is checked and kept so that definitions survive the way to Atlas and back; there is
// nobody to enforce it here.
Status check_role(const Options& connection) {
  Options role = connection.sub("dbRoleToExecute");
  MR_RETURN_IF_ERROR(role.only({"role", "type", "links"}));
  if (!connection.has("dbRoleToExecute")) return {};
  if (auto name = role.required_string("role"); !name.ok()) return name.status();
  auto type = role.choice("type", {"BUILT_IN", "CUSTOM"});
  return type.status();
}

bool is_group_id(std::string_view text) {
  return text.size() == 24 &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

Result<Document> normalize_cluster_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(
      only_connection_fields(definition, {"clusterName", "clusterGroupId", "clusterProjectId",
                                          "dbRoleToExecute", "uri", "networking"}));
  Options options = connection_options(definition);
  MR_ASSIGN_OR_RETURN(auto cluster, options.string("clusterName"));
  MR_ASSIGN_OR_RETURN(auto uri, options.string("uri"));
  if (!cluster && !uri) return options.error("clusterName", "is required");
  if (cluster && cluster->empty()) return options.error("clusterName", "must not be empty");
  if (uri && !uri->starts_with("mongodb://") && !uri->starts_with("mongodb+srv://")) {
    return options.error("uri", "must start with mongodb:// or mongodb+srv://");
  }
  MR_ASSIGN_OR_RETURN(auto group, options.string("clusterGroupId"));
  if (group && !is_group_id(*group))
    return options.error("clusterGroupId", "must be 24 hexadecimal digits");
  MR_RETURN_IF_ERROR(check_role(options));
  MR_RETURN_IF_ERROR(check_networking(options, "networking"));

  BsonWriter normalized;
  normalized.begin_document();
  normalized.append("clusterName",
                    cluster.value_or(std::string(
                        options.get("name").is_string() ? options.get("name").as_string() : "")));
  copy_fields(definition, {"clusterGroupId", "dbRoleToExecute", "networking", "uri"}, normalized);
  normalized.end();
  return Document(normalized.bytes());
}

void list_cluster_connection(const Value& definition, BsonWriter& entry) {
  entry.append("cluster", definition.as_object().get("clusterName"));
}

}  // namespace millrace::engine
