#include "wire/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>

namespace millrace::wire {
namespace {

using engine::ErrorCode;
using engine::Status;

constexpr size_t kRecentLines = 1024;  // as many as mongod keeps
constexpr std::array<std::string_view, 7> kLevels = {"trace", "debug",    "info", "warn",
                                                     "error", "critical", "off"};

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string structured_line(std::chrono::system_clock::time_point when, char severity,
                            std::string_view message) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count();
  std::time_t seconds = ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format(
      R"({{"t":{{"$date":"{}.{:03}+00:00"}},"s":"{}","c":"-","id":0,"ctx":"millrace","msg":{}}})",
      date, ms % 1000, severity, json_string(message));
}

class RecentLines : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::vector<std::string> lines(int64_t* total) {
    std::lock_guard lock(mutex_);
    *total = total_;
    return {lines_.begin(), lines_.end()};
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    constexpr std::string_view kSeverity = "DDIWEF";
    auto level = static_cast<size_t>(message.level);
    char severity = level < kSeverity.size() ? kSeverity[level] : 'I';
    lines_.push_back(
        structured_line(message.time, severity, {message.payload.data(), message.payload.size()}));
    if (lines_.size() > kRecentLines) lines_.pop_front();
    ++total_;
  }
  void flush_() override {}

  std::deque<std::string> lines_;
  int64_t total_ = 0;
};

std::shared_ptr<RecentLines>& recent() {
  static auto sink = std::make_shared<RecentLines>();
  return sink;
}

}  // namespace

Status start_logging(const std::string& level) {
  auto found = std::find(kLevels.begin(), kLevels.end(), level);
  if (found == kLevels.end()) {
    return Status(ErrorCode::kBadValue, "unknown log level '" + level +
                                            "': trace, debug, info, warn, error, critical or off");
  }
  auto console = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger =
      std::make_shared<spdlog::logger>("millrace", spdlog::sinks_init_list{console, recent()});
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(static_cast<spdlog::level::level_enum>(found - kLevels.begin()));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(logger);
  return {};
}

std::vector<std::string> recent_log_lines(int64_t* total) { return recent()->lines(total); }

std::string warning_line(const std::string& message) {
  return structured_line(std::chrono::system_clock::now(), 'W', message);
}

}  // namespace millrace::wire
