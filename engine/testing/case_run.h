// Runs a case in one of three ways and says where it came out otherwise than expected.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/testing/capture.h"
#include "engine/testing/case_file.h"

namespace millrace::engine {

enum class Way : uint8_t {
  kStraight,  // what arrives at one moment is one batch
  kBatchesOfOne,
  kRestarts,  // stopped behind each batch, which is one event, and resumed from its checkpoint
};
std::string_view way_name(Way way);

// What a run has shown.
struct Observation {
  // Of a group of steps that were run together: steps [first, last].
  struct Group {
    size_t first = 0;
    size_t last = 0;
    std::vector<Output> outputs;
    std::vector<Actual> letters;
    Status answer;  // of start, restart or modify
  };
  Status mistake;             // of the case itself: nothing was run
  Status start;               // what the first start answered
  Status failure;             // why it failed later
  std::vector<Group> groups;  // the first one holds what came before any step
  std::vector<Output> outputs;
  std::vector<Actual> letters;
  Document stats;
  std::vector<Document> still_open;
};

Observation run_case(const TestCase& test, Way way);

// Line by line what is wrong; nothing when all is as the case expects.
std::optional<std::string> compare(const TestCase& test, const Observation& seen);

}  // namespace millrace::engine
