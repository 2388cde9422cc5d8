// Logging: spdlog to stderr, and the newest lines kept for the getLog command.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/document/status.h"

namespace millrace::wire {

// `level`: trace, debug, info, warn, error, critical or off. Errors: any other word. Call once,
// before other threads run.
engine::Status start_logging(const std::string& level);

// The newest lines as MongoDB's structured log has them (one JSON object per line), oldest first;
// `total`: how many were ever logged. Any thread.
// https://www.mongodb.com/docs/manual/reference/log-messages/
std::vector<std::string> recent_log_lines(int64_t* total);

// One such line made now, of severity W.
std::string warning_line(const std::string& message);

}  // namespace millrace::wire
