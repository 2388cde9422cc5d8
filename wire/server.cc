#include "wire/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_map>

#include "wire/session.h"

namespace millrace::wire {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using engine::ErrorCode;
using engine::Result;
using engine::Status;

constexpr size_t kHandlerThreads = 4;
constexpr std::chrono::milliseconds kPauseAfterAcceptError{100};

Result<asio::ip::address> resolve(asio::io_context& io, const std::string& name) {
  error_code error;
  auto address = asio::ip::make_address(name, error);
  if (!error) return address;
  tcp::resolver resolver(io);
  auto found = resolver.resolve(name, "", tcp::resolver::passive, error);
  if (error || found.empty())
    return Status(ErrorCode::kHostUnreachable,
                  "cannot resolve the address '" + name + "': " + error.message());
  // "localhost" means 127.0.0.1 first: that is what the line on stdout and most connection strings
  // say.
  for (const auto& entry : found) {
    if (entry.endpoint().address().is_v4()) return entry.endpoint().address();
  }
  return found.begin()->endpoint().address();
}

}  // namespace

struct Server::State {
  State(asio::io_context& io, commands::Services& services)
      : io(io), services(services), acceptor(io), pause(io), pool(kHandlerThreads) {}

  asio::awaitable<void> accept_loop();
  void add(tcp::socket socket);

  asio::io_context& io;
  commands::Services& services;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  bool stopping = false;
  std::function<void()> on_drained;  // set when stopping
  int64_t last_connection_id = 0;
  std::unordered_map<int64_t, std::shared_ptr<Session>> sessions;
  asio::thread_pool pool;  // last: its threads end before what they use
};

asio::awaitable<void> Server::State::accept_loop() {
  while (!stopping) {
    error_code error;
    tcp::socket socket(io);
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (stopping) co_return;
    if (!error) {
      add(std::move(socket));
      continue;
    }
    if (error == asio::error::connection_aborted) continue;
    // Out of file descriptors, mostly: existing connections go on, new ones wait.
    spdlog::error("cannot accept a connection: {}", error.message());
    pause.expires_after(kPauseAfterAcceptError);
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

void Server::State::add(tcp::socket socket) {
  int64_t id = ++last_connection_id;
  auto session = std::make_shared<Session>(std::move(socket), services, pool, id, [this, id] {
    sessions.erase(id);
    if (stopping && sessions.empty()) on_drained();
  });
  sessions.emplace(id, session);
  session->start();
}

Server::Server(asio::io_context& io, commands::Services& services)
    : state_(std::make_unique<State>(io, services)) {}
Server::~Server() = default;

Status Server::listen(const std::string& address, uint16_t port) {
  auto resolved = resolve(state_->io, address);
  if (!resolved.ok()) return resolved.status();
  tcp::endpoint endpoint(*resolved, port);
  auto& acceptor = state_->acceptor;
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return {};
  std::string hint = error == asio::error::address_in_use
                         ? " (is another server running there? choose another with --port)"
                         : "";
  return Status(ErrorCode::kHostUnreachable,
                "cannot listen on " + host_and_port(address, port) + ": " + error.message() + hint);
}

uint16_t Server::port() const {
  error_code ignored;
  return state_->acceptor.local_endpoint(ignored).port();
}

void Server::start() { asio::co_spawn(state_->io, state_->accept_loop(), asio::detached); }

void Server::stop(std::function<void()> on_drained) {
  state_->on_drained = std::move(on_drained);
  state_->stopping = true;
  error_code ignored;
  state_->acceptor.close(ignored);
  state_->pause.cancel();
  for (auto& [id, session] : state_->sessions) session->close();
  if (state_->sessions.empty()) state_->on_drained();
}

void Server::wait() { state_->pool.join(); }

void Server::run_on_pool(std::function<void()> work) { asio::post(state_->pool, std::move(work)); }

size_t Server::connections() const { return state_->sessions.size(); }

std::string host_and_port(const std::string& host, uint16_t port) {
  return fmt::format(fmt::runtime(host.find(':') == host.npos ? "{}:{}" : "[{}]:{}"), host, port);
}

Result<bool> is_loopback(const std::string& address) {
  asio::io_context io;
  auto resolved = resolve(io, address);
  if (!resolved.ok()) return resolved.status();
  return resolved->is_loopback();
}

}  // namespace millrace::wire
