#include "engine/runtime/processor_run.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;
using Step = ProcessorCore::Step;

// How long a thread waits at most without looking around.
constexpr milliseconds kWait{100};
constexpr milliseconds kRetryLook{20};
// A sink that cannot be reached must not hold a stop for longer.
constexpr milliseconds kStopPatience{3500};

Status unexpected(const char* what, const std::exception& error) {
  return Status(ErrorCode::kInternalError,
                std::string(what) + " failed unexpectedly: " + error.what());
}

}  // namespace

Result<std::unique_ptr<ProcessorRun>> ProcessorRun::start(RunOptions options,
                                                          RunEnvironment environment) {
  std::unique_ptr<ProcessorRun> run(new ProcessorRun(std::move(options), std::move(environment)));
  MR_RETURN_IF_ERROR(run->core_.prepare());
  run->core_.publish_stats();  // who asks before the first batch sees every operator
  run->sink_thread_ = std::thread([r = run.get()] { r->run_sink(); });
  run->pipeline_thread_ = std::thread([r = run.get()] { r->run_pipeline(); });
  run->source_thread_ = std::thread([r = run.get()] { r->run_source(); });
  return run;
}

ProcessorRun::~ProcessorRun() { stop(false); }

void ProcessorRun::run_source() {
  try {
    for (Step step; (step = core_.source_step(kWait)) != Step::kDone;) {
      if (step == Step::kWaiting) std::this_thread::sleep_for(kRetryLook);
    }
  } catch (const std::exception& error) {
    core_.fail(unexpected("the source", error));
  }
}

void ProcessorRun::run_pipeline() {
  try {
    while (core_.pipeline_step(kWait) != Step::kDone) {
    }
    if (core_.drained()) finish_drained();
  } catch (const std::exception& error) {
    core_.fail(unexpected("the pipeline", error));
  }
  core_.close_output();
}

// sp.process(): all results are out; the sink gets them too before the cursor ends.
void ProcessorRun::finish_drained() {
  while (!core_.sink_done()) std::this_thread::sleep_for(milliseconds(1));
  core_.publish_stats();
  for (const auto& cursor : core_.current_samples()) cursor->end(failure());
  core_.set_ended();
}

void ProcessorRun::run_sink() {
  try {
    for (Step step; (step = core_.sink_step(kWait)) != Step::kDone;) {
      if (step == Step::kWaiting) std::this_thread::sleep_for(kRetryLook);
    }
  } catch (const std::exception& error) {
    core_.fail(unexpected("the sink", error));
    while (core_.sink_step(milliseconds(0)) != Step::kDone) {
    }
  }
}

bool ProcessorRun::checkpoint_now(milliseconds timeout) {
  int64_t before = core_.checkpoints_committed();
  core_.want_checkpoint();
  auto until = std::chrono::steady_clock::now() + timeout;
  while (std::chrono::steady_clock::now() < until) {
    if (core_.checkpoints_committed() > before) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

void ProcessorRun::request_stop() {
  if (core_.options().temporary) core_.abort();  // nobody waits for what it would still write
  core_.request_stop(false);
}

void ProcessorRun::stop(bool checkpoint) {
  if (!sink_thread_.joinable()) return;
  if (!checkpoint) core_.abort();
  for (const auto& cursor : core_.current_samples()) cursor->end();
  core_.request_stop(checkpoint);
  source_thread_.join();
  if (checkpoint) {
    auto until = std::chrono::steady_clock::now() + kStopPatience;
    while (!core_.sink_done() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    if (!core_.sink_done()) core_.abort();
  }
  if (!core_.sink_done() && core_.aborting()) core_.close_output();
  pipeline_thread_.join();
  sink_thread_.join();
  core_.close();
}

}  // namespace millrace::engine
