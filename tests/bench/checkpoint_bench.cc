// What a checkpoint costs a pipeline with many groups: the pause for fork(), the whole save on the
// pipeline's thread, and the commit.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>

#include "engine/document/extended_json.h"
#include "engine/runtime/pipeline.h"
#include "engine/runtime/state_snapshot.h"
#include "storage/checkpoints.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kStages =
    R"([{"$tumblingWindow": {"interval": {"size": 1, "unit": "day"}, "pipeline": [{"$group": {)"
    R"("_id": "$device_id", "count": {"$sum": 1}, "sum_watts": {"$sum": "$obs.watts"},)"
    R"( "avg_temp": {"$avg": "$obs.temp"}, "min_watts": {"$min": "$obs.watts"},)"
    R"( "max_watts": {"$max": "$obs.watts"}}}]}}])";

// A pipeline whose open window holds `groups` groups of five accumulators.
std::unique_ptr<Pipeline> with_groups(int64_t groups, const Clock& clock) {
  PipelineSpec spec;
  spec.pipeline = *parse_extended_json(R"({"pipeline": )" + std::string(kStages) + "}");
  spec.source_and_sink = false;
  spec.time_field = *parse_extended_json(R"({"$toDate": "$t"})");
  PipelineEnvironment environment;
  environment.clock = &clock;
  auto pipeline = Pipeline::build(spec, environment);
  if (!pipeline.ok()) throw std::runtime_error(pipeline.status().message());
  OutputBatch output;
  for (int64_t at = 0; at < groups;) {
    SourceBatch batch;
    for (int i = 0; i < 1000 && at < groups; ++i, ++at) {
      batch.add(fmt::format(
          R"({{"device_id": "dev{:07}", "t": 1700000000000, "obs": {{"watts": {}, "temp": {}.5}}}})",
          at, at % 450, at % 30));
    }
    (*pipeline)->process(batch, output);
  }
  return std::move(*pipeline);
}

void save(benchmark::State& state) {
  SystemClock clock;
  auto pipeline = with_groups(state.range(0), clock);
  size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    for (const auto& [name, document] : pipeline->save()) bytes += document.bytes().size();
  }
  state.counters["state_bytes_per_group"] =
      static_cast<double>(pipeline->state_bytes()) / static_cast<double>(state.range(0));
  state.counters["saved_bytes_per_group"] =
      static_cast<double>(bytes) / static_cast<double>(state.range(0));
}
BENCHMARK(save)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// The pause: start() alone; then the child is waited for.
void pause(benchmark::State& state) {
  SystemClock clock;
  auto pipeline = with_groups(state.range(0), clock);
  for (auto _ : state) {
    auto snapshot = StateSnapshot::start(*pipeline);
    state.PauseTiming();
    if (!snapshot.ok() || !(*snapshot)->take().ok()) throw std::runtime_error("no snapshot");
    snapshot->reset();
    state.ResumeTiming();
  }
}
BENCHMARK(pause)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// Save and commit, as they are for a small state. CPU time is what one core spends.
void commit(benchmark::State& state) {
  SystemClock clock;
  auto pipeline = with_groups(state.range(0), clock);
  std::filesystem::path directory =
      std::filesystem::temp_directory_path() / fmt::format("millrace-bench-{}", getpid());
  auto store = storage::Store::open(directory.string());
  if (!store.ok()) throw std::runtime_error(store.status().message());
  for (auto _ : state) {
    Pipeline::State saved = pipeline->save();
    std::vector<storage::CheckpointBlobView> blobs;
    for (const auto& [name, document] : saved) blobs.push_back({name, 1, document.bytes()});
    storage::CheckpointHeader header;
    header.id = "x";
    Status status = (*store)->write([&](storage::WriteTransaction& txn) -> Status {
      auto sequence = storage::put_checkpoint(txn, "p", header, blobs);
      return sequence.ok() ? Status() : sequence.status();
    });
    if (!status.ok()) throw std::runtime_error(status.message());
  }
  store->reset();
  std::filesystem::remove_all(directory);
}
BENCHMARK(commit)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void restore(benchmark::State& state) {
  SystemClock clock;
  Pipeline::State saved = with_groups(state.range(0), clock)->save();
  for (auto _ : state) {
    auto fresh = with_groups(0, clock);
    if (!fresh->restore(saved).ok()) throw std::runtime_error("not restored");
  }
}
BENCHMARK(restore)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::engine
