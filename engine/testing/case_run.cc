#include "engine/testing/case_run.h"

#include <algorithm>

#include "engine/testing/exact_json.h"
#include "engine/testing/tested_processor.h"

namespace millrace::engine {
namespace {

constexpr size_t kStraightBatch = 1000;
constexpr size_t kMostRestarts = 1000;  // of one case: each one writes and reads all state

// {reason, operatorName, doc} beside the whole letter.
Actual letter_of(const Document& letter) {
  BsonWriter w;
  w.begin_document();
  Value info = letter.get("errInfo");
  w.append("reason", info.is_object() ? info.as_object().get("reason") : Value());
  w.append("operatorName", letter.get("operatorName"));
  w.append("doc", letter.get("doc"));
  w.end();
  return {Document(w.bytes()), letter};
}

class Run {
 public:
  Run(const TestCase& test, Way way)
      : test_(test), way_(way), processor_(test, batch_limit(test, way), way == Way::kRestarts) {}

  Observation go() {
    seen_.mistake = processor_.connect();
    if (!seen_.mistake.ok()) return std::move(seen_);
    seen_.start = processor_.start(true);
    if (seen_.start.ok()) processor_.settle();
    collect(0, 0);
    if (seen_.start.ok()) run_steps();
    finish();
    return std::move(seen_);
  }

 private:
  static size_t batch_limit(const TestCase& test, Way way) {
    if (way != Way::kRestarts) return way == Way::kStraight ? kStraightBatch : 1;
    size_t events = 0;
    for (const CaseStep& step : test.steps) events += step.events.size();
    return events / kMostRestarts + 1;
  }

  // True if step `next` may be in one batch with the one before it.
  bool goes_together(size_t next) const {
    const CaseStep& step = test_.steps[next];
    return way_ == Way::kStraight && step.kind == CaseStep::Kind::kEvents &&
           (!step.at_ms || *step.at_ms <= processor_.now_ms());
  }

  void run_steps() {
    size_t i = 0;
    while (i < test_.steps.size()) {
      const CaseStep& first = test_.steps[i];
      size_t last = i;
      Status answer;
      if (first.at_ms) processor_.advance_to(*first.at_ms);
      if (first.kind == CaseStep::Kind::kEvents) {
        arrive(first);
        while (last + 1 < test_.steps.size() && goes_together(last + 1))
          arrive(test_.steps[++last]);
      } else {
        answer = control(first);
      }
      processor_.settle();
      collect(i, last);
      seen_.groups.back().answer = answer;
      i = last + 1;
    }
  }

  void arrive(const CaseStep& step) {
    for (const TestEvent& event : step.events) processor_.arrive(event);
  }

  Status control(const CaseStep& step) {
    switch (step.kind) {
      case CaseStep::Kind::kStop:
        processor_.stop();
        return {};
      case CaseStep::Kind::kStart:
        return processor_.start(step.resume);
      case CaseStep::Kind::kRestart:
        processor_.stop();
        return processor_.start(step.resume);
      case CaseStep::Kind::kModify:
        return modify(step);
      default:
        return {};
    }
  }

  // Of a running processor: stopped, modified and started again, as a user would do it.
  Status modify(const CaseStep& step) {
    bool was_running = processor_.running();
    processor_.stop();
    Status answer = processor_.modify(step);
    if (!was_running) return answer;
    Status started = processor_.start(true);
    return answer.ok() ? started : answer;
  }

  // Puts what has come out since the last time into a group.
  void collect(size_t first, size_t last) {
    Captured& captured = processor_.captured();
    Observation::Group group;
    group.first = first;
    group.last = last;
    for (Output& output : captured.outputs) {
      seen_.outputs.push_back(output);
      group.outputs.push_back(std::move(output));
    }
    for (const Document& letter : captured.letters) {
      seen_.letters.push_back(letter_of(letter));
      group.letters.push_back(letter_of(letter));
    }
    captured.outputs.clear();
    captured.letters.clear();
    seen_.groups.push_back(std::move(group));
  }

  void finish() {
    seen_.failure = processor_.failure();
    seen_.stats = processor_.stats();
    if (!test_.still_open.is_missing()) seen_.still_open = processor_.finish_windows();
  }

  const TestCase& test_;
  const Way way_;
  TestedProcessor processor_;
  Observation seen_;
};

std::string shown(const Status& status) {
  return std::to_string(status.code()) + ": " + status.message();
}

// Whether `actual` is the error that is expected; `what` is who answered.
void compare_error(const std::optional<ExpectedError>& expected, const Status& actual,
                   const std::string& what, std::string& report) {
  if (!expected) {
    if (!actual.ok()) report += "\n" + what + ": error " + shown(actual);
    return;
  }
  std::string wanted = "an error";
  if (expected->code) wanted = "error " + std::to_string(*expected->code);
  if (expected->message) wanted += " with \"" + *expected->message + "\"";
  if (actual.ok()) {
    report += "\n" + what + ": expected " + wanted + ", but there was none";
    return;
  }
  bool code = !expected->code || *expected->code == actual.code();
  bool message =
      !expected->message || actual.message().find(*expected->message) != std::string::npos;
  if (!code || !message) report += "\n" + what + ": expected " + wanted + ", got " + shown(actual);
}

std::vector<Actual> actuals(const std::vector<Output>& outputs) {
  std::vector<Actual> list;
  for (const Output& output : outputs) list.push_back(output.actual);
  return list;
}

void compare_lists(const std::vector<Value>& expected, const std::vector<Actual>& actual,
                   ListKind kind, bool any_order, const std::string& what, std::string& report) {
  if (auto difference = list_difference(expected, actual, kind, any_order))
    report += "\n" + what + ":" + *difference;
}

std::string step_name(const TestCase& test, const Observation::Group& group) {
  if (test.steps.empty()) return "before the input";
  std::string name = "input[" + std::to_string(group.first) + "]";
  if (group.last != group.first) name += " to input[" + std::to_string(group.last) + "]";
  return name;
}

void compare_steps(const TestCase& test, const Observation& seen, std::string& report) {
  for (size_t g = 0; g < seen.groups.size(); ++g) {
    const Observation::Group& group = seen.groups[g];
    std::vector<Value> output, letters;
    for (size_t i = group.first; g > 0 && i <= group.last; ++i) {
      const CaseStep& step = test.steps[i];
      output.insert(output.end(), step.output.begin(), step.output.end());
      letters.insert(letters.end(), step.letters.begin(), step.letters.end());
    }
    std::string where = g == 0 ? "before the input" : step_name(test, group);
    if (g > 0) compare_error(test.steps[group.first].error, group.answer, where, report);
    if (!test.by_step) continue;
    compare_lists(output, actuals(group.outputs), ListKind::kOutput, test.any_order,
                  where + ", output", report);
    compare_lists(letters, group.letters, ListKind::kDeadLetters, false, where + ", deadLetters",
                  report);
  }
}

void compare_targets(const TestCase& test, const Observation& seen, std::string& report) {
  auto expected = *test.output_by_target;
  std::vector<std::pair<std::string, std::vector<Actual>>> actual;
  for (const Output& output : seen.outputs) {
    auto known = std::find_if(actual.begin(), actual.end(),
                              [&](const auto& entry) { return entry.first == output.target; });
    if (known == actual.end()) known = actual.insert(actual.end(), {output.target, {}});
    known->second.push_back(output.actual);
    bool named = std::any_of(expected.begin(), expected.end(),
                             [&](const auto& entry) { return entry.first == output.target; });
    if (!named) expected.emplace_back(output.target, std::vector<Value>());
  }
  for (const auto& [target, documents] : expected) {
    auto got = std::find_if(actual.begin(), actual.end(),
                            [&, &name = target](const auto& entry) { return entry.first == name; });
    compare_lists(documents, got == actual.end() ? std::vector<Actual>() : got->second,
                  ListKind::kOutput, test.any_order, "output to " + target, report);
  }
}

void compare_still_open(const TestCase& test, const Observation& seen, std::string& report) {
  if (test.still_open.is_missing()) return;
  std::vector<Actual> actual;
  for (const Document& document : seen.still_open) actual.push_back({document, Document()});
  if (test.still_open.is_integer()) {
    if (test.still_open.integer_value() == static_cast<int64_t>(actual.size())) return;
    report += "\nstillOpen: expected " + exact_json(test.still_open) + " documents, got " +
              std::to_string(actual.size()) + ":";
    for (const Actual& document : actual)
      report += "\n  + " + exact_json(document.document.value());
    return;
  }
  std::vector<Value> expected;
  for (const Value& document : test.still_open.as_array()) expected.push_back(document);
  compare_lists(expected, actual, ListKind::kOutput, test.any_order, "stillOpen", report);
}

}  // namespace

std::string_view way_name(Way way) {
  switch (way) {
    case Way::kStraight:
      return "straight through";
    case Way::kBatchesOfOne:
      return "in batches of one";
    case Way::kRestarts:
      return "stopped and resumed at each checkpoint";
  }
  return "";
}

Observation run_case(const TestCase& test, Way way) { return Run(test, way).go(); }

std::optional<std::string> compare(const TestCase& test, const Observation& seen) {
  std::string report;
  const Status& ended = seen.start.ok() ? seen.failure : seen.start;
  compare_error(test.error, ended, seen.start.ok() ? "the processor" : "start", report);
  if (seen.start.ok()) compare_steps(test, seen, report);
  if (!test.by_step) {
    if (test.output)
      compare_lists(*test.output, actuals(seen.outputs), ListKind::kOutput, test.any_order,
                    "output", report);
    if (test.output_by_target) compare_targets(test, seen, report);
    if (!test.ignore_letters)
      compare_lists(test.letters, seen.letters, ListKind::kDeadLetters, test.any_order,
                    "deadLetters", report);
  }
  if (!test.stats.is_missing()) {
    if (auto difference = find_missing_part(test.stats, seen.stats.value()))
      report += "\nstats." + difference->path + ": expected " + difference->expected + ", got " +
                difference->actual;
  }
  compare_still_open(test, seen, report);
  if (report.empty()) return std::nullopt;
  return report;
}

}  // namespace millrace::engine
