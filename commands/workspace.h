// Everything behind the commands: store, connections, local database, stream processors. Opened in
// this order, stopped in the reverse.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "commands/services.h"
#include "engine/document/status.h"

namespace millrace::commands {

class Workspace {
 public:
  // Opens the data directory that the settings name and puts what handlers need into `services`,
  // which must outlive this. Errors: the store's (data directory in use, foreign, of a newer
  // version, damaged), the connections file's.
  static engine::Result<std::unique_ptr<Workspace>> open(Services& services);
  ~Workspace();  // stop()

  // What a user should read at start: damage that was found, sentences.
  const std::vector<std::string>& warnings() const;

  // Stops all processors with a checkpoint and closes the store. Requires: no handler runs any
  // more.
  void stop();

 private:
  struct Parts;
  explicit Workspace(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace millrace::commands
