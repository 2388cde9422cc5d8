// The Atlas Kubernetes Operator's resources, turned into the Admin API's spelling.
#include <map>
#include <set>

#include "engine/connection/connections_file.h"
#include "engine/connection/definition.h"
#include "engine/document/base64.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kDefaultNamespace = "default";

std::string_view text_at(const Value& object, std::string_view name) {
  if (!object.is_object()) return "";
  Value value = object.as_object().get(name);
  return value.is_string() ? value.as_string() : std::string_view();
}
Value at(const Value& object, std::string_view name) {
  return object.is_object() ? object.as_object().get(name) : Value();
}

// "namespace/name" of a resource or of a reference to one.
std::string resource_key(const Value& object) {
  std::string_view ns = text_at(object, "namespace");
  return std::string(ns.empty() ? kDefaultNamespace : ns) + "/" +
         std::string(text_at(object, "name"));
}

class Resources {
 public:
  explicit Resources(std::vector<std::string>& warnings) : warnings_(warnings) {}

  Status add(const Document& resource) {
    std::string_view kind = text_at(resource.value(), "kind");
    if (kind == "List") {
      Value items = resource.get("items");
      if (!items.is_array()) return Status(ErrorCode::kBadValue, "List.items must be an array");
      for (const Value& item : items.as_array()) {
        if (!item.is_object()) return Status(ErrorCode::kBadValue, "List.items must hold objects");
        MR_RETURN_IF_ERROR(add(Document(item)));
      }
      return {};
    }
    Value metadata = resource.get("metadata");
    std::string key = resource_key(metadata);
    if (kind == "Secret") {
      secrets_.insert_or_assign(key, resource);
    } else if (kind == "AtlasStreamConnection") {
      if (text_at(metadata, "name").empty())
        return Status(ErrorCode::kBadValue, "AtlasStreamConnection: metadata.name is required");
      auto [place, fresh] = connections_.try_emplace(key, order_.size());
      if (fresh) {
        order_.push_back(resource);
      } else {  // as a second `kubectl apply` would
        warnings_.push_back("AtlasStreamConnection " + key + " stands twice: the later one holds");
        order_[place->second] = resource;
      }
    } else if (kind == "AtlasStreamInstance") {
      return add_instance(resource, key);
    } else {
      warnings_.push_back("Kubernetes resource of kind '" + std::string(kind) + "' is not used");
    }
    return {};
  }

  Result<std::vector<Document>> definitions() {
    std::vector<Document> all;
    for (const Document& resource : order_) {
      std::string key = resource_key(resource.get("metadata"));
      if (authoritative_ && !listed_.contains(key)) {
        warnings_.push_back("AtlasStreamConnection " + key +
                            " is left out: no AtlasStreamInstance lists it in connectionRegistry");
        continue;
      }
      auto definition = convert(resource);
      if (!definition.ok()) {
        return Status(definition.status().code(),
                      "AtlasStreamConnection " + key + ": " + definition.status().message());
      }
      all.push_back(*definition);
    }
    for (const std::string& key : listed_) {
      if (!connections_.contains(key))
        warnings_.push_back("connectionRegistry names " + key + ", which is not in the file");
    }
    return all;
  }

 private:
  Status add_instance(const Document& resource, const std::string& key) {
    Options spec(resource.get("spec"), "AtlasStreamInstance " + key + ": spec",
                 ErrorCode::kBadValue);
    MR_RETURN_IF_ERROR(spec.only({"name", "clusterConfig", "projectRef", "connectionRegistry",
                                  "connectionSecret", "externalProjectRef"}));
    if (auto name = spec.required_string("name"); !name.ok()) return name.status();
    Value registry = spec.get("connectionRegistry");
    if (registry.is_missing() || registry.is(Type::kNull)) return {};
    if (!registry.is_array()) return spec.wrong_type("connectionRegistry", "an array");
    // The operator takes this list for complete: what it does not name is not in the workspace.
    authoritative_ = true;
    for (const Value& reference : registry.as_array()) {
      if (text_at(reference, "name").empty())
        return spec.error("connectionRegistry", "must hold objects with a name");
      // A reference without a namespace means that of the instance.
      std::string_view ns = text_at(reference, "namespace");
      listed_.insert(ns.empty() ? key.substr(0, key.find('/')) + "/" +
                                      std::string(text_at(reference, "name"))
                                : resource_key(reference));
    }
    return {};
  }

  // A key of a Secret: `stringData` as it is, `data` in base64. Missing ones are a warning: the
  // connection is kept without.
  std::string secret_value(const Value& reference, std::string_view key) {
    std::string name = resource_key(reference);
    auto found = secrets_.find(name);
    if (found == secrets_.end()) {
      if (missing_.insert(name).second)
        warnings_.push_back("Secret " + name +
                            " is not in the file: the connection has no credentials from it");
      return "";
    }
    if (Value plain = at(found->second.get("stringData"), key); plain.is_string())
      return std::string(plain.as_string());
    if (Value coded = at(found->second.get("data"), key); coded.is_string()) {
      Arena arena;
      if (auto decoded = base64_decode(coded.as_string(), arena)) return std::string(*decoded);
      warnings_.push_back("Secret " + name + ": data." + std::string(key) + " is not base64");
      return "";
    }
    warnings_.push_back("Secret " + name + " has no key " + std::string(key));
    return "";
  }

  Result<Document> convert(const Document& resource) {
    Options spec(resource.get("spec"), "spec", ErrorCode::kBadValue);
    // `role` beside clusterConfig: as the operator's own manual page has it.
    MR_RETURN_IF_ERROR(spec.only({"name", "type", "clusterConfig", "kafkaConfig", "role"}));
    MR_ASSIGN_OR_RETURN(std::string name, spec.required_string("name"));
    MR_ASSIGN_OR_RETURN(std::string type, spec.required_string("type"));
    if (auto known = spec.choice("type", {"Kafka", "Cluster", "Sample"}); !known.ok())
      return known.status();
    BsonWriter definition;
    definition.begin_document();
    definition.append("name", name);
    definition.append("type", type);
    if (type == "Cluster") MR_RETURN_IF_ERROR(convert_cluster(spec, definition));
    if (type == "Kafka") MR_RETURN_IF_ERROR(convert_kafka(spec, definition));
    if (type == "Sample" && name != "sample_stream_solar")
      return spec.error("name", "must be sample_stream_solar for type Sample");
    definition.end();
    return Document(definition.bytes());
  }

  Status convert_cluster(const Options& spec, BsonWriter& definition) {
    Options cluster = spec.sub("clusterConfig");
    MR_RETURN_IF_ERROR(cluster.only({"name", "role", "uri"}));
    auto name = cluster.required_string("name");
    if (!name.ok()) return name.status();
    definition.append("clusterName", *name);
    Options role = cluster.has("role") ? cluster.sub("role") : spec.sub("role");
    MR_RETURN_IF_ERROR(role.only({"name", "type"}));
    if (role.value().is_object()) {
      definition.begin_object("dbRoleToExecute");
      definition.append("role", role.get("name"));
      definition.append("type", role.get("type"));
      definition.end();
    }
    definition.append("uri", cluster.get("uri"));  // Millrace's own, as in the Admin API's spelling
    return {};
  }

  Status convert_kafka(const Options& spec, BsonWriter& definition) {
    Options kafka = spec.sub("kafkaConfig");
    MR_RETURN_IF_ERROR(kafka.only({"bootstrapServers", "authentication", "security", "config"}));
    if (!kafka.has("bootstrapServers")) return kafka.error("bootstrapServers", "is required");
    definition.append("bootstrapServers", kafka.get("bootstrapServers"));
    Options login = kafka.sub("authentication");
    MR_RETURN_IF_ERROR(login.only({"mechanism", "credentials"}));
    if (login.value().is_object()) {
      definition.begin_object("authentication");
      definition.append("mechanism", login.get("mechanism"));
      if (login.has("credentials")) {
        for (std::string_view key : {"username", "password"}) {
          std::string value = secret_value(login.get("credentials"), key);
          if (!value.empty()) definition.append(key, value);
        }
      }
      definition.end();
    }
    Options security = kafka.sub("security");
    MR_RETURN_IF_ERROR(security.only({"protocol", "certificate"}));
    if (security.value().is_object()) {
      definition.begin_object("security");
      definition.append("protocol", security.get("protocol"));
      if (security.has("certificate")) {
        std::string certificate = secret_value(security.get("certificate"), "certificate");
        if (!certificate.empty()) definition.append("brokerPublicCertificate", certificate);
      }
      definition.end();
    }
    definition.append("config", kafka.get("config"));
    return {};
  }

  std::vector<std::string>& warnings_;
  std::map<std::string, Document> secrets_;
  std::map<std::string, size_t> connections_;  // key → index in order_
  std::vector<Document> order_;
  std::set<std::string> listed_;
  std::set<std::string> missing_;
  bool authoritative_ = false;
};

}  // namespace

Result<std::vector<Document>> kubernetes_connections(std::span<const Document> documents,
                                                     std::vector<std::string>& warnings) {
  Resources resources(warnings);
  for (const Document& document : documents) MR_RETURN_IF_ERROR(resources.add(document));
  return resources.definitions();
}

}  // namespace millrace::engine
