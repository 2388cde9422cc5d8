// The connection registry: every connection of this server by name.
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connection/connection.h"

namespace millrace::engine {

// Letters, digits, '.', '-', '*' and '_', 1 to 64 of them. Errors: 2 BadValue.
Status check_connection_name(std::string_view name);

// Makes a connection of an Admin API definition ({name, type, …}). Its `definition` holds name,
// type and the normalized fields. `types`: the table of kinds. Errors: 2 BadValue, naming the
// field.
Result<ConnectionPtr> make_connection(const Value& definition,
                                      std::span<const ConnectionType> types);

// Thread-safe. Two connections are always there unless others take their names:
// `sample_stream_solar` (Sample) and `local` (Cluster, the local database).
class ConnectionRegistry {
 public:
  // `types` must outlive the registry.
  explicit ConnectionRegistry(std::span<const ConnectionType> types);

  // Errors: 2 BadValue with the text that Atlas has for an unknown name.
  Result<ConnectionPtr> find(std::string_view name) const;
  // By name, in order of names.
  std::vector<ConnectionPtr> list() const;
  // {name, type, …} as sp.listConnections() shows a connection: nothing secret.
  static Document list_entry(const Connection& connection);

  // Adds a connection or takes the place of the one with its name. Those who hold the old one keep
  // it.
  void upsert(ConnectionPtr connection);
  Result<ConnectionPtr> upsert(const Value& definition);
  // Exactly `connections` and the ones that are always there.
  void replace_all(std::vector<ConnectionPtr> connections);
  // False if there is none, or it is one of those always there.
  bool remove(std::string_view name);

  std::span<const ConnectionType> types() const { return types_; }

 private:
  void add_builtin(std::map<std::string, ConnectionPtr, std::less<>>& connections) const;

  std::span<const ConnectionType> types_;
  mutable std::mutex mutex_;
  std::map<std::string, ConnectionPtr, std::less<>> connections_;  // guarded by mutex_
};

}  // namespace millrace::engine
