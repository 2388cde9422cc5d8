// How long the command that a thread works at may take: maxTimeMS.
// Source: https://www.mongodb.com/docs/manual/reference/method/cursor.maxTimeMS/
#pragma once

#include <cstdint>

#include "engine/document/status.h"

namespace millrace::commands {

// Holds for the thread that makes it, as long as it lives.
class TimeLimit {
 public:
  // `milliseconds` from now; 0: none.
  explicit TimeLimit(int64_t milliseconds);
  ~TimeLimit();
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

  // To be asked for every document that is looked at; cheap. Errors: 50 MaxTimeMSExpired.
  static engine::Status check();
};

}  // namespace millrace::commands
