// The server as a whole: puts the parts together, starts them in order, stops them in reverse
// order.
#pragma once

#include <memory>

#include "commands/services.h"
#include "engine/document/status.h"

namespace millrace::wire {

// One thread uses it: the main thread, which also becomes the I/O thread.
class Application {
 public:
  explicit Application(commands::Settings settings);
  ~Application();

  // Starts every part; when it returns, clients are accepted (as soon as run() is called) and one
  // line on stdout says so. Errors: the first part that did not start; those before it are stopped
  // again.
  engine::Status start();

  // Serves until SIGTERM or SIGINT, then stops every part (within 5 s). SIGHUP runs
  // Services::on_reload. Gives the exit code.
  int run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::wire
