// One client connection: a coroutine that reads messages and one that answers them in order.
// Included by server.cc and session.cc alone (it brings Asio with it).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "commands/command.h"
#include "commands/dispatch.h"
#include "commands/services.h"
#include "wire/compression.h"
#include "wire/message.h"

namespace millrace::wire {

// Lives on the I/O thread; handlers that may block run on `pool`, and the session waits for them
// without blocking.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // `ended` is called once on the I/O thread, when no handler runs for the client any more.
  Session(boost::asio::ip::tcp::socket socket, commands::Services& services,
          boost::asio::thread_pool& pool, int64_t connection_id, std::function<void()> ended);

  void start();
  // Ends the connection; a running handler finishes first. I/O thread.
  void close();

 private:
  template <typename T = void>
  using Awaitable = boost::asio::awaitable<T>;

  Awaitable<> read_loop();
  Awaitable<std::optional<Buffer>> read_frame();
  Awaitable<bool> read_exactly(char* to, size_t size);
  // True if the first bytes are no MongoDB message but TLS or HTTP; answers what can be answered
  // and says so in the log.
  Awaitable<bool> is_foreign(const char* bytes, size_t size);
  Awaitable<> answer_http();

  Awaitable<> answer_loop();
  Awaitable<bool> answer_frame(Buffer& frame);  // these give false when the connection must end
  Awaitable<bool> answer_command(int32_t request_id, const Command& command);
  Awaitable<commands::Outcome> run(const commands::CommandRow* row, commands::Request& request);
  Awaitable<bool> answer_fault(int32_t request_id, const Command& command, const Fault& fault);
  Awaitable<bool> send_reply(const std::string& prefix);
  Awaitable<bool> send(int32_t response_to, bool is_op_query, bool more_to_come);

  Awaitable<> on_pool(const std::function<void()>& work);
  Awaitable<> wait_for_signal(boost::asio::steady_timer& signal);
  Awaitable<> linger();
  void input_ended();
  void log_end(const std::string& why);

  boost::asio::ip::tcp::socket socket_;
  commands::Services& services_;
  boost::asio::thread_pool& pool_;
  std::function<void()> ended_;
  commands::Client client_;

  std::deque<Buffer> frames_;  // read, not yet answered
  size_t frames_bytes_ = 0;
  bool first_message_ = true;
  bool input_ended_ = false;
  bool closing_ = false;
  // Timers that never expire by themselves: cancelling one wakes who waits for it.
  boost::asio::steady_timer frame_arrived_;
  boost::asio::steady_timer frame_taken_;
  boost::asio::steady_timer retry_;  // a waiting handler's next attempt
  boost::asio::steady_timer
      linger_;  // the end of politeness to a client that was told why it is thrown out
  std::optional<Compressor> compressor_;  // of the request that is being answered
  std::optional<engine::BsonWriter> reply_;
  int32_t last_reply_id_ = 0;
};

}  // namespace millrace::wire
