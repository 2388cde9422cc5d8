#include "wire/application.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "commands/workspace.h"
#include "wire/compression.h"
#include "wire/log.h"
#include "wire/server.h"

namespace millrace::wire {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using engine::ErrorCode;
using engine::Status;

// Connections whose handlers have not ended by then are left behind; the other parts still stop in
// order.
constexpr std::chrono::seconds kDrainConnections{2};

// A connection costs a descriptor, and so does what the engine opens: as many as the system allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct Application::State {
  explicit State(commands::Settings settings) { services.settings = std::move(settings); }

  Status check_bind();
  Status start_server();
  void wait_for_signals();
  void begin_stop();
  // Called in reverse order of registration.
  void stop_parts();

  commands::Services services;
  asio::io_context io{1};
  asio::signal_set signals{io};
  asio::steady_timer deadline{io};
  std::unique_ptr<Server> server;
  std::vector<std::function<void()>> stops;
  bool stopping = false;
};

Application::Application(commands::Settings settings)
    : state_(std::make_unique<State>(std::move(settings))) {}
Application::~Application() = default;

// There are no users yet, so whoever reaches the port may do everything.
Status Application::State::check_bind() {
  const auto& settings = services.settings;
  auto local = is_loopback(settings.bind);
  if (!local.ok()) return local.status();
  if (*local) return {};
  if (!settings.allow_remote) {
    return Status(ErrorCode::kInvalidOptions,
                  "--bind " + settings.bind +
                      " can be reached from other machines, and Millrace has no login yet: add "
                      "--allow-remote if "
                      "that is meant");
  }
  std::string warning = "Access control is not enabled: everybody who reaches " + settings.bind +
                        " can read and change everything";
  spdlog::warn("{}", warning);
  services.startup_warnings.push_back(warning_line(warning));
  return {};
}

Status Application::State::start_server() {
  server = std::make_unique<Server>(io, services);
  MR_RETURN_IF_ERROR(server->listen(services.settings.bind, services.settings.port));
  services.settings.port = server->port();
  server->start();
  return {};
}

Status Application::start() {
  auto& state = *state_;
  auto& services = state.services;
  MR_RETURN_IF_ERROR(start_logging(services.settings.log_level));
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its size limit (ulimit -f): the write says so
  std::signal(SIGPIPE, SIG_IGN);  // a client that is gone is an error of the write, nothing more
  raise_descriptor_limit();
  services.compressors.assign(kCompressorNames.begin(), kCompressorNames.end());
  services.recent_log = recent_log_lines;
  MR_RETURN_IF_ERROR(state.check_bind());

  // A part that needs to be stopped appends its stop to `stops` once it runs; they are called last
  // to first, after the last handler has ended.
  MR_ASSIGN_OR_RETURN(auto workspace, commands::Workspace::open(services));
  for (const std::string& warning : workspace->warnings())
    services.startup_warnings.push_back(warning_line(warning));
  state.stops.push_back(
      [w = std::shared_ptr<commands::Workspace>(std::move(workspace))] { w->stop(); });

  auto status = state.start_server();
  if (!status.ok()) {
    state.stop_parts();
    return status;
  }
  state.wait_for_signals();
  const auto& settings = services.settings;
  fmt::print("millrace {} listening on mongodb://{} (data in {})\n", settings.version,
             host_and_port(settings.bind, settings.port), settings.data_dir);
  std::fflush(stdout);
  return {};
}

void Application::State::wait_for_signals() {
  error_code ignored;
  for (int number : {SIGINT, SIGTERM, SIGHUP}) signals.add(number, ignored);
  signals.async_wait([this](error_code error, int number) {
    if (error) return;
    if (number == SIGHUP) {
      spdlog::info("SIGHUP: reading the connections again");
      for (const auto& reload : services.on_reload) server->run_on_pool(reload);
    } else if (stopping) {
      spdlog::error("second signal: ending at once");
      std::_Exit(1);
    } else {
      begin_stop();
    }
    wait_for_signals();
  });
}

void Application::State::begin_stop() {
  stopping = true;
  spdlog::info("stopping: {} connections", server->connections());
  deadline.expires_after(kDrainConnections);
  deadline.async_wait([this](error_code) { io.stop(); });
  server->stop([this] { io.stop(); });
}

void Application::State::stop_parts() {
  while (!stops.empty()) {
    auto stop = std::move(stops.back());
    stops.pop_back();
    stop();
  }
}

int Application::run() {
  auto& state = *state_;
  state.io.run();
  bool drained = state.server->connections() == 0;
  if (drained) state.server->wait();
  state.stop_parts();
  if (drained) {
    spdlog::info("stopped");
    return 0;
  }
  // A handler that does not end holds references to all of this: nothing may be destroyed under it.
  spdlog::error("a command did not end within {} s: leaving without it", kDrainConnections.count());
  std::_Exit(0);
}

}  // namespace millrace::wire
