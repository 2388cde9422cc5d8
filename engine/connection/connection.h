// Connections: named ways to the systems that sources, sinks and look-ups use. Reference: the
// registry of the Admin API
// (https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-connection-registry/).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/status.h"

namespace millrace::engine {

// What a connection may be used for.
enum class ConnectionUse : uint8_t {
  kSource = 1,
  kSink = 2,
  kMiddle = 4,
  kDeadLetterQueue = 8,
  kSchemaRegistry = 16
};

// One kind of connection: a row of engine/runtime/connection_table.cc.
struct ConnectionType {
  std::string_view name;       // the Admin API's: "Kafka", "Cluster", "Sample", …
  std::string_view list_name;  // what sp.listConnections() shows: "kafka", "atlas", "inmemory", …
  uint8_t uses;                // ConnectionUse bits
  bool supported;  // false: parsed, kept and listed; a pipeline that uses it is told that it is not
                   // supported yet
  // Checks the fields beside name and type, and brings older spellings to the newest form.
  Result<Document> (*normalize)(const Value& definition);
  // The fields that may be shown beside name and type: never a secret.
  void (*list)(const Value& definition, BsonWriter& entry);
};

// An immutable connection. `definition` holds secrets: it is never logged or listed.
struct Connection {
  std::string name;
  const ConnectionType* type = nullptr;
  Document definition;  // normalized, Admin API spelling
  std::string id;       // 24 hex
};
using ConnectionPtr = std::shared_ptr<const Connection>;

// A line to a MongoDB deployment, or to the local database: both take MongoDB commands. One user at
// a time.
class ClusterClient {
 public:
  virtual ~ClusterClient() = default;
  // Runs one command document and gives the reply. A reply with ok: 0 becomes its Status; one with
  // writeErrors is a success here. Errors of the network are 6 HostUnreachable or 89
  // NetworkTimeout: a retry may help.
  virtual Result<Document> run(std::string_view database, const Value& command) = 0;
};

// Opens lines to Cluster connections: through mongo-c-driver when the definition has a `uri`, else
// to the local database in process. Any thread.
class ClusterConnector {
 public:
  virtual ~ClusterConnector() = default;
  virtual Result<std::unique_ptr<ClusterClient>> connect(const Connection& connection) = 0;
};

}  // namespace millrace::engine
