// $out and $merge at the end of an aggregate command.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/out/ and .../merge/
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "commands/local/local_database.h"

namespace millrace::commands {

class AggregateOutput {
 public:
  virtual ~AggregateOutput() = default;
  // `stage` is {$out: …} or {$merge: …}.
  static engine::Result<std::unique_ptr<AggregateOutput>> parse(const engine::Value& stage,
                                                                LocalDatabase& local,
                                                                std::string_view database,
                                                                const engine::Value& let,
                                                                bool bypass_validation);
  // Requires: the calling thread has no transaction open.
  virtual engine::Status write(const std::deque<std::string>& documents) = 0;
  virtual engine::Status finish() = 0;
};

}  // namespace millrace::commands
