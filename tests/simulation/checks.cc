// What must hold while a simulated processor lives and when it has come to its end.
#include <fmt/format.h>

#include <algorithm>

#include "engine/document/compare.h"
#include "engine/document/extended_json.h"
#include "storage/checkpoints.h"
#include "tests/simulation/simulation.h"

namespace millrace::simulation {

using engine::Document;
using engine::ErrorCode;
using engine::Field;
using engine::Status;
using engine::Value;

namespace {

constexpr std::string_view kLate = "Input document arrived late.";
constexpr std::string_view kInvalid = "Input document found to be invalid in $validate stage";

std::string text_of(const std::vector<size_t>& position) {
  std::string text;
  for (size_t offset : position) text += std::to_string(offset) + " ";
  return text;
}

bool is_window(std::string_view operator_name) { return operator_name.ends_with("WindowOperator"); }

}  // namespace

std::vector<size_t> Simulation::whole() const {
  std::vector<size_t> position;
  for (const auto& partition : scenario_.events) position.push_back(partition.size());
  return position;
}

bool Simulation::all_processed() const {
  std::vector<size_t> position(scenario_.events.size());
  SimulatedSource::decode(core_->stats().processed_position.value(), position);
  return position == whole();
}

void Simulation::on_write(const std::string& ns, const std::string& id, const Document& document) {
  if (ns == SimulatedDeployment::kLetters) {
    on_letter(document);
  } else {
    on_result(id, document);
  }
}

const Event& Simulation::event_of(const Document& letter) {
  Value body = letter.get("doc");
  if (!body.is_object())
    throw Violation{"a dead letter without doc: " + engine::to_json(letter.value())};
  Value id = body.as_object().get("id");
  if (id.is_missing()) {
    Value text = body.as_object().get("value");
    auto found =
        text.is_string() ? by_payload_.find(std::string(text.as_string())) : by_payload_.end();
    if (found == by_payload_.end())
      throw Violation{"a dead letter of no event: " + engine::to_json(letter.value())};
    return *found->second;
  }
  auto found = by_id_.find(id.integer_value());
  if (found == by_id_.end())
    throw Violation{"a dead letter of no event: " + engine::to_json(letter.value())};
  const Event& event = *found->second;
  if (event.fault == EventFault::kUnparsable) return event;
  auto payload = engine::parse_extended_json(records_.at(event.id)->payload);
  for (const Field& field : payload->view()) {
    if (!engine::equal(field.value, body.as_object().get(field.name())))
      throw Violation{fmt::format("the dead letter of event {} is not whole: {}", event.id,
                                  engine::to_json(body))};
  }
  return event;
}

void Simulation::on_letter(const Document& letter) {
  ++letters_this_run_;
  std::string name(letter.get("operatorName").as_string());
  std::string reason(letter.get("errInfo").as_object().get("reason").as_string());
  const Event& event = event_of(letter);
  world_.trace.line(fmt::format("  dead letter of event {} from {}", event.id, name));
  ++letters_[{name, event.id}];
  bool late = is_window(name);
  std::string rejecting = oracle_.rejected_by(event);
  bool inner = name == "AddFieldsOperator" && event.fault == EventFault::kInner;
  bool fits = late    ? rejecting.empty() && event.passes && reason == kLate
              : inner ? event.passes
                      : name == rejecting;
  if (name == "ValidateOperator") fits = fits && reason == kInvalid;
  if (event.fault == EventFault::kBadKey) fits = fits && reason == kFaultyKey;
  if (scenario_.exact && scenario_.shape.kind != Kind::kNone)
    fits = fits && expected_letters_.contains({name, event.id});
  if (!fits)
    throw Violation{
        fmt::format("an unexpected dead letter of event {} from {}: {}", event.id, name, reason)};
}

void Simulation::on_result(const std::string& id, const Document& document) {
  if (scenario_.shape.kind == Kind::kNone) {
    std::string key = oracle_.key_of(document, id);
    world_.trace.line("  " + key + ": " + oracle_.merged_line(document));
    return;
  }
  world_.trace.line("  " + id + ": " + engine::to_json(document.value()));
  if (scenario_.exact) {
    check_certain_result(id, document);
  } else {
    check_uncertain_result(document);
  }
}

// Each write is right, not only the last one of a window.
void Simulation::check_certain_result(const std::string& key, const Document& document) {
  const Results& expected = expected_[version_];
  auto found = expected.find(key);
  if (found == expected.end()) throw Violation{"a result that must not be: " + key};
  std::string line = oracle_.line_of(document, scenario_.versions[version_]);
  if (line != found->second)
    throw Violation{fmt::format("{} is {} but must be {}", key, line, found->second)};
}

// A window's events may vary with the order of delivery; what is said of them must fit them.
void Simulation::check_uncertain_result(const Document& document) {
  const Grouping& grouping = scenario_.versions[0];
  std::string line = oracle_.line_of(document, grouping);
  std::vector<int64_t> ids;
  if (grouping.form == Grouping::Form::kDocuments) {
    ids.push_back(document.get("id").integer_value());
  } else {
    for (const Value& id : document.get("list").as_array()) ids.push_back(id.integer_value());
  }
  Events events;
  int64_t start = document.get("_id").as_object().get("w").as_date();
  for (int64_t id : ids) {
    if (!by_id_.contains(id)) throw Violation{"a result of no event: " + line};
    const Event& event = *by_id_.at(id);
    if (std::find(events.begin(), events.end(), &event) != events.end())
      throw Violation{fmt::format("event {} is doubled in {}", id, line)};
    if (!oracle_.rejected_by(event).empty() || !event.passes || event.fault == EventFault::kInner)
      throw Violation{fmt::format("event {} must not be in a window: {}", id, line)};
    events.push_back(&event);
    if (scenario_.shape.processing_time || scenario_.shape.kind == Kind::kSession) continue;
    auto windows = oracle_.windows_over(event.time_ms);
    bool inside = std::any_of(windows.begin(), windows.end(),
                              [&](const auto& window) { return window.first == start; });
    if (!inside) throw Violation{fmt::format("event {} is in a wrong window: {}", id, line)};
  }
  if (line != oracle_.line_of(events, grouping))
    throw Violation{line + " does not fit its own events"};
}

void Simulation::check_watermark() {
  if (!core_->pipeline().has_window()) return;
  int64_t now = core_->pipeline().watermark_ms();
  if (now < watermark_ms_)
    throw Violation{fmt::format("the watermark goes back from {} to {}", watermark_ms_, now)};
  watermark_ms_ = now;
}

void Simulation::check_failure(const Status& status) {
  bool ours = false;
  switch (static_cast<ErrorCode>(status.code())) {
    case ErrorCode::kHostUnreachable:
    case ErrorCode::kNetworkTimeout:
    case ErrorCode::kUnknownError:
    case ErrorCode::kOutOfDiskSpace:
      ours = world_.faults_on;
      break;
    case ErrorCode::kStreamProcessorWorkerOutOfMemory:
      ours = scenario_.memory_limit_bytes < (int64_t{1} << 30);
      break;
    default:
      break;
  }
  if (!ours)
    throw Violation{fmt::format("the processor fails: {} {}", status.code(), status.message())};
}

Document Simulation::checkpoint_details(std::vector<size_t>& position) {
  bool faults = world_.faults_on;
  world_.faults_on = false;
  auto txn = store_.read();
  auto read = storage::read_checkpoint(**txn, definition_.id);
  world_.faults_on = faults;
  if (!read.ok() || !read->checkpoint) throw Violation{"there is no checkpoint to be read"};
  const storage::CheckpointBlob* source = read->checkpoint->find("source");
  position.assign(scenario_.events.size(), 0);
  if (source == nullptr || !SimulatedSource::decode(Document(source->bytes).value(), position))
    throw Violation{"a checkpoint without the source's position"};
  return read->checkpoint->header.details;
}

// G1: what a committed position covers is safe. And its counters belong to it.
void Simulation::check_commit() {
  if (store_.commits() == checked_commits_) return;
  checked_commits_ = store_.commits();
  std::vector<size_t> position;
  Document details = checkpoint_details(position);
  int64_t count = 0;
  for (size_t offset : position) count += static_cast<int64_t>(offset);
  int64_t counted = details.get("inputMessageCount").integer_value();
  world_.trace.line(fmt::format("checkpoint at {}with {} counted, {} out, {} dead letters",
                                text_of(position), counted,
                                details.get("outputMessageCount").integer_value(),
                                details.get("dlqMessageCount").integer_value()));
  if (counted != count)
    throw Violation{fmt::format("a checkpoint behind {} records has counted {}", count, counted)};
  if (scenario_.exact) check_commit_results(position);
}

void Simulation::check_commit_results(const std::vector<size_t>& position) {
  const auto& target = deployment_.collection(SimulatedDeployment::kTarget);
  if (scenario_.shape.kind == Kind::kNone) {
    std::map<std::string, int64_t> newest;
    for (const auto& [id, document] : target)
      newest[oracle_.key_of(document, id)] = document.get("id").integer_value();
    for (size_t p = 0; p < position.size(); ++p) {
      for (size_t i = 0; i < position[p]; ++i) {
        const Event& event = scenario_.events[p][i];
        if (!oracle_.rejected_by(event).empty() || oracle_.filtered(event)) continue;
        bool kept = scenario_.shape.merge == Merge::kKeepExisting;
        auto found = newest.find(event.key);
        if (found == newest.end() || (!kept && found->second < event.id))
          throw Violation{fmt::format(
              "event {} is behind a committed position but not in the target", event.id)};
      }
    }
    return;
  }
  // Windows that an idle partition lets close depend on when it was idle: checked at the end.
  bool by_watermark = scenario_.shape.partition_idle_timeout_ms == 0;
  Outcome outcome = oracle_.outcome(position);
  for (const ExpectedLetter& letter : outcome.letters) {
    if (!by_watermark) break;
    if (!letters_.contains({letter.operator_name, letter.event->id}))
      throw Violation{fmt::format(
          "event {} is behind a committed position but not in the dead letters", letter.event->id)};
  }
  for (const auto& [key, line] : oracle_.results(outcome.closed, scenario_.versions[0])) {
    if (by_watermark && !target.contains(key))
      throw Violation{"a window is behind a committed position but not in the target: " + key};
  }
}

// G4: counted = written, once nothing is queued any more.
void Simulation::check_stop() {
  int64_t counted = core_->stats().pipeline.dlq_count;
  if (counted != letters_this_run_)
    throw Violation{
        fmt::format("{} dead letters are counted, {} are written", counted, letters_this_run_)};
}

void Simulation::check_end() {
  if (scenario_.exact) {
    check_end_results();
  } else {
    check_nothing_lost();
  }
  check_end_letters();
  std::vector<size_t> position;
  Document details = checkpoint_details(position);
  if (position != whole()) throw Violation{"the last checkpoint is not at the end of the input"};
  if (!scenario_.exact || report_.modifications > 0 || scenario_.shape.kind == Kind::kNone) return;
  int64_t out = details.get("outputMessageCount").integer_value();
  if (out != static_cast<int64_t>(expected_[0].size()))
    throw Violation{fmt::format("{} results are counted, {} there are", out, expected_[0].size())};
  int64_t letters = details.get("dlqMessageCount").integer_value();
  if (letters != static_cast<int64_t>(expected_letter_count_))
    throw Violation{fmt::format("{} dead letters are counted over all runs, {} there must be",
                                letters, expected_letter_count_)};
}

void Simulation::check_end_results() {
  const auto& target = deployment_.collection(SimulatedDeployment::kTarget);
  if (scenario_.shape.kind == Kind::kNone) {
    Results found;
    for (const auto& [id, document] : target)
      found[oracle_.key_of(document, id)] = oracle_.merged_line(document);
    Results expected = oracle_.merged(whole());
    for (const auto& [key, line] : expected) {
      if (found[key] != line)
        throw Violation{fmt::format("at the end {} is {} but must be {}", key, found[key], line)};
    }
    if (found.size() != expected.size()) throw Violation{"the target has keys that must not be"};
    return;
  }
  for (const auto& [key, line] : expected_[0]) {
    if (!target.contains(key)) throw Violation{"a result is lost: " + key + ": " + line};
  }
  if (target.size() != expected_[0].size())
    throw Violation{fmt::format("the target has {} documents instead of {}", target.size(),
                                expected_[0].size())};
}

void Simulation::check_end_letters() {
  for (const auto& [letter, copies] : letters_) {
    int64_t read = 0;
    for (const auto& [p, i] : places_.at(letter.second)) read += scenario_.log.times_read[p][i];
    if (copies > read)
      throw Violation{fmt::format("event {} was read {} times but has {} dead letters from {}",
                                  letter.second, read, copies, letter.first)};
  }
  for (const auto& expected : expected_letters_) {
    if (!letters_.contains(expected))
      throw Violation{fmt::format("the dead letter of event {} from {} is lost", expected.second,
                                  expected.first)};
  }
  for (const auto& [id, event] : by_id_) {
    std::string name = oracle_.rejected_by(*event);
    if (!name.empty() && !letters_.contains({name, id}))
      throw Violation{fmt::format("the dead letter of event {} from {} is lost", id, name)};
  }
}

// An event that is in no result may still be in a window that has not closed.
bool Simulation::may_be_open(const Event& event) const {
  const Shape& shape = scenario_.shape;
  if (shape.processing_time) return false;
  if (watermark_ms_ == engine::kNoWatermark) return true;
  if (shape.kind != Kind::kSession) {
    auto windows = oracle_.windows_over(event.time_ms);
    return windows.empty() || windows.front().second + shape.lateness_ms > watermark_ms_;
  }
  std::vector<int64_t> times;
  for (const auto& [id, other] : by_id_) {
    if (other->key == event.key && other->time_ms >= event.time_ms) times.push_back(other->time_ms);
  }
  std::sort(times.begin(), times.end());
  int64_t last = event.time_ms;
  for (int64_t t : times) last = t < last + shape.gap_ms ? t : last;
  return last + shape.gap_ms + shape.lateness_ms > watermark_ms_;
}

// Every event is in a result, in the dead letters, filtered, or in a window that is open.
void Simulation::check_nothing_lost() {
  std::set<int64_t> found;
  for (const auto& [id, document] : deployment_.collection(SimulatedDeployment::kTarget)) {
    Value list = document.get("list");
    if (list.is_array()) {
      for (const Value& element : list.as_array()) found.insert(element.integer_value());
    } else {
      found.insert(document.get("id").integer_value());
    }
  }
  for (const auto& [letter, copies] : letters_) found.insert(letter.second);
  for (const auto& [id, event] : by_id_) {
    if (found.contains(id) || oracle_.filtered(*event) || may_be_open(*event)) continue;
    if (oracle_.in_gap(event->time_ms) || scenario_.shape.processing_time) {
      if (scenario_.shape.kind == Kind::kHopping) continue;  // in a gap between windows
    }
    throw Violation{fmt::format("event {} is lost", id)};
  }
}

}  // namespace millrace::simulation
