// Reads a file of connections. It may hold, as JSON (Extended JSON) or YAML:
//   - an array of connections in the Admin API's spelling,
//   - the Admin API's own list answer, {results: [...]},
//   - one such connection,
//   - Kubernetes resources (several YAML documents, or a List): AtlasStreamConnection,
//   AtlasStreamInstance, and the Secrets they name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connection/connection.h"

namespace millrace::engine {

struct ConnectionsFile {
  std::vector<ConnectionPtr> connections;
  std::vector<std::string> warnings;  // for the log: a Secret that is not in the file, a connection
                                      // that no instance lists
};

// Parses the file's text; `name` is for messages. Errors: 9 FailedToParse for the text, 2 BadValue
// for an entry: "connections.yaml: connection 2 (k1): connection.bootstrapServers is required".
// Values of fields never appear in messages about secrets.
Result<ConnectionsFile> parse_connections(std::string_view text, std::string_view name,
                                          std::span<const ConnectionType> types);

// Reads and parses. Errors: also 9 FailedToParse for a file that cannot be read.
Result<ConnectionsFile> read_connections_file(const std::string& path,
                                              std::span<const ConnectionType> types);

// The AtlasStreamConnection and AtlasStreamInstance resources among `documents` as definitions in
// the Admin API's spelling.
// https://www.mongodb.com/docs/atlas/operator/current/atlasstreamconnection-custom-resource/
Result<std::vector<Document>> kubernetes_connections(std::span<const Document> documents,
                                                     std::vector<std::string>& warnings);

// The documents of a YAML text as BSON: plain scalars become null, booleans, numbers or strings by
// YAML's core schema, quoted ones strings. Errors: 9 FailedToParse with line and column.
Result<std::vector<Document>> parse_yaml(std::string_view text);

}  // namespace millrace::engine
