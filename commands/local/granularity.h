// The preferred numbers that $bucketAuto's granularity rounds boundaries to.
// Source:
// https://www.mongodb.com/docs/manual/reference/operator/aggregation/bucketAuto/#granularity ; the
// series: ISO 3 (R), IEC 60063 (E).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "engine/document/value.h"

namespace millrace::commands {

class Granularity {
 public:
  // "R5", "E24", "1-2-5", "POWERSOF2", …; nothing for another name.
  static std::optional<Granularity> find(std::string_view name);

  // The next number of the series above the value, or below it; zero stays. Throws EvaluationError
  // 40258 to 40260 for what is no number, NaN or negative.
  engine::Value above(const engine::Value& value, engine::Arena& arena) const;
  engine::Value below(const engine::Value& value, engine::Arena& arena) const;

 private:
  std::span<const int> series_;  // of one decade; empty: powers of two
};

}  // namespace millrace::commands
