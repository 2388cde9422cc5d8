// One seed's life of a stream processor: started, stepped, hurt, killed, resumed, modified and at
// last left in peace; and what must hold meanwhile and afterwards.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/connection/registry.h"
#include "engine/runtime/processor_core.h"
#include "engine/runtime/stand_ins.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/sim_deployment.h"
#include "tests/simulation/sim_store.h"

namespace millrace::simulation {

struct Report {
  std::string violation;  // "" = none
  uint64_t trace_hash = 0;
  int64_t runs = 0, crashes = 0, stops = 0, failures = 0, modifications = 0, commits = 0,
          events = 0;
};

class Simulation final : private engine::StandIns {
 public:
  Simulation(uint64_t seed, bool print_trace, Sabotage sabotage);
  Report run();

 private:
  enum class End : uint8_t { kFinished, kStopped, kCrashed, kFailed };
  using Core = engine::ProcessorCore;

  // StandIns
  engine::SourcePtr source(const engine::SourceContext& context,
                           const engine::Source& real) override;
  std::unique_ptr<engine::SinkWriter> sink_writer(std::string_view /*stage*/,
                                                  const engine::Connection* /*connection*/,
                                                  const engine::SinkWriter& /*real*/) override {
    return nullptr;
  }

  // The life.
  void live();
  End run_once();
  End step_until_end();
  bool step_once();
  void disturb();
  bool rest();  // nothing to do: time passes; false when all is done
  End stop_gracefully();
  End clean_up_failure();
  void maybe_modify();
  void set_version(size_t version);
  void choose_half(Core::Step* source, Core::Step* pipeline, Core::Step* sink);

  // What must hold.
  void on_write(const std::string& ns, const std::string& id, const engine::Document& document);
  void on_letter(const engine::Document& letter);
  void on_result(const std::string& id, const engine::Document& document);
  void check_certain_result(const std::string& key, const engine::Document& document);
  void check_uncertain_result(const engine::Document& document);
  void check_watermark();
  void check_failure(const engine::Status& status);
  void check_commit();
  void check_commit_results(const std::vector<size_t>& position);
  void check_stop();
  void check_end();
  void check_end_results();
  void check_end_letters();
  void check_nothing_lost();
  bool may_be_open(const Event& event) const;
  engine::Document checkpoint_details(std::vector<size_t>& position);
  std::vector<size_t> whole() const;
  bool all_processed() const;
  const Event& event_of(const engine::Document& letter);

  World world_;
  Scenario scenario_;
  Oracle oracle_;
  SimulatedStore store_;
  SimulatedDeployment deployment_;
  engine::ConnectionRegistry connections_;
  engine::ProcessorDefinition definition_;
  std::unique_ptr<Core> core_;

  // What is expected of the whole input.
  std::vector<Results> expected_;  // by version
  std::set<std::pair<std::string, int64_t>> expected_letters_;
  size_t expected_letter_count_ = 0;
  std::map<int64_t, const Event*> by_id_;
  std::map<std::string, const Event*> by_payload_;
  std::map<int64_t, const LogRecord*> records_;
  std::map<int64_t, std::vector<std::pair<size_t, size_t>>> places_;  // partition, offset

  // Of the life so far.
  size_t version_ = 0;
  int64_t memory_limit_bytes_ = 0;
  int64_t steps_ = 0;
  int quiet_ = 0;
  int64_t checked_commits_ = 0;
  int64_t letters_this_run_ = 0;
  int64_t watermark_ms_ = engine::kNoWatermark;
  std::map<std::pair<std::string, int64_t>, int64_t> letters_;  // operator, event -> copies
  Report report_;
};

}  // namespace millrace::simulation
