#include "tests/simulation/scenario.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::simulation {
namespace {

constexpr int64_t kHour = 3'600'000;

Shape make_shape(Random& r) {
  Shape shape;
  int64_t kind = r.below(10);
  shape.kind = kind < 3   ? Kind::kTumbling
               : kind < 6 ? Kind::kHopping
               : kind < 8 ? Kind::kSession
                          : Kind::kNone;
  shape.interval_ms = r.pick(std::vector<int64_t>{1'000, 3'000, 7'000, 10'000, 60'000});
  shape.hop_ms = shape.interval_ms;
  if (shape.kind == Kind::kHopping) {
    shape.hop_ms = r.chance(0.25) ? shape.interval_ms * 2 + r.below(1'000)  // with gaps
                                  : std::max<int64_t>(shape.interval_ms / r.between(2, 8), 1);
    if (r.chance(0.3)) shape.hop_ms += r.between(1, 300);  // panes of two sizes
  }
  shape.gap_ms = r.pick(std::vector<int64_t>{500, 2'000, 5'000, 20'000});
  if (r.chance(0.3)) shape.offset_ms = r.between(1, 2 * shape.hop_ms);
  shape.lateness_ms = r.pick(std::vector<int64_t>{0, 500, 3'000, 20'000});
  shape.time_field = r.chance(0.6);
  shape.match = r.chance(0.4);
  shape.validate = r.chance(0.4);
  shape.divide = r.chance(0.3);
  shape.inner_divide = shape.kind != Kind::kNone && r.chance(0.2);
  if (shape.kind == Kind::kNone) {
    shape.merge = r.pick(std::vector<Merge>{Merge::kReplace, Merge::kMerge, Merge::kKeepExisting});
    shape.on_key = r.chance(0.3);
  }
  return shape;
}

Grouping make_grouping(Random& r, bool ordered) {
  Grouping g;
  g.by_key = r.chance(0.7);
  g.form = r.chance(0.5) ? Grouping::Form::kIdInside : Grouping::Form::kIdBehind;
  if (r.chance(0.15)) g.form = Grouping::Form::kDocuments;
  g.sorted = r.chance(0.15);
  for (bool* flag : {&g.min, &g.max, &g.average, &g.set, &g.top}) *flag = r.chance(0.4);
  g.list = r.chance(0.3);
  if (ordered) {
    g.first = r.chance(0.2);
    g.last = r.chance(0.2);
    g.newest = r.chance(0.2);
  }
  return g;
}

// The pipeline after a modify: other accumulators over the same groups.
Grouping modified(Grouping g, Random& r, bool ordered) {
  Grouping other = make_grouping(r, ordered);
  other.form = g.form;
  other.by_key = g.by_key;
  other.min = !g.min;  // different in any case
  return other;
}

FaultRates make_rates(Random& r) {
  FaultRates rates;
  auto some = [&](double highest) { return r.chance(0.5) ? highest * r.between(1, 10) / 10 : 0; };
  rates.crash_at_io = some(0.02);
  rates.source_error = some(0.1);
  rates.target_before = some(0.15);
  rates.target_after = some(0.15);
  rates.target_partial = some(0.15);
  rates.target_outage = some(0.01);
  rates.letters_before = some(0.2);
  rates.letters_after = some(0.2);
  rates.store_error = some(0.1);
  rates.store_full = some(0.01);
  rates.slow = some(0.3);
  return rates;
}

std::string payload_of(const Event& e, const Shape& shape, Random& r) {
  if (e.fault == EventFault::kUnparsable)
    return fmt::format("{{\"id\": {}, \"v\": {}, broken", e.id, e.value);
  std::string time = e.fault == EventFault::kBadTime ? "\"yesterday\"" : std::to_string(e.time_ms);
  std::string head;
  if (shape.kind == Kind::kNone) {
    head = shape.on_key ? fmt::format("\"key\":\"{}\",", e.key)
                        : fmt::format("\"_id\":\"{}\",", e.key);
  }
  std::string text =
      fmt::format(R"({{{}"id":{},"t":{},"v":{},"k":"{}","x":{},"z":{},"iz":{},"ok":{},"b":{})",
                  head, e.id, time, e.value, e.key, e.passes ? 1 : 0,
                  e.fault == EventFault::kDivide ? 0 : 2, e.fault == EventFault::kInner ? 0 : 2,
                  e.fault == EventFault::kInvalid ? "false" : "true", e.weight);
  if (e.fault == EventFault::kRefused) text += R"(,"refuse":true)";
  if (shape.kind == Kind::kNone) text += fmt::format(R"(,"f{}":{})", r.below(4), e.id);
  if (r.chance(0.1)) text += R"(,"more":{"a":[1,2,{"b":"x"}],"n":null})";
  return text + "}";
}

EventFault make_fault(const Shape& shape, Random& r) {
  switch (r.below(12)) {
    case 0:
      return EventFault::kUnparsable;
    case 1:
      return EventFault::kBadKey;
    case 2:
      return shape.time_field ? EventFault::kBadTime : EventFault::kNone;
    case 3:
      return shape.validate ? EventFault::kInvalid : EventFault::kNone;
    case 4:
      return shape.divide ? EventFault::kDivide : EventFault::kNone;
    case 5:
      return shape.inner_divide ? EventFault::kInner : EventFault::kNone;
    case 6:
      return shape.kind == Kind::kNone ? EventFault::kRefused : EventFault::kNone;
    default:
      return EventFault::kNone;
  }
}

// Event times: each partition moves on, with documents that come late among them.
struct Times {
  int64_t step_ms;
  double disorder;      // share of documents that are behind their time …
  int64_t disorder_ms;  // … by up to so much
  double far_late;      // share of those that are far behind
  int64_t start_ms;
};

void make_events(Scenario& s, const Times& times, int64_t count, int partitions, bool empty_one,
                 Random& r) {
  s.events.resize(static_cast<size_t>(partitions));
  std::vector<int64_t> now(static_cast<size_t>(partitions), times.start_ms);
  for (int64_t& t : now) t += r.below(times.step_ms * 3 + 1);
  int used = empty_one ? partitions - 1 : partitions;
  int64_t keys = r.between(1, 6);
  int64_t newest = times.start_ms;
  bool faults = r.chance(0.6);
  for (int64_t i = 0; i < count; ++i) {
    Event e;
    e.partition = static_cast<int>(r.below(used));
    auto p = static_cast<size_t>(e.partition);
    if (s.shape.kind != Kind::kNone && !s.events[p].empty() && r.chance(0.02) &&
        s.versions[0].form != Grouping::Form::kDocuments && times.disorder_ms == 0 && s.exact) {
      s.events[p].push_back(s.events[p].back());  // a record that stands in the log twice
      continue;
    }
    now[p] += r.below(times.step_ms + 1);
    e.id = i + 1;
    e.time_ms = now[p];
    if (times.disorder_ms > 0 && r.chance(times.disorder))
      e.time_ms -= r.between(1, times.disorder_ms);
    if (r.chance(times.far_late)) e.time_ms -= r.between(0, 20) * s.shape.interval_ms;
    e.value = r.below(100);
    e.weight = 1'000'000 + r.below(int64_t{1} << 40);
    std::string key = "k" + std::to_string(r.below(keys));
    e.key = s.shape.kind == Kind::kNone ? "p" + std::to_string(p) + key : key;
    e.passes = !s.shape.match || r.chance(0.8);
    if (faults && r.chance(0.15)) e.fault = make_fault(s.shape, r);
    newest = std::max(newest, now[p]);
    s.events[p].push_back(e);
  }
  // The last of each partition moves the watermark past everything, mostly.
  if (!s.idle && r.chance(0.2)) return;
  int64_t last = newest + 3 * s.shape.interval_ms + s.shape.gap_ms + s.shape.lateness_ms + 1;
  for (int p = 0; p < used; ++p) {
    Event e;
    e.partition = p;
    e.id = count + 1 + p;
    e.time_ms = last;
    e.weight = 1;
    e.key = s.shape.kind == Kind::kNone ? "p" + std::to_string(p) + "last" : "last";
    s.events[static_cast<size_t>(p)].push_back(e);
  }
}

void make_log(Scenario& s, Random& r) {
  for (const auto& events : s.events) {
    std::vector<LogRecord> records;
    for (size_t i = 0; i < events.size(); ++i) {
      const Event& e = events[i];
      bool twice = i > 0 && events[i - 1].id == e.id;
      LogRecord record;
      record.payload = twice ? records.back().payload : payload_of(e, s.shape, r);
      record.timestamp_ms = s.shape.time_field ? e.time_ms + r.between(-5'000, 5'000) : e.time_ms;
      record.faulty_key = e.fault == EventFault::kBadKey;
      records.push_back(std::move(record));
    }
    s.log.times_read.emplace_back(records.size());
    s.log.partitions.push_back(std::move(records));
  }
  s.log.furthest.resize(s.log.partitions.size());
  s.log.delivery.max_batch = r.pick(std::vector<int64_t>{1, 3, 20, 200});
  s.log.delivery.pause = r.chance(0.5) ? 0 : 0.2;
}

// In which seeds results depend on the order of delivery: there only invariants can be checked.
void choose_certainty(Scenario& s, Times& times, int partitions, Random& r) {
  s.exact = r.chance(0.8);
  if (!s.exact) {
    if (s.shape.kind == Kind::kNone) s.exact = true;
    if (s.shape.kind != Kind::kNone && r.chance(0.3)) {
      s.shape.processing_time = true;
      s.shape.lateness_ms = 0;
      return;
    }
    if (!s.exact && s.shape.kind != Kind::kSession && r.chance(0.5)) {
      s.shape.idle_timeout_ms = r.between(200, 20'000);
      s.idle = true;
    }
    if (!s.exact && r.chance(0.4)) {
      s.shape.partition_idle_timeout_ms = r.between(200, 5'000);
      s.idle = true;
    }
    return;
  }
  if (partitions > 1) {
    // Behind its own partition's time by no more than the lateness: never late, however slow the
    // others are. Sessions refuse what is behind the watermark, so nothing may be.
    times.far_late = 0;
    times.disorder_ms =
        s.shape.kind == Kind::kSession ? 0 : std::min(times.disorder_ms, s.shape.lateness_ms);
  }
  if (s.shape.kind != Kind::kSession && s.shape.kind != Kind::kNone && r.chance(0.2)) {
    s.shape.idle_timeout_ms = kHour;  // longer than all delays: only the end of input is idle
    s.idle = true;
  }
}

}  // namespace

size_t Scenario::event_count() const {
  size_t count = 0;
  for (const auto& partition : events) count += partition.size();
  return count;
}

Scenario make_scenario(uint64_t seed, World& world) {
  Random& r = world.random;
  Scenario s;
  s.seed = seed;
  s.shape = make_shape(r);
  int partitions = r.chance(0.5) ? 1 : static_cast<int>(r.between(2, 4));
  Times times;
  times.step_ms = r.pick(std::vector<int64_t>{20, 200, 1'000, 3'000});
  times.disorder = 0.4;
  times.disorder_ms = r.pick(std::vector<int64_t>{0, 300, 3'000, 15'000});
  times.far_late = r.chance(0.4) ? 0.05 : 0;
  times.start_ms = r.chance(0.1) ? 0 : 1'740'787'200'000 + r.below(100'000'000);
  choose_certainty(s, times, partitions, r);
  bool empty_one = false;
  if (s.exact && partitions > 1 && s.shape.kind != Kind::kNone && r.chance(0.2)) {
    s.shape.partition_idle_timeout_ms = kHour;
    s.idle = true;
    empty_one = r.chance(0.6);
  }
  bool ordered = partitions == 1 && s.shape.kind != Kind::kSession;
  s.versions.push_back(make_grouping(r, ordered));
  if (!s.exact) s.versions[0].list = true;
  bool can_modify =
      s.shape.kind != Kind::kNone && s.versions[0].form != Grouping::Form::kDocuments && s.exact &&
      (s.shape.kind != Kind::kSession || (times.disorder_ms == 0 && times.far_late == 0));
  if (can_modify && r.chance(0.4)) {
    s.modify = 0.5;
    for (int64_t i = r.between(1, 3); i > 0; --i)
      s.versions.push_back(modified(s.versions.back(), r, ordered));
  }
  make_events(s, times, r.pick(std::vector<int64_t>{10, 40, 120, 250}), partitions, empty_one, r);
  make_log(s, r);
  s.clock_jumps = !s.idle && !s.shape.processing_time && r.chance(0.2);
  if (r.chance(0.05)) s.memory_limit_bytes = r.between(2'000, 30'000);
  if (r.chance(0.9)) s.rates = make_rates(r);
  s.runs_max = static_cast<int>(r.between(1, 8));
  s.crash = r.chance(0.7) ? 0.002 * static_cast<double>(r.between(1, 20)) : 0;
  s.stop = r.chance(0.5) ? 0.01 : 0;
  s.checkpoint = r.pick(std::vector<double>{0, 0.02, 0.2});
  s.checkpoint_interval_ms = r.pick(std::vector<int64_t>{50, 1'000, 10'000});
  s.weight_source = static_cast<int>(r.between(1, 10));
  s.weight_pipeline = static_cast<int>(r.between(1, 10));
  s.weight_sink = static_cast<int>(r.between(1, 10));  // a slow one holds the others back
  if (r.chance(0.5)) s.portion_documents = static_cast<size_t>(r.between(1, 8));
  if (r.chance(0.5)) s.portion_bytes = static_cast<size_t>(r.between(1, 1'000));
  return s;
}

namespace {

std::string duration(int64_t ms) { return fmt::format(R"({{"size": {}, "unit": "ms"}})", ms); }

std::string group_stage(const Grouping& g, const Shape& shape) {
  std::string id = "null";
  if (g.form == Grouping::Form::kIdInside) {
    id = R"({"w": {"$meta": "stream.window.start"})";
    if (g.by_key || shape.kind == Kind::kSession) id += R"(, "k": "$k")";
    id += "}";
  } else if (g.by_key && shape.kind != Kind::kSession) {
    id = "\"$k\"";
  }
  std::string text = R"({"$group": {"_id": )" + id;
  auto add = [&](bool wanted, std::string_view field) {
    if (wanted) text += ", " + std::string(field);
  };
  add(g.count, R"("n": {"$sum": 1})");
  add(g.sum, R"("s": {"$sum": "$v"})");
  add(g.weight, R"("b": {"$sum": "$b"})");
  add(g.min, R"("mn": {"$min": "$v"})");
  add(g.max, R"("mx": {"$max": "$v"})");
  add(g.average, R"("av": {"$avg": "$v"})");
  add(g.set, R"("ids": {"$addToSet": "$id"})");
  add(g.list, R"("list": {"$push": "$id"})");
  add(g.first, R"("first": {"$first": "$id"})");
  add(g.last, R"("last": {"$last": "$id"})");
  add(g.newest,
      R"("new": {"$mergeObjects": {"$arrayToObject": [[{"k": {"$toString": {"$mod": ["$id", 5]}}, "v": "$id"}]]}})");
  add(g.top, R"("top": {"$top": {"sortBy": {"v": -1, "id": 1}, "output": "$id"}})");
  return text + "}}";
}

std::string window_stage(const Grouping& g, const Shape& shape) {
  std::string text;
  switch (shape.kind) {
    case Kind::kTumbling:
      text = R"({"$tumblingWindow": {"interval": )" + duration(shape.interval_ms);
      break;
    case Kind::kHopping:
      text = R"({"$hoppingWindow": {"interval": )" + duration(shape.interval_ms) +
             R"(, "hopSize": )" + duration(shape.hop_ms);
      break;
    default:
      text = R"({"$sessionWindow": {"partitionBy": "$k", "gap": )" + duration(shape.gap_ms);
  }
  if (shape.offset_ms > 0 && shape.kind != Kind::kSession)
    text += fmt::format(R"(, "offset": {{"offsetFromUtc": {}, "unit": "ms"}})", shape.offset_ms);
  if (shape.processing_time) {
    text += R"(, "boundary": "processingTime")";
  } else {
    text += R"(, "allowedLateness": )" +
            (shape.lateness_ms == 0 ? std::string("0") : duration(shape.lateness_ms));
  }
  if (shape.idle_timeout_ms) text += R"(, "idleTimeout": )" + duration(*shape.idle_timeout_ms);
  text += R"(, "pipeline": [)";
  if (shape.inner_divide) text += R"({"$addFields": {"d": {"$divide": ["$v", "$iz"]}}}, )";
  if (g.sorted) text += R"({"$sort": {"id": 1}}, )";
  if (g.form != Grouping::Form::kDocuments) text += group_stage(g, shape) + ", ";
  if (text.ends_with(", ")) text.resize(text.size() - 2);
  text += "]}}";
  if (g.form == Grouping::Form::kIdInside) return text;
  std::string second = g.form == Grouping::Form::kDocuments ? R"("id": "$id")"
                       : shape.kind == Kind::kSession
                           ? R"("k": {"$meta": "stream.window.partition"})"
                           : R"("k": "$_id")";
  return text + R"(, {"$addFields": {"_id": {"w": {"$meta": "stream.window.start"}, )" + second +
         "}}}";
}

std::string merge_stage(const Shape& shape) {
  std::string text =
      R"({"$merge": {"into": {"connectionName": "target", "db": "sim", "coll": "results"})";
  if (shape.on_key) text += R"(, "on": "key")";
  text += shape.merge == Merge::kReplace ? R"(, "whenMatched": "replace")"
          : shape.merge == Merge::kMerge ? R"(, "whenMatched": "merge")"
                                         : R"(, "whenMatched": "keepExisting")";
  return text + "}}";
}

}  // namespace

std::string pipeline_text(const Scenario& scenario, size_t version) {
  const Shape& shape = scenario.shape;
  std::string text = R"([{"$source": {"connectionName": "kafka", "topic": "events")";
  if (shape.time_field) text += R"(, "timeField": {"$toDate": {"$toLong": "$t"}})";
  if (shape.partition_idle_timeout_ms > 0)
    text += R"(, "partitionIdleTimeout": )" + duration(shape.partition_idle_timeout_ms);
  text += "}}, ";
  if (shape.match) text += R"({"$match": {"x": 1}}, )";
  if (shape.validate)
    text += R"({"$validate": {"validator": {"ok": true}, "validationAction": "dlq"}}, )";
  if (shape.divide) text += R"({"$addFields": {"d": {"$divide": ["$v", "$z"]}}}, )";
  if (shape.kind != Kind::kNone) text += window_stage(scenario.versions[version], shape) + ", ";
  return text + merge_stage(shape) + "]";
}

std::string Scenario::describe() const {
  return fmt::format(
      "seed {}: {} events in {} partitions, {}, batches up to {}, up to {} runs with faults, {} "
      "versions, first pipeline {}",
      seed, event_count(), events.size(), exact ? "exact" : "invariants only",
      log.delivery.max_batch, runs_max, versions.size(), pipeline_text(*this, 0));
}

}  // namespace millrace::simulation
