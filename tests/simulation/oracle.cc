#include "tests/simulation/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "engine/document/extended_json.h"

namespace millrace::simulation {

using engine::BsonWriter;
using engine::Document;
using engine::Field;
using engine::Value;

namespace {

int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

std::string joined(std::vector<int64_t> ids, bool in_order) {
  if (!in_order) std::sort(ids.begin(), ids.end());
  std::string text;
  for (int64_t id : ids) text += std::to_string(id) + ",";
  return text;
}

std::vector<int64_t> numbers(const Value& array) {
  if (!array.is_array()) throw Violation{"not an array: " + engine::to_json(array)};
  std::vector<int64_t> list;
  for (const Value& element : array.as_array()) list.push_back(element.integer_value());
  return list;
}

std::string window_id(int64_t start_ms, std::string_view second, const Value& value) {
  BsonWriter w;
  w.begin_document();
  w.append("w", Value::date(start_ms));
  if (!second.empty()) w.append(second, value);
  w.end();
  return engine::to_json(Value::bson_object(w.bytes().data()));
}

}  // namespace

std::string Oracle::rejected_by(const Event& event) const {
  switch (event.fault) {
    case EventFault::kUnparsable:
    case EventFault::kBadKey:
    case EventFault::kBadTime:
      return "KafkaConsumerOperator";
    default:
      break;
  }
  if (!event.passes) return "";
  if (event.fault == EventFault::kInvalid) return "ValidateOperator";
  if (event.fault == EventFault::kDivide) return "AddFieldsOperator";
  if (event.fault == EventFault::kRefused) return "MergeOperator";
  return "";
}

bool Oracle::filtered(const Event& event) const {
  return !event.passes && rejected_by(event).empty();
}

std::vector<std::pair<int64_t, int64_t>> Oracle::windows_over(int64_t time_ms) const {
  const Shape& shape = scenario_.shape;
  std::vector<std::pair<int64_t, int64_t>> list;
  int64_t hop = shape.kind == Kind::kHopping ? shape.hop_ms : shape.interval_ms;
  int64_t start = floor_divide(time_ms - shape.offset_ms, hop) * hop + shape.offset_ms;
  for (; start + shape.interval_ms > time_ms; start -= hop)
    list.emplace_back(start, start + shape.interval_ms);
  return list;
}

bool Oracle::in_gap(int64_t time_ms) const { return windows_over(time_ms).empty(); }

// With several partitions the order of delivery varies; and what order the documents of sessions
// have that became one is left open.
bool Oracle::keeps_order(const Grouping& grouping) const {
  return grouping.sorted ||
         (scenario_.events.size() == 1 && scenario_.shape.kind != Kind::kSession);
}

// The reference algorithm.
class Oracle::Replay {
 public:
  Replay(const Oracle& oracle, const Scenario& scenario)
      : oracle_(oracle), shape_(scenario.shape), marks_(scenario.events.size()) {
    if (!scenario.idle || scenario.shape.partition_idle_timeout_ms == 0) return;
    for (size_t p = 0; p < marks_.size(); ++p) {
      if (scenario.events[p].empty()) ignored_.insert(p);
    }
  }

  void take(const Event& event) {
    std::string rejecting = oracle_.rejected_by(event);
    if (rejecting == "KafkaConsumerOperator") {
      outcome_.letters.push_back({rejecting, &event});
      return;
    }
    if (!rejecting.empty()) {
      outcome_.letters.push_back({rejecting, &event});
    } else if (event.passes) {
      if (shape_.kind == Kind::kSession) {
        session(event);
      } else {
        fixed(event);
      }
    }
    raise(event);
    close(false);
  }

  Outcome finish(bool idle) {
    if (idle && shape_.idle_timeout_ms && watermark_) close(true);
    for (Window& window : open_) outcome_.open.push_back(std::move(window));
    return std::move(outcome_);
  }

 private:
  void fixed(const Event& event) {
    auto windows = oracle_.windows_over(event.time_ms);
    if (windows.empty()) return;
    std::optional<int64_t> closed;
    if (watermark_) closed = *watermark_ - shape_.lateness_ms;
    bool late = std::all_of(windows.begin(), windows.end(),
                            [&](const auto& w) { return closed && w.second <= *closed; });
    if (late) {
      outcome_.letters.push_back(
          {shape_.kind == Kind::kTumbling ? "TumblingWindowOperator" : "HoppingWindowOperator",
           &event});
      return;
    }
    if (!inner(event)) return;
    for (const auto& [start, end] : windows) {
      if (closed && end <= *closed) continue;
      auto found = std::find_if(open_.begin(), open_.end(),
                                [&, s = start](const Window& w) { return w.start_ms == s; });
      if (found == open_.end()) {
        open_.push_back({start, end, "", 0, 0, {}});
        found = std::prev(open_.end());
      }
      found->events.push_back(&event);
    }
  }

  void session(const Event& event) {
    Window joined{0, 0, event.key, event.time_ms, event.time_ms, {}};
    bool any = false;
    int64_t t = event.time_ms;
    for (auto at = open_.begin(); at != open_.end();) {
      if (at->partition != event.key || t >= at->max_ms + shape_.gap_ms ||
          t <= at->min_ms - shape_.gap_ms) {
        ++at;
        continue;
      }
      any = true;
      joined.min_ms = std::min(joined.min_ms, at->min_ms);
      joined.max_ms = std::max(joined.max_ms, at->max_ms);
      joined.events.insert(joined.events.end(), at->events.begin(), at->events.end());
      at = open_.erase(at);
    }
    if (!any && watermark_ && t < *watermark_) {
      outcome_.letters.push_back({"SessionWindowOperator", &event});
      return;
    }
    if (inner(event)) joined.events.push_back(&event);
    // In order of arrival again: a partition's records have their order in the log.
    std::stable_sort(joined.events.begin(), joined.events.end(),
                     [&](const Event* a, const Event* b) { return order_[a] < order_[b]; });
    open_.push_back(std::move(joined));
  }

  bool inner(const Event& event) {
    order_.try_emplace(&event, order_.size());
    if (event.fault != EventFault::kInner) return true;
    outcome_.letters.push_back({"AddFieldsOperator", &event});
    return false;
  }

  void raise(const Event& event) {
    auto& mark = marks_[static_cast<size_t>(event.partition)];
    mark = std::max(mark.value_or(event.time_ms), event.time_ms);
    int64_t least = std::numeric_limits<int64_t>::max();
    for (size_t p = 0; p < marks_.size(); ++p) {
      if (ignored_.contains(p)) continue;
      if (!marks_[p]) return;
      least = std::min(least, *marks_[p]);
    }
    watermark_ = std::max(watermark_.value_or(least), least);
  }

  void close(bool all) {
    if (!watermark_) return;
    std::vector<Window> kept;
    for (Window& window : open_) {
      int64_t end = window.end_ms;
      if (shape_.kind == Kind::kSession) {
        window.start_ms = window.min_ms;
        end = window.end_ms = window.max_ms + shape_.gap_ms;
      }
      bool over = all || end + shape_.lateness_ms <= *watermark_;
      (over ? outcome_.closed : kept).push_back(std::move(window));
    }
    open_ = std::move(kept);
  }

  const Oracle& oracle_;
  const Shape& shape_;
  std::vector<std::optional<int64_t>> marks_;
  std::set<size_t> ignored_;
  std::optional<int64_t> watermark_;
  std::vector<Window> open_;
  std::map<const Event*, size_t> order_;
  Outcome outcome_;
};

Outcome Oracle::outcome(const std::vector<size_t>& until) const {
  Replay replay(*this, scenario_);
  size_t longest = 0;
  for (size_t u : until) longest = std::max(longest, u);
  for (size_t i = 0; i < longest; ++i) {
    for (size_t p = 0; p < until.size(); ++p) {
      if (i < until[p]) replay.take(scenario_.events[p][i]);
    }
  }
  return replay.finish(false);
}

Outcome Oracle::outcome() const {
  Replay replay(*this, scenario_);
  size_t longest = 0;
  for (const auto& events : scenario_.events) longest = std::max(longest, events.size());
  for (size_t i = 0; i < longest; ++i) {
    for (const auto& events : scenario_.events) {
      if (i < events.size()) replay.take(events[i]);
    }
  }
  return replay.finish(true);
}

Results Oracle::results(const std::vector<Window>& windows, const Grouping& grouping) const {
  Results results;
  bool session = scenario_.shape.kind == Kind::kSession;
  for (const Window& window : windows) {
    if (grouping.form == Grouping::Form::kDocuments) {
      for (const Event* event : window.events)
        results[window_id(window.start_ms, "id", Value::int64(event->id))] =
            line_of(Events{event}, grouping);
      continue;
    }
    std::map<std::string, Events> groups;
    for (const Event* event : window.events)
      groups[grouping.by_key || session ? event->key : std::string()].push_back(event);
    for (const auto& [key, events] : groups) {
      Value k = grouping.by_key || session ? Value::string(key) : Value::null();
      bool shown = grouping.form == Grouping::Form::kIdBehind || grouping.by_key || session;
      results[window_id(window.start_ms, shown ? "k" : "", k)] = line_of(events, grouping);
    }
  }
  return results;
}

namespace {

// The newest of the ids that end alike, in the order in which the endings came first.
std::string newest_of(const std::vector<int64_t>& ids) {
  std::vector<std::pair<int64_t, int64_t>> fields;
  for (int64_t id : ids) {
    auto found = std::find_if(fields.begin(), fields.end(),
                              [&](const auto& field) { return field.first == id % 5; });
    if (found == fields.end()) {
      fields.emplace_back(id % 5, id);
    } else {
      found->second = id;
    }
  }
  std::string text;
  for (const auto& [ending, id] : fields) text += fmt::format("{}:{},", ending, id);
  return text;
}

}  // namespace

std::string Oracle::line_of(const Events& given, const Grouping& g) const {
  if (g.form == Grouping::Form::kDocuments)
    return fmt::format("id={} v={} k={} b={}", given[0]->id, given[0]->value, given[0]->key,
                       given[0]->weight);
  Events events = given;
  if (g.sorted)
    std::stable_sort(events.begin(), events.end(),
                     [](const Event* a, const Event* b) { return a->id < b->id; });
  bool in_order = keeps_order(g);
  int64_t sum = 0, weight = 0, low = events[0]->value, high = low;
  std::vector<int64_t> ids;
  const Event* top = events[0];
  for (const Event* e : events) {
    sum += e->value;
    weight += e->weight;
    low = std::min(low, e->value);
    high = std::max(high, e->value);
    ids.push_back(e->id);
    if (e->value > top->value || (e->value == top->value && e->id < top->id)) top = e;
  }
  std::set<int64_t> distinct(ids.begin(), ids.end());
  std::string text;
  auto put = [&](bool wanted, std::string_view name, const std::string& value) {
    if (wanted) text += std::string(name) + "=" + value + " ";
  };
  put(g.count, "n", std::to_string(events.size()));
  put(g.sum, "s", std::to_string(sum));
  put(g.weight, "b", std::to_string(weight));
  put(g.min, "mn", std::to_string(low));
  put(g.max, "mx", std::to_string(high));
  put(g.average, "av",
      fmt::format("{:.12g}", static_cast<double>(sum) / static_cast<double>(events.size())));
  put(g.set, "ids", joined({distinct.begin(), distinct.end()}, true));
  put(g.list, "list", joined(ids, in_order));
  put(g.first, "first", std::to_string(ids.front()));
  put(g.last, "last", std::to_string(ids.back()));
  put(g.newest, "new", newest_of(ids));
  put(g.top, "top", std::to_string(top->id));
  return text;
}

std::string Oracle::line_of(const Document& document, const Grouping& g) const {
  auto integer = [&](std::string_view name) {
    Value value = document.get(name);
    if (!value.is_integer())
      throw Violation{"field " + std::string(name) + " is no integer in " +
                      engine::to_json(document.value())};
    return std::to_string(value.integer_value());
  };
  if (g.form == Grouping::Form::kDocuments)
    return fmt::format("id={} v={} k={} b={}", integer("id"), integer("v"),
                       document.get("k").is_string() ? document.get("k").as_string() : "?",
                       integer("b"));
  bool in_order = keeps_order(g);
  std::string text;
  size_t fields = 1;
  auto put = [&](bool wanted, std::string_view name, auto value) {
    if (!wanted) return;
    ++fields;
    text += std::string(name) + "=" + value() + " ";
  };
  auto plain = [&](bool wanted, std::string_view name) {
    put(wanted, name, [&] { return integer(name); });
  };
  plain(g.count, "n");
  plain(g.sum, "s");
  plain(g.weight, "b");
  plain(g.min, "mn");
  plain(g.max, "mx");
  put(g.average, "av", [&] {
    Value value = document.get("av");
    return value.is_number() ? fmt::format("{:.12g}", value.to_double()) : "no number";
  });
  put(g.set, "ids", [&] { return joined(numbers(document.get("ids")), false); });
  put(g.list, "list", [&] { return joined(numbers(document.get("list")), in_order); });
  plain(g.first, "first");
  plain(g.last, "last");
  put(g.newest, "new", [&] {
    std::string fields;
    if (!document.get("new").is_object()) return std::string("no document");
    for (const Field& field : document.get("new").as_object())
      fields += std::string(field.name()) + ":" + engine::to_json(field.value) + ",";
    return fields;
  });
  plain(g.top, "top");
  if (document.view().size() != fields)
    throw Violation{"a result has unexpected fields: " + engine::to_json(document.value())};
  return text;
}

// Pipelines without a window: the last state of each key.
Results Oracle::merged(const std::vector<size_t>& until) const {
  std::map<std::string, std::map<std::string, std::string>> state;
  for (size_t p = 0; p < until.size(); ++p) {
    for (size_t i = 0; i < until[p]; ++i) {
      const Event& e = scenario_.events[p][i];
      if (!rejected_by(e).empty() || filtered(e)) continue;
      auto document = engine::parse_extended_json(scenario_.log.partitions[p][i].payload);
      auto& fields = state[e.key];
      if (scenario_.shape.merge == Merge::kKeepExisting && !fields.empty()) continue;
      if (scenario_.shape.merge == Merge::kReplace) fields.clear();
      for (const Field& field : document->view())
        fields[std::string(field.name())] = engine::to_json(field.value);
      if (scenario_.shape.divide) fields["d"] = fmt::format("{:.12g}", double(e.value) / 2);
    }
  }
  Results results;
  for (const auto& [key, fields] : state) {
    std::string& line = results[key];
    for (const auto& [name, value] : fields) line += name + "=" + value + " ";
  }
  return results;
}

std::string Oracle::merged_line(const Document& document) const {
  std::map<std::string, std::string> fields;
  for (const Field& field : document.view()) {
    if (scenario_.shape.on_key && field.name() == "_id") continue;
    fields[std::string(field.name())] = field.name() == "d"
                                            ? fmt::format("{:.12g}", field.value.to_double())
                                            : engine::to_json(field.value);
  }
  std::string line;
  for (const auto& [name, value] : fields) line += name + "=" + value + " ";
  return line;
}

std::string Oracle::key_of(const Document& document, const std::string& id) const {
  if (scenario_.shape.kind != Kind::kNone) return id;
  Value key = document.get(scenario_.shape.on_key ? "key" : "_id");
  return key.is_string() ? std::string(key.as_string()) : "?";
}

}  // namespace millrace::simulation
