// simulation: runs seeds, says which fail, and replays one with a trace.
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>

#include "tests/simulation/simulation.h"

namespace {

using millrace::simulation::Report;
using millrace::simulation::Sabotage;
using millrace::simulation::Simulation;

const std::map<std::string, Sabotage> kSabotages = {
    {"none", Sabotage::kNone},
    {"lost-write", Sabotage::kLostWrite},
    {"lying-flush", Sabotage::kLyingFlush},
    {"early-position", Sabotage::kEarlyPosition},
    {"skip", Sabotage::kSkip},
    {"double", Sabotage::kDouble},
    {"lost-letter", Sabotage::kLostLetter},
};

struct Options {
  uint64_t first = 1;
  uint64_t count = 1000;
  int jobs = 1;
  bool trace = false;
  bool twice = false;
  Sabotage sabotage = Sabotage::kNone;
};

// Sums over seeds; in memory that the jobs, processes of their own, share with their parent.
struct Totals {
  uint64_t seed = 0;  // at work
  int64_t seeds = 0, failed = 0, runs = 0, crashes = 0, stops = 0, failures = 0, modifications = 0,
          commits = 0, events = 0;
};

Report simulate(uint64_t seed, const Options& options) {
  try {
    Report report = Simulation(seed, options.trace, options.sabotage).run();
    if (!options.twice || !report.violation.empty()) return report;
    Report again = Simulation(seed, false, options.sabotage).run();
    if (again.trace_hash != report.trace_hash)
      report.violation = "the second run of the seed went another way";
    return report;
  } catch (const millrace::simulation::Violation& violation) {
    Report report;
    report.violation = violation.text;
    return report;
  }
}

void run_seeds(const Options& options, int job, Totals& totals, bool report_failures) {
  for (uint64_t i = static_cast<uint64_t>(job); i < options.count;
       i += static_cast<uint64_t>(options.jobs)) {
    uint64_t seed = options.first + i;
    totals.seed = seed;
    Report report = simulate(seed, options);
    ++totals.seeds;
    totals.failed += report.violation.empty() ? 0 : 1;
    totals.runs += report.runs;
    totals.crashes += report.crashes;
    totals.stops += report.stops;
    totals.failures += report.failures;
    totals.modifications += report.modifications;
    totals.commits += report.commits;
    totals.events += report.events;
    if (!report.violation.empty() && report_failures)
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  report.violation.c_str());
    if (options.count == 1)
      std::printf("seed %llu: trace %016llx\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(report.trace_hash));
    std::fflush(stdout);
  }
}

// Seeds are dealt out to processes: one that dies takes only itself along, and its seed is known.
int run_jobs(const Options& options) {
  auto begin = std::chrono::steady_clock::now();
  void* shared = mmap(nullptr, sizeof(Totals) * static_cast<size_t>(options.jobs),
                      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  auto* totals = static_cast<Totals*>(shared);
  std::vector<pid_t> children;
  for (int job = 0; job < options.jobs; ++job) {
    new (&totals[job]) Totals();
    pid_t child = options.jobs == 1 ? 0 : fork();
    if (child < 0) return 2;
    if (child > 0) {
      children.push_back(child);
      continue;
    }
    run_seeds(options, job, totals[job], true);
    if (options.jobs > 1) _exit(0);
  }
  Totals sum;
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    ++sum.failed;
    size_t job =
        static_cast<size_t>(std::find(children.begin(), children.end(), child) - children.begin());
    std::printf("seed %llu: the process died, status %d\n",
                static_cast<unsigned long long>(totals[job].seed), status);
  }
  for (int job = 0; job < options.jobs; ++job) {
    sum.seeds += totals[job].seeds;
    sum.failed += totals[job].failed;
    sum.runs += totals[job].runs;
    sum.crashes += totals[job].crashes;
    sum.stops += totals[job].stops;
    sum.failures += totals[job].failures;
    sum.modifications += totals[job].modifications;
    sum.commits += totals[job].commits;
    sum.events += totals[job].events;
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%lld seeds in %.1f s: %lld events, %lld runs, %lld crashes, %lld failures, %lld stops, "
      "%lld modifications, %lld checkpoints; %lld seeds failed\n",
      static_cast<long long>(sum.seeds), seconds, static_cast<long long>(sum.events),
      static_cast<long long>(sum.runs), static_cast<long long>(sum.crashes),
      static_cast<long long>(sum.failures), static_cast<long long>(sum.stops),
      static_cast<long long>(sum.modifications), static_cast<long long>(sum.commits),
      static_cast<long long>(sum.failed));
  return sum.failed == 0 ? 0 : 1;
}

// The oracle must notice an engine, or a world, that does not keep its word.
int prove_that_it_can_fail(Options options) {
  int result = 0;
  for (const auto& [name, sabotage] : kSabotages) {
    if (sabotage == Sabotage::kNone) continue;
    options.sabotage = sabotage;
    Totals totals;
    run_seeds(options, 0, totals, false);
    std::printf("%s: noticed in %lld of %lld seeds\n", name.c_str(),
                static_cast<long long>(totals.failed), static_cast<long long>(totals.seeds));
    if (totals.failed == 0) result = 1;
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  uint64_t one_seed = 0;
  std::string sabotage = "none";
  CLI::App app("A simulated stream processor in a world that one seed decides");
  app.add_option("--seeds", options.count, "how many seeds");
  app.add_option("--first", options.first, "the first seed");
  app.add_option("--seed", one_seed, "this seed alone");
  app.add_option("--jobs", options.jobs, "processes")->check(CLI::Range(1, 256));
  app.add_flag("--trace", options.trace, "print what happens");
  app.add_flag("--twice", options.twice, "each seed twice: both must go the same way");
  app.add_option("--sabotage", sabotage,
                 "break a promise that the engine relies on; \"each\": every one, and fail where "
                 "that goes unnoticed");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);
  if (sabotage == "each") return prove_that_it_can_fail(options);
  if (!kSabotages.contains(sabotage)) {
    std::fprintf(stderr, "unknown --sabotage %s\n", sabotage.c_str());
    return 2;
  }
  options.sabotage = kSabotages.at(sabotage);
  if (one_seed != 0) {
    options.first = one_seed;
    options.count = 1;
    options.jobs = 1;
  }
  return run_jobs(options);
}
