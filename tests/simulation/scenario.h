// What a seed decides: the pipeline, its input, and how rough the world is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/sim_source.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

enum class EventFault : uint8_t {
  kNone,
  kUnparsable,  // no JSON
  kBadKey,      // the source objects
  kBadTime,     // timeField gives no date
  kInvalid,     // $validate
  kDivide,      // an expression in front of the window fails
  kInner,       // an expression inside the window fails
  kRefused,     // by the target
};

struct Event {
  int partition = 0;
  int64_t id = 0;  // unique, but for records that stand in the log twice
  int64_t time_ms = 0;
  int64_t value = 0;
  int64_t weight = 0;  // a large number of its own, so that a sum shows which events are in it
  std::string key;
  bool passes = true;  // $match
  EventFault fault = EventFault::kNone;
};

enum class Kind : uint8_t { kTumbling, kHopping, kSession, kNone };

enum class Merge : uint8_t { kReplace, kMerge, kKeepExisting };

// What a pipeline does, but for the part that a modify may change.
struct Shape {
  Kind kind = Kind::kTumbling;
  bool processing_time = false;
  int64_t interval_ms = 10'000;
  int64_t hop_ms = 10'000;
  int64_t gap_ms = 5'000;
  int64_t offset_ms = 0;
  int64_t lateness_ms = 0;
  std::optional<int64_t> idle_timeout_ms;
  int64_t partition_idle_timeout_ms = 0;
  bool time_field = false;  // else the record's own time
  bool match = false;
  bool validate = false;
  bool divide = false;        // an $addFields that can fail, in front of the window
  bool inner_divide = false;  // … and inside
  Merge merge = Merge::kReplace;
  bool on_key = false;  // $merge.on: "key" instead of _id
};

// What is computed of each window.
struct Grouping {
  enum class Form : uint8_t {
    kIdInside,   // $group's _id has the window's start
    kIdBehind,   // it is added behind the window
    kDocuments,  // no $group: the window releases its documents
  };
  Form form = Form::kIdInside;
  bool by_key = true;
  bool sorted = false;  // $sort in front of $group, or of the documents
  bool count = true, sum = true, weight = true, min = false, max = false, average = false,
       set = false, list = false, first = false, last = false, newest = false, top = false;
};

struct Scenario {
  uint64_t seed = 0;
  Shape shape;
  std::vector<Grouping> versions;          // the first, and what a modify changes it to
  std::vector<std::vector<Event>> events;  // by partition
  Log log;
  // The results follow from the input alone, whatever the order of delivery and the faults.
  bool exact = true;
  bool idle = false;         // windows close by idleness, of the source or of a partition
  bool clock_jumps = false;  // the wall clock does
  int64_t memory_limit_bytes = int64_t{1} << 30;
  FaultRates rates;
  // Per step of the scheduler.
  double crash = 0;
  double stop = 0;
  double checkpoint = 0;
  double modify = 0;  // between two runs
  int runs_max = 1;   // with faults; then one without
  int steps_max = 3000;
  int weight_source = 3, weight_pipeline = 3, weight_sink = 3, weight_clock = 1;
  int64_t checkpoint_interval_ms = 10'000;
  size_t portion_documents = 1024;  // see PipelineEnvironment
  size_t portion_bytes = 1 << 20;

  size_t event_count() const;
  // A line for the trace.
  std::string describe() const;
};

Scenario make_scenario(uint64_t seed, World& world);

// The pipeline as a user would write it, in version `version`.
std::string pipeline_text(const Scenario& scenario, size_t version);

}  // namespace millrace::simulation
