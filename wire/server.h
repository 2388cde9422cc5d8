// Accepts connections and keeps a Session for each, until it is stopped.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "commands/services.h"
#include "engine/document/status.h"

namespace boost::asio {
class io_context;
}

namespace millrace::wire {

// Belongs to the thread that runs `io`; every function is called there (or before it runs).
class Server {
 public:
  // `services` must outlive the server. It keeps a small pool of threads for handlers that may
  // block.
  Server(boost::asio::io_context& io, commands::Services& services);
  ~Server();

  // Binds and listens. Errors: a sentence that names address, port and reason.
  engine::Status listen(const std::string& address, uint16_t port);
  uint16_t port() const;  // the real one after listen()

  // Starts accepting.
  void start();
  // Stops accepting and ends every connection; `on_drained` is called when no handler runs for any
  // of them any more.
  void stop(std::function<void()> on_drained);
  // Waits for the pool's threads.
  void wait();
  // Runs `work` on the pool.
  void run_on_pool(std::function<void()> work);

  size_t connections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "127.0.0.1:27030", "[::1]:27030".
std::string host_and_port(const std::string& host, uint16_t port);

// Whether nobody but this machine can reach a server bound to `address`. Errors: no such address.
engine::Result<bool> is_loopback(const std::string& address);

}  // namespace millrace::wire
