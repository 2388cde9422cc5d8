#include "wire/session.h"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "commands/reply.h"
#include "commands/table.h"
#include "wire/server.h"

// GCC 12 sees Asio's allocation of a coroutine frame inlined and its release not, and warns of a
// mismatch that is none.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace millrace::wire {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using boost::system::error_code;
using commands::Progress;
using engine::ErrorCode;
using engine::Status;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A client may send ahead of the answers, up to this much; then it waits for the socket.
constexpr size_t kMaxFramesAhead = 16;
constexpr size_t kMaxBytesAhead = 8 << 20;
// Messages up to this size are decoded on the I/O thread (some 100 µs), longer ones on the pool.
constexpr size_t kDecodeInlineBytes = 256 << 10;
// Read in two steps, so that a header that lies about its length costs no memory.
constexpr size_t kFirstReadBytes = 256 << 10;
constexpr size_t kKeepReplyBytes = 1 << 20;  // a reply buffer that grew beyond is given back
constexpr milliseconds kFirstPause{5};       // between attempts of a waiting handler
constexpr milliseconds kPauseGrowth{5};
constexpr milliseconds kLongestPause{25};
constexpr milliseconds kLinger{1000};

}  // namespace

Session::Session(asio::ip::tcp::socket socket, commands::Services& services,
                 asio::thread_pool& pool, int64_t connection_id, std::function<void()> ended)
    : socket_(std::move(socket)),
      services_(services),
      pool_(pool),
      ended_(std::move(ended)),
      frame_arrived_(socket_.get_executor()),
      frame_taken_(socket_.get_executor()),
      retry_(socket_.get_executor()),
      linger_(socket_.get_executor()) {
  client_.connection_id = connection_id;
  error_code ignored;
  auto remote = socket_.remote_endpoint(ignored);
  client_.remote_address = host_and_port(remote.address().to_string(), remote.port());
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
}

void Session::start() {
  services_.counters.connections_current.fetch_add(1, std::memory_order_relaxed);
  services_.counters.connections_created.fetch_add(1, std::memory_order_relaxed);
  spdlog::debug("connection {} from {} accepted", client_.connection_id, client_.remote_address);
  // An exception (no memory for a large message) ends the connection, nothing else.
  auto on_exception = [self = shared_from_this()](std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      self->log_end(error.what());
    }
    self->close();
  };
  auto self = shared_from_this();
  asio::co_spawn(
      socket_.get_executor(), [self] { return self->read_loop(); }, on_exception);
  asio::co_spawn(
      socket_.get_executor(), [self] { return self->answer_loop(); },
      [self, on_exception](std::exception_ptr failure) {
        on_exception(failure);
        self->services_.counters.connections_current.fetch_sub(1, std::memory_order_relaxed);
        self->ended_();
      });
}

void Session::close() {
  closing_ = true;
  input_ended();
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  frame_taken_.cancel();
  linger_.cancel();
}

void Session::input_ended() {
  client_.closed = true;
  input_ended_ = true;
  frame_arrived_.cancel();
  retry_.cancel();
}

void Session::log_end(const std::string& why) {
  spdlog::warn("connection {} from {} closed: {}", client_.connection_id, client_.remote_address,
               why);
}

// Reading

Session::Awaitable<> Session::read_loop() {
  auto self = shared_from_this();
  while (!closing_) {
    auto frame = co_await read_frame();
    if (!frame) break;
    first_message_ = false;
    frames_bytes_ += frame->size;
    frames_.push_back(std::move(*frame));
    frame_arrived_.cancel();
    while (!closing_ && (frames_.size() >= kMaxFramesAhead || frames_bytes_ >= kMaxBytesAhead))
      co_await wait_for_signal(frame_taken_);
  }
  input_ended();
}

Session::Awaitable<bool> Session::read_exactly(char* to, size_t size) {
  error_code error;
  size_t n = co_await asio::async_read(socket_, asio::buffer(to, size),
                                       asio::redirect_error(use_awaitable, error));
  services_.counters.bytes_in.fetch_add(static_cast<int64_t>(n), std::memory_order_relaxed);
  co_return !error;
}

Session::Awaitable<std::optional<Buffer>> Session::read_frame() {
  char bytes[kHeaderBytes];
  if (first_message_) {
    // Byte by byte where it matters: a TLS client sends a legal-looking length and then waits for
    // us (clients-wire.md rule 18).
    if (!co_await read_exactly(bytes, 4)) co_return std::nullopt;
    if (co_await is_foreign(bytes, 4)) co_return std::nullopt;
    if (!co_await read_exactly(bytes + 4, kHeaderBytes - 4)) co_return std::nullopt;
  } else if (!co_await read_exactly(bytes, kHeaderBytes)) {
    co_return std::nullopt;
  }
  Header header = read_header(bytes);
  if (header.message_length < static_cast<int32_t>(kHeaderBytes) ||
      header.message_length > kMaxMessageBytes) {
    log_end("message msgLen " + std::to_string(header.message_length) +
            " is invalid. Min: 16 Max: " + std::to_string(kMaxMessageBytes));
    co_return std::nullopt;
  }
  if (header.op_code != kOpMsg && header.op_code != kOpQuery && header.op_code != kOpCompressed) {
    log_end("opcode " + std::to_string(header.op_code) + " is not supported");
    co_return std::nullopt;
  }
  auto size = static_cast<size_t>(header.message_length);
  Buffer first(std::min(size, kFirstReadBytes));
  std::memcpy(first.data.get(), bytes, kHeaderBytes);
  if (!co_await read_exactly(first.data.get() + kHeaderBytes, first.size - kHeaderBytes))
    co_return std::nullopt;
  if (first.size == size) co_return std::move(first);
  Buffer whole(size);
  std::memcpy(whole.data.get(), first.data.get(), first.size);
  if (!co_await read_exactly(whole.data.get() + first.size, size - first.size))
    co_return std::nullopt;
  co_return std::move(whole);
}

Session::Awaitable<bool> Session::is_foreign(const char* bytes, size_t size) {
  std::string_view start(bytes, size);
  // A TLS record: handshake, version 3.x. The third byte tells it from a message of 790 bytes,
  // which starts 16 03 00 00.
  if (start[0] == 0x16 && start[1] == 0x03 && start[2] >= 1 && start[2] <= 4) {
    log_end("the client speaks TLS, but this port is plain: connect without tls=true");
    co_return true;
  }
  if (start != "GET " && start != "POST" && start != "HEAD") co_return false;
  log_end("the client speaks HTTP, but this is the port for MongoDB clients");
  co_await answer_http();
  co_return true;
}

Session::Awaitable<> Session::answer_http() {
  // The sentence that MongoDB itself answers; health checks look for it.
  static constexpr std::string_view kAnswer =
      "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: "
      "85\r\n\r\n"
      "It looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n";
  error_code error;
  co_await asio::async_write(socket_, asio::buffer(kAnswer),
                             asio::redirect_error(use_awaitable, error));
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  // What the client still sends is read and dropped: closing with unread bytes would reset the
  // connection before it has read.
  linger_.expires_after(kLinger);
  linger_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) self->close();
  });
  char dropped[1024];
  for (error_code end; !end;)
    co_await socket_.async_read_some(asio::buffer(dropped),
                                     asio::redirect_error(use_awaitable, end));
  linger_.cancel();
}

// Answering

Session::Awaitable<> Session::answer_loop() {
  auto self = shared_from_this();
  for (bool keep = true; keep;) {
    while (frames_.empty() && !input_ended_) co_await wait_for_signal(frame_arrived_);
    if (frames_.empty() || closing_) break;
    Buffer frame = std::move(frames_.front());
    frames_.pop_front();
    frames_bytes_ -= frame.size;
    frame_taken_.cancel();
    services_.counters.requests.fetch_add(1, std::memory_order_relaxed);
    keep = co_await answer_frame(frame);
  }
  close();
  spdlog::debug("connection {} from {} ended", client_.connection_id, client_.remote_address);
  if (services_.on_client_gone.empty()) co_return;
  std::function<void()> tell = [this] {
    for (const auto& listener : services_.on_client_gone) listener(client_);
  };
  co_await on_pool(tell);
}

Session::Awaitable<bool> Session::answer_frame(Buffer& frame) {
  Command command;
  Fault fault;
  Unpacked unpacked;
  compressor_.reset();
  std::function<void()> decode = [&] {
    std::string_view message = frame.view();
    if (read_header(message.data()).op_code == kOpCompressed) {
      auto result = unpack(message);
      if (!result.ok()) {
        fault = {result.status(), /*close=*/true, /*silent=*/true};
        return;
      }
      unpacked = std::move(result).value();
      compressor_ = unpacked.compressor;
      message = unpacked.message.view();
    }
    switch (read_header(message.data()).op_code) {
      case kOpMsg:
        fault = decode_op_msg(message, command);
        break;
      case kOpQuery:
        fault = decode_op_query(message.substr(kHeaderBytes), command);
        break;
      default:
        fault = {Status(ErrorCode::kInvalidBson, "unknown opcode in a compressed message"),
                 /*close=*/true, /*silent=*/true};
    }
  };
  bool inline_decode =
      frame.size <= kDecodeInlineBytes && read_header(frame.data.get()).op_code != kOpCompressed;
  if (inline_decode) {
    decode();
  } else {
    co_await on_pool(decode);
  }
  int32_t request_id = read_header(frame.data.get()).request_id;
  if (!fault.ok()) co_return co_await answer_fault(request_id, command, fault);
  co_return co_await answer_command(request_id, command);
}

Session::Awaitable<bool> Session::answer_fault(int32_t request_id, const Command& command,
                                               const Fault& fault) {
  if (fault.close) log_end(fault.status.message());
  if (fault.silent) co_return false;
  if (command.more_to_come) co_return !fault.close;
  reply_.emplace();
  if (command.on_collection) {
    // Drivers that send this look for $err and the failure flag, not for an ordinary reply
    // (clients-wire.md section 1.2).
    reply_->begin_document();
    reply_->append("$err", fault.status.message());
    reply_->append("code", fault.status.code());
    reply_->append("ok", 0.0);
    reply_->end();
    auto prefix = op_reply_prefix(++last_reply_id_, request_id, kQueryFailure, reply_->size());
    co_return co_await send_reply(prefix);
  }
  commands::write_error(fault.status, *reply_);
  bool sent = co_await send(request_id, command.is_op_query, false);
  if (sent && fault.close) co_await linger();
  co_return sent && !fault.close;
}

Session::Awaitable<bool> Session::answer_command(int32_t request_id, const Command& command) {
  const auto* row = commands::find_command(command.name);
  if (command.is_op_query && (row == nullptr || !(row->flags & commands::kOpQuery))) {
    Fault fault{Status(ErrorCode::kUnsupportedOpQueryCommand,
                       "Unsupported OP_QUERY command: " + std::string(command.name) +
                           ". The client driver may require an upgrade.")};
    co_return co_await answer_fault(request_id, command, fault);
  }
  if (!reply_) reply_.emplace();
  for (int round = 0;; ++round) {
    commands::Request request{services_,    client_,          command.body,
                              command.name, command.database, steady_clock::now()};
    request.exhaust_allowed = command.exhaust_allowed;
    request.exhaust_round = round;
    auto outcome = co_await run(row, request);
    if (outcome.progress == Progress::kWait) co_return false;  // the client went away meanwhile
    if (command.more_to_come) co_return true;
    // Each reply of a stream answers the one before it (drivers' OP_MSG specification, "exhaust").
    if (!co_await send(request_id, command.is_op_query, request.more_to_come)) co_return false;
    if (!request.more_to_come) co_return true;
    if (closing_ || client_.closed) co_return false;
    request_id = last_reply_id_;
  }
}

Session::Awaitable<commands::Outcome> Session::run(const commands::CommandRow* row,
                                                   commands::Request& request) {
  bool on_io_thread = commands::runs_inline(row);
  commands::Outcome outcome;
  std::function<void()> attempt = [&] { outcome = commands::run_command(row, request, *reply_); };
  for (auto pause = kFirstPause;; pause = std::min(pause + kPauseGrowth, kLongestPause)) {
    request.next_attempt = {};
    if (on_io_thread) {
      attempt();
    } else {
      co_await on_pool(attempt);
    }
    if (outcome.progress == Progress::kDone || client_.closed) co_return outcome;
    retry_.expires_at(std::max(steady_clock::now() + pause, request.next_attempt));
    error_code woken;
    co_await retry_.async_wait(asio::redirect_error(use_awaitable, woken));
    if (client_.closed) co_return outcome;
  }
}

// Sends what is in `reply_`.
Session::Awaitable<bool> Session::send(int32_t response_to, bool is_op_query, bool more_to_come) {
  constexpr size_t kMaxPrefixBytes = 64;
  if (reply_->size() + kMaxPrefixBytes > static_cast<size_t>(kMaxMessageBytes)) {
    Status too_large(ErrorCode::kBsonObjectTooLarge, "the reply of " +
                                                         std::to_string(reply_->size()) +
                                                         " bytes is larger than a message may be");
    reply_.emplace();
    commands::write_error(too_large, *reply_);
  }
  int32_t id = ++last_reply_id_;
  auto prefix =
      is_op_query ? op_reply_prefix(id, response_to, kAwaitCapable, reply_->size())
                  : op_msg_reply_prefix(id, response_to, more_to_come ? uint32_t{kMoreToCome} : 0u,
                                        reply_->size());
  co_return co_await send_reply(prefix);
}

Session::Awaitable<bool> Session::send_reply(const std::string& prefix) {
  std::optional<std::string> packed;
  if (compressor_) {
    std::function<void()> work = [&] {
      packed = pack(*compressor_, prefix + std::string(reply_->bytes()));
    };
    if (reply_->size() > kDecodeInlineBytes) {
      co_await on_pool(work);
    } else {
      work();
    }
  }
  auto body = packed ? std::string_view{} : reply_->bytes();
  const auto& head = packed ? *packed : prefix;
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(head), asio::buffer(body)};
  error_code error;
  size_t n =
      co_await asio::async_write(socket_, buffers, asio::redirect_error(use_awaitable, error));
  services_.counters.bytes_out.fetch_add(static_cast<int64_t>(n), std::memory_order_relaxed);
  if (reply_->size() > kKeepReplyBytes) reply_.reset();
  if (error)
    spdlog::debug("connection {} from {}: {}", client_.connection_id, client_.remote_address,
                  error.message());
  co_return !error;
}

// After the last answer: gives the client a moment to read it before the socket is closed under
// bytes it has still sent.
Session::Awaitable<> Session::linger() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  linger_.expires_after(kLinger);
  linger_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) self->close();
  });
  while (!input_ended_) {
    frames_.clear();
    frames_bytes_ = 0;
    frame_taken_.cancel();
    co_await wait_for_signal(frame_arrived_);
  }
}

Session::Awaitable<> Session::on_pool(const std::function<void()>& work) {
  std::exception_ptr failure;
  co_await asio::post(asio::bind_executor(pool_, use_awaitable));
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  co_await asio::post(socket_.get_executor(), use_awaitable);
  if (failure) std::rethrow_exception(failure);
}

Session::Awaitable<> Session::wait_for_signal(asio::steady_timer& signal) {
  signal.expires_at(steady_clock::time_point::max());
  error_code woken;
  co_await signal.async_wait(asio::redirect_error(use_awaitable, woken));
}

}  // namespace millrace::wire
