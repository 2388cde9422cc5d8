// What a pipeline must make of its input, computed in one go from the whole of it: the reference
// algorithm of the windows (event time, watermarks, lateness, sessions), a document at a time, with
// nothing of the engine in it but the printing of values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/document/bson.h"
#include "tests/simulation/scenario.h"

namespace millrace::simulation {

using Events = std::vector<const Event*>;

struct Window {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  std::string partition;  // of a session
  int64_t min_ms = 0, max_ms = 0;
  Events events;  // in order of arrival
};

struct ExpectedLetter {
  std::string operator_name;
  const Event* event;
};

struct Outcome {
  std::vector<Window> closed;
  std::vector<Window> open;
  std::vector<ExpectedLetter> letters;
};

// The target's documents by the text of their key, each as a line of text in which the order of
// fields and of what has no order does not show.
using Results = std::map<std::string, std::string>;

class Oracle {
 public:
  explicit Oracle(const Scenario& scenario) : scenario_(scenario) {}

  // The outcome when of each partition `until` records have been processed. Requires:
  // scenario.exact; with idle windows or partitions, only what closes by watermark is closed.
  Outcome outcome(const std::vector<size_t>& until) const;
  // … of the whole input, with all that idleness closes.
  Outcome outcome() const;

  Results results(const std::vector<Window>& windows, const Grouping& grouping) const;
  // Of a pipeline without a window.
  Results merged(const std::vector<size_t>& until) const;

  // The line of one result document, made by the engine. Throws Violation when it has a field too
  // many or too few.
  std::string line_of(const engine::Document& document, const Grouping& grouping) const;
  // The line that belongs to these events.
  std::string line_of(const Events& events, const Grouping& grouping) const;
  std::string merged_line(const engine::Document& document) const;
  // The text of a result's key.
  std::string key_of(const engine::Document& document, const std::string& id) const;

  // Where an event ends that never reaches the window (or, without one, the target): the operator
  // that sends it to the dead letters; "" when it passes or is filtered.
  std::string rejected_by(const Event& event) const;
  bool filtered(const Event& event) const;
  // True when the windows over this time are none.
  bool in_gap(int64_t time_ms) const;
  std::vector<std::pair<int64_t, int64_t>> windows_over(int64_t time_ms) const;

 private:
  class Replay;

  bool keeps_order(const Grouping& grouping) const;

  const Scenario& scenario_;
};

}  // namespace millrace::simulation
