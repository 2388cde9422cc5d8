// `millrace bench`: a pipeline over the lines of a file, in process, on one thread: the ordinary
// road from the decoder to encoded output.
#pragma once

#include <cstdint>
#include <string>

#include "engine/document/status.h"

namespace millrace::engine {

struct BenchOptions {
  std::string job;            // "j1", "j2", "j3", or ""
  std::string pipeline_file;  // an Extended JSON array of stages without source and sink, when
                              // there is no job
  std::string input_file;     // one JSON document a line; event time is the field `timestamp`
  int64_t events = 0;         // at most; 0 = all
};

// Runs it and gives one line of JSON: events, wall_s, cpu_s, ev_per_s, ev_per_cpu_s, rss_mb, dlq,
// check. CPU and wall time are of processing, not of process start and of reading the file; memory
// is without the part of the file that is held meanwhile. `check` sums up the results by
// their field names, so that implementations can be compared: rows, count (of `count`), sum
// (`sum_watts` or `watts`), min (`min_watts`), max (`max_watts`), avg (`avg_temp` or `load_pct`,
// two decimals).
Result<std::string> run_bench(const BenchOptions& options);

}  // namespace millrace::engine
