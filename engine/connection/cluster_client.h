// Lines to MongoDB deployments through mongo-c-driver, and the connector that chooses between them
// and the local database.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/connection/connection.h"

namespace millrace::engine {

// Any thread. A connection whose definition has a `uri` is a deployment elsewhere; one without
// means the local database.
class MongoConnector final : public ClusterConnector {
 public:
  // `local` opens lines to the local database; it outlives this. Null: a connection without `uri`
  // is an error.
  explicit MongoConnector(ClusterConnector* local);
  ~MongoConnector() override;

  // Does not touch the network: the first command does. A client keeps one server session for all
  // its commands. Errors: 2 BadValue for a `uri` that the driver cannot read.
  Result<std::unique_ptr<ClusterClient>> connect(const Connection& connection) override;

 private:
  class Pool;
  class Client;

  Result<std::shared_ptr<Pool>> pool(const Connection& connection, const std::string& uri);

  ClusterConnector* local_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Pool>> pools_;  // by uri; guarded by mutex_
};

// True for error codes that say that a server is stepping down, starting or out of reach: the same
// command may succeed later.
bool is_retryable_server_error(int32_t code);

}  // namespace millrace::engine
