#include "tests/simulation/simulation.h"

#include <fmt/format.h>

#include <limits>

#include "engine/document/extended_json.h"
#include "engine/runtime/connection_table.h"
#include "engine/runtime/modification.h"

namespace millrace::simulation {

using engine::Document;
using engine::ErrorCode;
using engine::Status;
using Step = engine::ProcessorCore::Step;

namespace {

constexpr int64_t kStepsLimit = 60'000;  // a seed that needs more hangs
constexpr int kRunsLimit = 80;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

Document connection(std::string_view json) { return *engine::parse_extended_json(json); }

}  // namespace

Simulation::Simulation(uint64_t seed, bool print_trace, Sabotage sabotage)
    : world_(seed, print_trace),
      scenario_(make_scenario(seed, world_)),
      oracle_(scenario_),
      store_(world_),
      deployment_(world_, [this](const std::string& ns, const std::string& id,
                                 const Document& document) { on_write(ns, id, document); }),
      connections_(engine::connection_types()) {
  world_.rates = scenario_.rates;
  world_.sabotage = sabotage;
  deployment_.refuse_marked(true);
  for (std::string_view json :
       {R"({"name": "kafka", "type": "Kafka", "bootstrapServers": "simulated:9092"})",
        R"({"name": "target", "type": "Cluster", "clusterName": "simulated"})"}) {
    auto added = connections_.upsert(connection(json).value());
    if (!added.ok()) throw Violation{"a connection is refused: " + added.status().message()};
  }
  definition_.id = "65a000000000000000000001";
  definition_.name = "simulated";
  definition_.dlq = {"target", "sim", "letters"};
  set_version(0);
  memory_limit_bytes_ = scenario_.memory_limit_bytes;
  for (size_t p = 0; p < scenario_.events.size(); ++p) {
    for (size_t i = 0; i < scenario_.events[p].size(); ++i) {
      const Event& event = scenario_.events[p][i];
      by_id_.try_emplace(event.id, &event);
      const LogRecord& record = scenario_.log.partitions[p][i];
      by_payload_.try_emplace(record.payload, &event);
      records_.try_emplace(event.id, &record);
      places_[event.id].emplace_back(p, i);
    }
  }
  if (!scenario_.exact || scenario_.shape.kind == Kind::kNone) return;
  Outcome outcome = oracle_.outcome();
  for (const Grouping& grouping : scenario_.versions)
    expected_.push_back(oracle_.results(outcome.closed, grouping));
  expected_letter_count_ = outcome.letters.size();
  for (const ExpectedLetter& letter : outcome.letters)
    expected_letters_.emplace(letter.operator_name, letter.event->id);
}

void Simulation::set_version(size_t version) {
  version_ = version;
  auto parsed =
      engine::parse_extended_json("{\"pipeline\": " + pipeline_text(scenario_, version) + "}");
  if (!parsed.ok()) throw Violation{"the pipeline is no JSON: " + parsed.status().message()};
  definition_.pipeline = std::move(parsed).value();
}

Report Simulation::run() {
  report_.events = static_cast<int64_t>(scenario_.event_count());
  world_.trace.line(scenario_.describe());
  try {
    live();
    check_end();
  } catch (const Violation& violation) {
    report_.violation = violation.text;
    world_.trace.line("VIOLATION " + violation.text);
    core_.reset();
  }
  report_.commits = store_.commits();
  report_.trace_hash = world_.trace.hash();
  return report_;
}

void Simulation::live() {
  for (int run = 0; run < kRunsLimit; ++run) {
    if (run >= scenario_.runs_max) world_.faults_on = false;
    ++report_.runs;
    world_.trace.line(fmt::format("run {}{}", run + 1, world_.faults_on ? "" : ", without faults"));
    End end = run_once();
    check_commit();
    if (end == End::kFinished) return;
    if (!scenario_.idle) world_.clock.advance(world_.random.below(100'000));
    maybe_modify();
  }
  throw Violation{"the processor does not come to an end"};
}

void Simulation::maybe_modify() {
  if (version_ + 1 >= scenario_.versions.size() || !world_.random.chance(scenario_.modify)) return;
  engine::ProcessorDefinition before = definition_;
  set_version(version_ + 1);
  if (Status allowed = check_modification(before, definition_); !allowed.ok())
    throw Violation{"a modify is refused: " + allowed.message()};
  ++report_.modifications;
  world_.trace.line("modify: " + pipeline_text(scenario_, version_));
}

engine::SourcePtr Simulation::source(const engine::SourceContext& /*context*/,
                                     const engine::Source& /*real*/) {
  return std::make_unique<SimulatedSource>(world_, scenario_.log);
}

Simulation::End Simulation::run_once() {
  engine::RunEnvironment environment;
  environment.pipeline.connections = &connections_;
  environment.pipeline.clusters = &deployment_;
  environment.pipeline.clock = &world_.clock;
  environment.pipeline.stand_ins = this;
  environment.store = &store_;
  environment.settings.checkpoint_interval =
      std::chrono::milliseconds(scenario_.checkpoint_interval_ms);
  environment.settings.memory_limit_bytes = memory_limit_bytes_;
  environment.settings.fork_bytes = kNever;
  environment.pipeline.portion_documents = scenario_.portion_documents;
  environment.pipeline.portion_bytes = scenario_.portion_bytes;
  environment.single_threaded = true;
  engine::RunOptions options;
  options.definition = definition_;
  letters_this_run_ = 0;
  watermark_ms_ = engine::kNoWatermark;
  core_ = std::make_unique<Core>(std::move(options), environment);
  try {
    if (Status ready = core_->prepare(); !ready.ok()) {
      world_.trace.line("start fails: " + ready.message());
      check_failure(ready);
      core_.reset();
      ++report_.failures;
      return End::kFailed;
    }
    End end = step_until_end();
    core_.reset();
    return end;
  } catch (const Crash& crash) {
    world_.trace.line(std::string("CRASH ") + crash.where);
    ++report_.crashes;
    core_.reset();
    deployment_.crash();
    return End::kCrashed;
  }
}

Simulation::End Simulation::step_until_end() {
  quiet_ = 0;
  while (true) {
    if (++steps_ > kStepsLimit) throw Violation{"the processor hangs"};
    if (steps_ > scenario_.steps_max) world_.faults_on = false;
    if (core_->ended()) return clean_up_failure();
    if (world_.faults_on) {
      if (world_.random.chance(scenario_.stop)) return stop_gracefully();
      disturb();
    }
    quiet_ = step_once() ? 0 : quiet_ + 1;
    check_watermark();
    check_commit();
    if (quiet_ < 12) continue;
    quiet_ = 0;
    if (!rest()) {
      End end = stop_gracefully();
      return end == End::kStopped && !world_.faults_on ? End::kFinished : end;
    }
  }
}

void Simulation::disturb() {
  Random& r = world_.random;
  if (r.chance(scenario_.crash)) throw Crash{"between two steps"};
  if (r.chance(scenario_.checkpoint)) core_->want_checkpoint();
  if (scenario_.clock_jumps && r.chance(0.01)) {
    int64_t jump = r.between(-100'000, 100'000);
    world_.trace.line(fmt::format("the clock jumps by {} ms", jump));
    world_.clock.jump(jump);
  }
}

// One unit of work of a half that the seed chooses; true if there was any.
bool Simulation::step_once() {
  int total = scenario_.weight_source + scenario_.weight_pipeline + scenario_.weight_sink +
              scenario_.weight_clock;
  int64_t choice = world_.random.below(total);
  constexpr std::chrono::nanoseconds kNoWait{0};
  if ((choice -= scenario_.weight_source) < 0) {
    return !core_->source_blocked() && core_->source_step(kNoWait) == Step::kWorked;
  }
  if ((choice -= scenario_.weight_pipeline) < 0) {
    return !core_->pipeline_blocked() && core_->pipeline_step(kNoWait) == Step::kWorked;
  }
  if ((choice -= scenario_.weight_sink) < 0) return core_->sink_step(kNoWait) == Step::kWorked;
  world_.clock.advance(world_.random.below(50));
  return false;
}

// Nothing moves: time passes, as long as something waits for it.
bool Simulation::rest() {
  Random& r = world_.random;
  if (!all_processed()) {
    world_.clock.advance(r.between(10, 1'000));
    return true;
  }
  int64_t next = core_->pipeline().next_tick_ms();
  if (next == kNever) {
    if (world_.faults_on && r.chance(0.5)) {
      world_.clock.advance(r.between(10, 20'000));
      return true;
    }
    // Let the sink come to its end first.
    for (int i = 0; i < 200 && !world_.faults_on; ++i) {
      if (core_->sink_step(std::chrono::nanoseconds(0)) == Step::kIdle) break;
      world_.clock.advance(500);
    }
    return false;
  }
  world_.clock.advance(std::max<int64_t>(next - world_.clock.now_ms(), 1));
  return true;
}

Simulation::End Simulation::stop_gracefully() {
  world_.trace.line("stop");
  if (core_->ended()) return clean_up_failure();
  int64_t final_watermark = core_->pipeline().watermark_ms();
  core_->request_stop(true);
  bool pipeline_done = false;
  int64_t give_up_ns = world_.clock.monotonic_ns() + 3'500'000'000;
  while (!core_->sink_done()) {
    if (++steps_ > kStepsLimit) throw Violation{"the processor hangs while it stops"};
    if (world_.faults_on && world_.random.chance(scenario_.crash)) throw Crash{"while it stops"};
    if (!pipeline_done && !core_->pipeline_blocked())
      pipeline_done = core_->pipeline_step(std::chrono::nanoseconds(0)) == Step::kDone;
    if (core_->sink_step(std::chrono::nanoseconds(0)) == Step::kWaiting) world_.clock.advance(100);
    check_commit();
    if (world_.clock.monotonic_ns() > give_up_ns && !core_->aborting()) {
      world_.trace.line("the stop does not wait for the target any longer");
      core_->abort();
    }
  }
  if (!pipeline_done) core_->close_output();
  bool aborted = core_->aborting();
  core_->close();
  ++report_.stops;
  if (Status failure = core_->failure(); !failure.ok()) {
    check_failure(failure);
    return End::kFailed;
  }
  if (!aborted) check_stop();
  watermark_ms_ = final_watermark;
  return aborted ? End::kFailed : End::kStopped;
}

Simulation::End Simulation::clean_up_failure() {
  Status failure = core_->failure();
  world_.trace.line(fmt::format("FAILED {}: {}", failure.code(), failure.message()));
  check_failure(failure);
  ++report_.failures;
  if (failure.is(ErrorCode::kStreamProcessorWorkerOutOfMemory)) memory_limit_bytes_ *= 4;
  while (core_->source_step(std::chrono::nanoseconds(0)) != Step::kDone) {
  }
  while (core_->pipeline_step(std::chrono::nanoseconds(0)) != Step::kDone) {
  }
  while (core_->sink_step(std::chrono::nanoseconds(0)) != Step::kDone) {
  }
  core_->close();
  return End::kFailed;
}

}  // namespace millrace::simulation
