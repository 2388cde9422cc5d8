#include "engine/connection/registry.h"

#include <algorithm>

#include "engine/connection/definition.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxNameBytes = 64;

const ConnectionType* find_type(std::span<const ConnectionType> types, std::string_view name) {
  auto row = std::find_if(types.begin(), types.end(),
                          [&](const ConnectionType& type) { return type.name == name; });
  return row == types.end() ? nullptr : &*row;
}

bool is_hex_id(const Value& value) {
  return value.is_string() && value.as_string().size() == 24 &&
         value.as_string().find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

Status check_connection_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*_";
  if (name.empty() || name.size() > kMaxNameBytes ||
      name.find_first_not_of(kAllowed) != std::string_view::npos) {
    return Status(ErrorCode::kBadValue,
                  "connection name '" + std::string(name.substr(0, 2 * kMaxNameBytes)) +
                      "' must be 1 to 64 letters, digits, '.', '-', '*' or '_'");
  }
  return {};
}

Result<ConnectionPtr> make_connection(const Value& definition,
                                      std::span<const ConnectionType> types) {
  if (!definition.is_object()) return Status(ErrorCode::kBadValue, "connection must be an object");
  Options options = connection_options(definition);
  MR_ASSIGN_OR_RETURN(std::string name, options.required_string("name"));
  MR_RETURN_IF_ERROR(check_connection_name(name));
  MR_ASSIGN_OR_RETURN(std::string type_name, options.required_string("type"));
  const ConnectionType* type = find_type(types, type_name);
  if (type == nullptr) {
    std::string known;
    for (const ConnectionType& row : types)
      known += (known.empty() ? "" : ", ") + std::string(row.name);
    return options.error("type", "must be one of " + known + ", not '" + type_name + "'");
  }
  MR_ASSIGN_OR_RETURN(Document fields, type->normalize(definition));
  BsonWriter whole;
  whole.begin_document();
  whole.append("name", name);
  whole.append("type", type_name);
  for (const Field& field : fields.view()) whole.append(field.name(), field.value);
  whole.end();

  auto connection = std::make_shared<Connection>();
  connection->name = name;
  connection->type = type;
  connection->definition = Document(whole.bytes());
  Value id = options.get("id");
  connection->id = is_hex_id(id) ? std::string(id.as_string()) : ObjectId::generate().to_hex();
  return ConnectionPtr(connection);
}

ConnectionRegistry::ConnectionRegistry(std::span<const ConnectionType> types) : types_(types) {
  add_builtin(connections_);
}

void ConnectionRegistry::add_builtin(
    std::map<std::string, ConnectionPtr, std::less<>>& connections) const {
  auto add = [&](std::string_view name, std::string_view type, std::string_view cluster) {
    if (connections.contains(name)) return;
    BsonWriter definition;
    definition.begin_document();
    definition.append("name", name);
    definition.append("type", type);
    if (!cluster.empty()) definition.append("clusterName", cluster);
    definition.end();
    auto made = make_connection(Document(definition.bytes()).value(), types_);
    if (made.ok()) connections.emplace(name, *made);
  };
  add("sample_stream_solar", "Sample", "");
  add("local", "Cluster", "local");
}

Result<ConnectionPtr> ConnectionRegistry::find(std::string_view name) const {
  std::lock_guard lock(mutex_);
  auto found = connections_.find(name);
  if (found != connections_.end()) return found->second;
  return Status(ErrorCode::kBadValue,
                "connection named " + std::string(name) +
                    " does not exist. Check sp.listConnections() for available connections");
}

std::vector<ConnectionPtr> ConnectionRegistry::list() const {
  std::lock_guard lock(mutex_);
  std::vector<ConnectionPtr> all;
  for (const auto& [name, connection] : connections_) all.push_back(connection);
  return all;
}

Document ConnectionRegistry::list_entry(const Connection& connection) {
  BsonWriter entry;
  entry.begin_document();
  entry.append("name", connection.name);
  entry.append("type", connection.type->list_name);
  connection.type->list(connection.definition.value(), entry);
  entry.end();
  return Document(entry.bytes());
}

void ConnectionRegistry::upsert(ConnectionPtr connection) {
  std::lock_guard lock(mutex_);
  connections_[connection->name] = std::move(connection);
}

Result<ConnectionPtr> ConnectionRegistry::upsert(const Value& definition) {
  MR_ASSIGN_OR_RETURN(ConnectionPtr connection, make_connection(definition, types_));
  upsert(connection);
  return connection;
}

void ConnectionRegistry::replace_all(std::vector<ConnectionPtr> connections) {
  std::map<std::string, ConnectionPtr, std::less<>> fresh;
  for (ConnectionPtr& connection : connections) fresh[connection->name] = std::move(connection);
  add_builtin(fresh);
  std::lock_guard lock(mutex_);
  connections_ = std::move(fresh);
}

bool ConnectionRegistry::remove(std::string_view name) {
  std::lock_guard lock(mutex_);
  auto found = connections_.find(name);
  if (found == connections_.end()) return false;
  connections_.erase(found);
  size_t before = connections_.size();
  add_builtin(connections_);
  return connections_.size() == before;
}

}  // namespace millrace::engine
