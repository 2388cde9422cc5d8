// Runs tests/window/*.json. A case:
//   {"name": …, "pipeline": [stages, one of them a window], then "error": {"code": n} if it must be
//   refused, else
//    "partitions": how many the source has (1), "partitionIdleTimeout": seconds (none), "meta":
//    true if documents carry stream metadata, "steps": [{"at": event time, "event": document,
//    "partition": 0, "wall": wall clock (that of the step before),
//               "emits": [documents that come out right then, in order], "late": [documents that go
//               to the dead letters], "reason": text of theirs, if not the usual one}, …],
//    "open": how many documents the windows would still emit at the end of the input (not checked
//    when absent), "restart": false where a restart rightly changes the answers (silence of a
//    partition counts from the restart)}
// Times are in seconds; 0 is 2025-03-01T00:00:00Z for events and the start of the processor for the
// wall clock. A step without event lets the time-driven work be done. Each case runs step by step,
// from a checkpoint before every event, and, where no wall clock is given and so all could come at
// once, in one batch.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/document/extended_json.h"
#include "engine/window/watermark.h"
#include "engine/window/windows.h"
#include "tests/runner/case_file.h"
#include "tests/runner/stage_list.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr int64_t kStartMs = 1740787200000;  // 2025-03-01T00:00:00Z

constexpr std::array<std::string_view, 10> kCaseKeys = {
    "name", "note",  "pipeline", "error",  "partitions", "partitionIdleTimeout",
    "meta", "steps", "open",     "restart"};
constexpr std::array<std::string_view, 8> kStepKeys = {"at",    "event", "partition", "wall",
                                                       "emits", "late",  "reason",    "note"};

int64_t milliseconds(const Value& seconds) { return std::llround(seconds.to_double() * 1000); }

std::string text(const Value& value) { return to_json(value, JsonFormat::kCanonical); }

std::string text_of_all(const Value& array) {
  std::string all;
  if (array.is_array()) {
    for (const Value& element : array.as_array()) all += "\n          " + text(element);
  }
  return all;
}

// What the stages gave in one step, or in all of them.
struct Seen {
  std::string emitted;
  std::string late;
};

class Letters final : public DeadLetters {
 public:
  void add(const StreamDocument& document, std::string_view, std::string_view reason) override {
    late += "\n          " + text(document.body);
    if (reason != "Input document arrived late.") late += " (" + std::string(reason) + ")";
  }
  std::string late;
};

// A compiled pipeline with its watermarks, fed by hand.
class Processor {
 public:
  static Result<std::unique_ptr<Processor>> build(ObjectView test) {
    auto processor = std::make_unique<Processor>();
    processor->parsing_.in_stream = true;
    StageList list;
    StageContext context{processor->parsing_, list, Place::kMain};
    MR_ASSIGN_OR_RETURN(processor->operators_,
                        list.build(test.get("pipeline"), Place::kMain, context));
    processor->context_.eval.variables.resize(processor->parsing_.variable_count());
    Dependencies dependencies;
    dependencies.fields.add_all();
    for (size_t i = processor->operators_.size(); i-- > 0;)
      processor->operators_[i]->dependencies(dependencies);
    processor->partitions_.resize(
        test.has("partitions") ? static_cast<size_t>(test.get("partitions").to_double()) : 1);
    if (test.has("partitionIdleTimeout")) {
      processor->watermarks_.set_partition_idle_timeout(
          milliseconds(test.get("partitionIdleTimeout")));
    }
    processor->meta_ = test.get("meta").truthy();
    processor->watermarks_.begin_batch(*processor, kStartMs);
    return processor;
  }

  Processor() : parsing_(memory_), clock_(kStartMs) {
    context_.clock = &clock_;
    context_.eval.clock = &clock_;
    context_.dead_letters = &letters_;
  }

  const std::vector<int>& partitions() const { return partitions_; }  // as a Source has

  void set_wall(const Value& seconds) {
    if (seconds.is_number()) clock_.set_ms(kStartMs + milliseconds(seconds));
  }
  void start_batch() {
    batch_.clear();
    watermarks_.begin_batch(*this, clock_.now_ms());
  }
  void add_event(ObjectView step) {
    StreamDocument document;
    document.body = step.get("event");
    document.timestamp_ms = kStartMs + milliseconds(step.get("at"));
    document.watermark_ms = watermarks_.current();
    if (meta_) {
      ObjectBuilder source(batch_.arena);
      source.add("type", Value::string("generated"));
      source.add("ts", Value::date(document.timestamp_ms));
      ObjectBuilder meta(batch_.arena);
      meta.add("source", source.finish());
      document.meta = meta.finish();
    }
    auto partition =
        step.has("partition") ? static_cast<int32_t>(step.get("partition").to_double()) : 0;
    watermarks_.observe(partition, document.timestamp_ms);
    batch_.documents.push_back(document);
  }
  void finish_batch() {
    batch_.watermark_ms = watermarks_.current();
    run(0, &Operator::on_batch);
  }
  void tick() {
    watermarks_.tick(clock_.now_ms());
    for (size_t i = 0; i < operators_.size(); ++i) {
      batch_.clear();
      batch_.watermark_ms = watermarks_.current();
      operators_[i]->on_tick(batch_, context_);
      run(i + 1, &Operator::on_batch);
    }
  }
  void end() {
    for (size_t i = 0; i < operators_.size(); ++i) {
      batch_.clear();
      batch_.watermark_ms = watermarks_.current();
      operators_[i]->on_end(batch_, context_);
      run(i + 1, &Operator::on_batch);
    }
  }
  Seen take_seen() {
    Seen seen{std::move(emitted_), std::move(letters_.late)};
    emitted_.clear();
    letters_.late.clear();
    return seen;
  }

  Document save() const {
    BsonWriter writer;
    writer.begin_document();
    writer.append("wall", clock_.now_ms());
    writer.begin_object("watermarks");
    watermarks_.save(writer);
    writer.end();
    writer.begin_array("operators");
    for (size_t i = 0; i < operators_.size(); ++i) {
      writer.begin_object(std::to_string(i));
      if (operators_[i]->has_state()) operators_[i]->on_checkpoint(writer);
      writer.end();
    }
    writer.end();
    writer.end();
    return Document(writer.bytes());
  }
  Status restore(const Document& state) {
    MR_RETURN_IF_ERROR(validate_bson(state.bytes()));
    clock_.set_ms(state.get("wall").as_int64());
    MR_RETURN_IF_ERROR(watermarks_.restore(state.get("watermarks"), clock_.now_ms()));
    size_t i = 0;
    for (const Value& saved : state.get("operators").as_array()) {
      if (operators_[i]->has_state()) MR_RETURN_IF_ERROR(operators_[i]->restore(saved, context_));
      ++i;
    }
    return {};
  }

 private:
  void run(size_t from, void (Operator::*work)(Batch&, OperatorContext&)) {
    for (size_t i = from; i < operators_.size(); ++i)
      (operators_[i].get()->*work)(batch_, context_);
    for (const StreamDocument& document : batch_.documents)
      emitted_ += "\n          " + text(document.body);
  }

  CompiledMemory memory_;
  ParseContext parsing_;
  std::vector<OperatorPtr> operators_;
  ManualClock clock_;
  Letters letters_;
  OperatorContext context_;
  Watermarks watermarks_;
  std::vector<int> partitions_;
  bool meta_ = false;
  Batch batch_;
  std::string emitted_;
};

Seen expected(ObjectView step) {
  Seen seen{text_of_all(step.get("emits")), {}};
  if (step.get("late").is_array()) {
    for (const Value& element : step.get("late").as_array()) {
      seen.late += "\n          " + text(element);
      if (step.has("reason")) seen.late += " (" + std::string(step.get("reason").as_string()) + ")";
    }
  }
  return seen;
}

CaseFailure compare(const Seen& want, const Seen& got, const std::string& where) {
  if (want.emitted != got.emitted)
    return where + ": should emit" + want.emitted + "\n        and emits" + got.emitted;
  if (want.late != got.late)
    return where + ": dead letters should be" + want.late + "\n        and are" + got.late;
  return std::nullopt;
}

void run_step(Processor& processor, ObjectView step) {
  processor.set_wall(step.get("wall"));
  if (step.has("event")) {
    processor.start_batch();
    processor.add_event(step);
    processor.finish_batch();
  } else {
    processor.tick();
  }
}

CaseFailure check_open(Processor& processor, ObjectView test) {
  if (!test.has("open")) return std::nullopt;
  processor.end();
  Seen seen = processor.take_seen();
  auto open = std::count(seen.emitted.begin(), seen.emitted.end(), '\n');
  if (open == test.get("open").to_double()) return std::nullopt;
  return "at the end " + text(test.get("open")) +
         " windows should be open, but these come out:" + seen.emitted;
}

// Step by step; with `restart`, a new processor continues from a checkpoint before each step.
CaseFailure run_steps(ObjectView test, bool restart) {
  auto built = Processor::build(test);
  if (!built.ok()) return "refused: " + built.status().message();
  std::unique_ptr<Processor> processor = std::move(built).value();
  int number = 0;
  for (const Value& value : test.get("steps").as_array()) {
    ObjectView step = value.as_object();
    std::string where =
        std::string(restart ? "restarted, " : "") + "step " + std::to_string(++number);
    if (restart && step.has("event")) {  // the idle timer counts from the restart, so that a
                                         // restart before a mere wait would lengthen it
      auto fresh = Processor::build(test);
      if (Status status = (*fresh)->restore(processor->save()); !status.ok())
        return where + ": restore: " + status.message();
      processor = std::move(*fresh);
    }
    run_step(*processor, step);
    if (auto failure = compare(expected(step), processor->take_seen(), where)) return failure;
  }
  return check_open(*processor, test);
}

CaseFailure run_at_once(ObjectView test) {
  auto built = Processor::build(test);
  Processor& processor = **built;
  Seen want;
  processor.start_batch();
  for (const Value& value : test.get("steps").as_array()) {
    ObjectView step = value.as_object();
    if (step.has("wall") || !step.has("event")) return std::nullopt;
    Seen part = expected(step);
    want.emitted += part.emitted;
    want.late += part.late;
    processor.add_event(step);
  }
  processor.finish_batch();
  return compare(want, processor.take_seen(), "in one batch");
}

CaseFailure run_case(const CaseFile&, Value value) {
  ObjectView test = value.as_object();
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  if (test.has("error")) {
    auto built = Processor::build(test);
    int code = static_cast<int>(test.get("error").as_object().get("code").to_double());
    if (built.ok()) return "accepted, should be error " + std::to_string(code);
    if (built.status().code() == code) return std::nullopt;
    return "expected error " + std::to_string(code) + ", got " +
           std::to_string(built.status().code()) + ": " + built.status().message();
  }
  if (!test.get("steps").is_array()) return "no \"steps\"";
  for (const Value& step : test.get("steps").as_array()) {
    if (auto failure = check_keys(step, kStepKeys)) return failure;
  }
  if (auto failure = run_steps(test, false)) return failure;
  bool restart = !test.has("restart") || test.get("restart").truthy();
  if (auto failure = restart ? run_steps(test, true) : std::nullopt) return failure;
  return run_at_once(test);
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
