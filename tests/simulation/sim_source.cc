#include "tests/simulation/sim_source.h"

#include <algorithm>

namespace millrace::simulation {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Status;
using engine::Value;

SimulatedSource::SimulatedSource(World& world, Log& log)
    : world_(world),
      log_(log),
      next_(log.partitions.size()),
      replay_until_(log.partitions.size()),
      silent_until_ms_(log.partitions.size()) {}

bool SimulatedSource::decode(const Value& position, std::vector<size_t>& offsets) {
  Value list = position.is_object() ? position.as_object().get("partitions") : Value();
  if (!list.is_array()) return false;
  size_t index = 0;
  for (const Value& entry : list.as_array()) {
    if (index == offsets.size()) return false;
    offsets[index++] = static_cast<size_t>(entry.as_object().get("offset").integer_value());
  }
  return true;
}

Document SimulatedSource::encode(const std::vector<size_t>& offsets) const {
  BsonWriter w;
  w.begin_document();
  w.begin_array("partitions");
  for (size_t i = 0; i < offsets.size(); ++i) {
    w.begin_object(std::to_string(i));
    w.append("partition", static_cast<int32_t>(i));
    w.append("offset", static_cast<int64_t>(offsets[i]));
    w.end();
  }
  w.end();
  w.end();
  return Document(w.bytes());
}

Status SimulatedSource::open(const Value& position) {
  world_.crash_point("while the source opens");
  if (world_.strikes(world_.rates.source_error))
    return Status(ErrorCode::kHostUnreachable, "simulated: the broker is not there");
  if (position.is_missing()) return {};
  if (!decode(position, next_))
    return Status(ErrorCode::kInternalError, "the position is not one of this source");
  size_t p = static_cast<size_t>(world_.random.below(static_cast<int64_t>(next_.size())));
  bool inside = next_[p] > 0 && next_[p] < log_.partitions[p].size();
  if (world_.sabotage == Sabotage::kSkip && inside) ++next_[p];
  if (world_.sabotage == Sabotage::kDouble && inside) --next_[p];
  return {};
}

void SimulatedSource::deliver(size_t partition, engine::SourceBatch& batch) {
  size_t offset = next_[partition]++;
  const LogRecord& from = log_.partitions[partition][offset];
  engine::SourceRecord& record = batch.add(from.payload);
  record.partition = static_cast<int32_t>(partition);
  record.offset = static_cast<int64_t>(offset);
  record.timestamp_ms = from.timestamp_ms;
  record.replayed = offset < replay_until_[partition];
  record.fault = from.faulty_key ? kFaultyKey : nullptr;
  ++log_.times_read[partition][offset];
  log_.furthest[partition] = std::max(log_.furthest[partition], offset + 1);
}

Status SimulatedSource::read(engine::SourceBatch& batch, size_t max_records,
                             std::chrono::milliseconds /*max_wait*/) {
  batch.format = engine::PayloadFormat::kJson;
  world_.crash_point("before a read");
  if (world_.strikes(world_.rates.source_error)) {
    world_.trace.line("source: a read fails");
    return Status(ErrorCode::kHostUnreachable, "simulated: the broker is not there");
  }
  int64_t now_ms = world_.clock.monotonic_ns() / 1'000'000;
  std::vector<size_t> ready;
  for (size_t p = 0; p < next_.size(); ++p) {
    if (world_.strikes(log_.delivery.pause))
      silent_until_ms_[p] = now_ms + world_.random.below(log_.delivery.pause_ms_max + 1);
    if (next_[p] < log_.partitions[p].size() &&
        (now_ms >= silent_until_ms_[p] || !world_.faults_on))
      ready.push_back(p);
  }
  int64_t count = world_.random.between(1, log_.delivery.max_batch);
  count = std::min(count, static_cast<int64_t>(max_records));
  std::string what = "source:";
  while (count-- > 0 && !ready.empty()) {
    size_t p = world_.random.pick(ready);
    what += " " + std::to_string(p) + "@" + std::to_string(next_[p]) +
            (next_[p] < replay_until_[p] ? "r" : "");
    deliver(p, batch);
    if (next_[p] == log_.partitions[p].size()) std::erase(ready, p);
  }
  std::vector<size_t> position = next_;
  if (world_.sabotage == Sabotage::kEarlyPosition && !batch.empty()) {
    for (size_t p = 0; p < position.size(); ++p)
      position[p] = std::min(position[p] + 1, log_.partitions[p].size());
  }
  batch.position = encode(position);
  batch.replaying = false;
  for (size_t p = 0; p < next_.size(); ++p)
    batch.replaying = batch.replaying || next_[p] < replay_until_[p];
  batch.seal();
  if (!batch.empty()) world_.trace.line(what);
  world_.crash_point("behind a read");
  return {};
}

std::vector<engine::SourcePartition> SimulatedSource::partitions() const {
  std::vector<engine::SourcePartition> list;
  for (size_t p = 0; p < log_.partitions.size(); ++p)
    list.push_back({"events", static_cast<int32_t>(p)});
  return list;
}

void SimulatedSource::on_committed(const Value& /*position*/) {
  world_.crash_point("behind a checkpoint");
}

bool SimulatedSource::exhausted() const {
  for (size_t p = 0; p < next_.size(); ++p) {
    if (next_[p] < log_.partitions[p].size()) return false;
  }
  return true;
}

}  // namespace millrace::simulation
