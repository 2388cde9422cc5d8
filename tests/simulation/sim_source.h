// A partitioned log in memory and the source that reads it, in an order that the seed chooses
// within the order of each partition.
#pragma once

#include <string>
#include <vector>

#include "engine/source/source.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

struct LogRecord {
  std::string payload;
  int64_t timestamp_ms = 0;
  bool faulty_key = false;  // the source itself objects to it
};

// How a source delivers; part of the scenario.
struct Delivery {
  int64_t max_batch = 20;
  double pause = 0.1;  // a partition falls silent, at each read
  int64_t pause_ms_max = 500;
};

struct Log {
  std::vector<std::vector<LogRecord>> partitions;
  Delivery delivery;
  // How often each record was handed out, and how far the source has been read, over all runs.
  std::vector<std::vector<int>> times_read;
  std::vector<size_t> furthest;
};

inline constexpr const char* kFaultyKey = "the simulated key does not fit";

class SimulatedSource final : public engine::Source {
 public:
  SimulatedSource(World& world, Log& log);

  std::string_view name() const override { return "KafkaConsumerOperator"; }
  std::string_view type() const override { return "kafka"; }
  engine::Status open(const engine::Value& position) override;
  engine::Status read(engine::SourceBatch& batch, size_t max_records,
                      std::chrono::milliseconds max_wait) override;
  engine::Document position() const override { return encode(next_); }
  bool replayable() const override { return true; }
  void replay_until(const engine::Value& position) override { decode(position, replay_until_); }
  std::vector<engine::SourcePartition> partitions() const override;
  void on_committed(const engine::Value& position) override;

  bool exhausted() const;

  // {partitions: [{partition, offset}]}; false when it is no such document.
  static bool decode(const engine::Value& position, std::vector<size_t>& offsets);

 private:
  engine::Document encode(const std::vector<size_t>& offsets) const;
  void deliver(size_t partition, engine::SourceBatch& batch);

  World& world_;
  Log& log_;
  std::vector<size_t> next_;
  std::vector<size_t> replay_until_;
  std::vector<int64_t> silent_until_ms_;
};

}  // namespace millrace::simulation
