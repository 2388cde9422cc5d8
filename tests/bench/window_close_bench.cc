// How long it takes to close a window of 10,000 groups, with its output encoded: the longest time
// that other events wait. Prints percentiles of single closes, in time of the thread's CPU:
// machines are shared.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <stdexcept>

#include "engine/document/extended_json.h"
#include "engine/runtime/pipeline.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kGroup =
    R"([{"$group": {"_id": "$device_id", "count": {"$sum": 1}, "sum_watts": {"$sum": "$obs.watts"},)"
    R"( "avg_temp": {"$avg": "$obs.temp"}, "min_watts": {"$min": "$obs.watts"},)"
    R"( "max_watts": {"$max": "$obs.watts"}}}])";

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void close_window(benchmark::State& state, const char* window) {
  SystemClock clock;
  PipelineSpec spec;
  spec.pipeline = *parse_extended_json(
      fmt::format(R"({{"pipeline": [{{{}, "pipeline": {}}}}}]}})", window, kGroup));
  spec.source_and_sink = false;
  spec.time_field = *parse_extended_json(R"({"$toDate": "$t"})");
  PipelineEnvironment environment;
  environment.clock = &clock;
  auto pipeline = Pipeline::build(spec, environment);
  if (!pipeline.ok()) throw std::runtime_error(pipeline.status().message());

  constexpr int64_t kGroups = 10'000;
  int64_t second = 1'700'000'000;
  OutputBatch output;
  auto feed = [&](int64_t from, int64_t to) {
    SourceBatch batch;
    for (int64_t i = from; i < to; ++i) {
      batch.add(fmt::format(
          R"({{"device_id": "dev{:05}", "t": {}, "obs": {{"watts": {}, "temp": {}.5}}}})",
          i % kGroups, second * 1000 + 1, i % 450, i % 30));
    }
    (*pipeline)->process(batch, output);
  };
  std::vector<double> times;
  for (auto _ : state) {
    for (int64_t i = 0; i < kGroups; i += 1000) feed(i, i + 1000);
    output.clear();
    ++second;
    double begin = cpu_seconds();
    feed(0, 1);  // the document that closes it
    double elapsed = cpu_seconds() - begin;
    state.SetIterationTime(elapsed);
    times.push_back(elapsed);
  }
  std::sort(times.begin(), times.end());
  state.counters["p99_ms"] = times[times.size() * 99 / 100] * 1e3;
  state.counters["max_ms"] = times.back() * 1e3;
}
BENCHMARK_CAPTURE(close_window, tumbling,
                  R"("$tumblingWindow": {"interval": {"size": 1, "unit": "second"}, )"
                  R"("allowedLateness": 0)")
    ->UseManualTime()
    ->Iterations(300)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(close_window, hopping,
                  R"("$hoppingWindow": {"interval": {"size": 10, "unit": "second"}, )"
                  R"("hopSize": {"size": 1, "unit": "second"}, )"
                  R"("allowedLateness": 0)")
    ->UseManualTime()
    ->Iterations(300)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::engine
