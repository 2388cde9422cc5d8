// Session windows against a plain model of their rules, on random input.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

#include "engine/document/extended_json.h"
#include "tests/runner/stage_list.h"

namespace millrace::engine {
namespace {

struct Event {
  int64_t id;
  int64_t time;
  int32_t key;
};

class Model {
 public:
  Model(int64_t gap, int64_t lateness) : gap_(gap), lateness_(lateness) {}

  // Whether it is late. `out` gets a line per session that closes.
  bool take(const Event& event, std::vector<std::string>& out) {
    Session joined{event.key, event.time, event.time, 0, 0};
    bool any = false;
    for (auto at = sessions_.begin(); at != sessions_.end();) {
      if (at->key == event.key && event.time < at->max + gap_ && event.time > at->min - gap_) {
        joined.min = std::min(joined.min, at->min);
        joined.max = std::max(joined.max, at->max);
        joined.count += at->count;
        joined.sum += at->sum;
        any = true;
        at = sessions_.erase(at);
      } else {
        ++at;
      }
    }
    bool late = !any && has_watermark_ && event.time < watermark_;
    if (!late) {
      ++joined.count;
      joined.sum += event.id;
      sessions_.push_back(joined);
    }
    watermark_ = has_watermark_ ? std::max(watermark_, event.time) : event.time;
    has_watermark_ = true;
    sessions_.sort([](const Session& a, const Session& b) {
      return a.max != b.max ? a.max < b.max : a.min < b.min;
    });
    while (!sessions_.empty() && watermark_ >= sessions_.front().max + gap_ + lateness_) {
      const Session& s = sessions_.front();
      out.push_back(std::to_string(s.min) + " " + std::to_string(s.max + gap_) + " k" +
                    std::to_string(s.key) + " n" + std::to_string(s.count) + " s" +
                    std::to_string(s.sum));
      sessions_.pop_front();
    }
    return late;
  }
  size_t open() const { return sessions_.size(); }

 private:
  struct Session {
    int32_t key;
    int64_t min, max, count, sum;
  };
  int64_t gap_;
  int64_t lateness_;
  std::list<Session> sessions_;
  int64_t watermark_ = 0;
  bool has_watermark_ = false;
};

class Letters final : public DeadLetters {
 public:
  void add(const StreamDocument& document, std::string_view, std::string_view) override {
    late.push_back(document.body.as_object().get("id").integer_value());
  }
  std::vector<int64_t> late;
};

class Machine {
 public:
  Machine(int64_t gap, int64_t lateness, bool documents)
      : gap_(gap), lateness_(lateness), documents_(documents), parsing_(memory_), clock_(0) {
    std::string text =
        R"([{"$sessionWindow": {"partitionBy": "$k", "gap": {"size": )" + std::to_string(gap) +
        R"(, "unit": "ms"}, "allowedLateness": )" +
        (lateness ? R"({"size": )" + std::to_string(lateness) + R"(, "unit": "ms"})"
                  : std::string("0")) +
        R"(, "pipeline": [)" + (documents ? R"({"$sort": {"id": 1}},)" : "") +
        R"({"$group": {"_id": null, "n": {"$sum": 1}, "s": {"$sum": "$id"}}}]}}, {"$addFields": {"w": {"$meta": "stream.window"}}}])";
    tests::StageList list;
    StageContext context{parsing_, list, Place::kMain};
    auto built = list.build(*parse_extended_json_value(text, scratch_), Place::kMain, context);
    EXPECT_TRUE(built.ok()) << built.status().message();
    operators_ = std::move(*built);
    context_.clock = &clock_;
    context_.eval.clock = &clock_;
    context_.dead_letters = &letters;
  }

  void run(std::span<const Event> events, int64_t& watermark, std::vector<std::string>& out) {
    batch_.clear();
    for (const Event& event : events) {
      ObjectBuilder body(batch_.arena);
      body.add("id", Value::int64(event.id));
      body.add("k", Value::int32(event.key));
      StreamDocument document;
      document.body = body.finish();
      document.timestamp_ms = event.time;
      document.watermark_ms = watermark;
      watermark = std::max(watermark, event.time);
      batch_.documents.push_back(document);
    }
    batch_.watermark_ms = watermark;
    for (auto& op : operators_) op->on_batch(batch_, context_);
    report(out);
  }
  size_t end() {
    batch_.clear();
    operators_[0]->on_end(batch_, context_);
    return batch_.documents.size();
  }
  std::unique_ptr<Machine> restarted() const {
    BsonWriter writer;
    writer.begin_document();
    operators_[0]->on_checkpoint(writer);
    writer.end();
    Document saved(writer.bytes());
    auto fresh = std::make_unique<Machine>(gap_, lateness_, documents_);
    Status status = fresh->operators_[0]->restore(saved.value(), fresh->context_);
    EXPECT_TRUE(status.ok()) << status.message();
    return fresh;
  }
  int64_t state_bytes() const { return operators_[0]->state_bytes(); }
  Letters letters;

 private:
  void report(std::vector<std::string>& out) {
    for (const StreamDocument& document : batch_.documents) {
      ObjectView body = document.body.as_object();
      ObjectView window = body.get("w").as_object();
      out.push_back(std::to_string(window.get("start").as_date()) + " " +
                    std::to_string(window.get("end").as_date()) + " k" +
                    std::to_string(window.get("partition").as_int32()) + " n" +
                    std::to_string(body.get("n").integer_value()) + " s" +
                    std::to_string(body.get("s").integer_value()));
    }
  }

  int64_t gap_;
  int64_t lateness_;
  bool documents_;
  CompiledMemory memory_;
  ParseContext parsing_;
  Arena scratch_;
  std::vector<OperatorPtr> operators_;
  ManualClock clock_;
  OperatorContext context_;
  Batch batch_;
};

void compare_on_random_input(uint32_t seed) {
  std::mt19937 random(seed);
  auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  int64_t gap = pick(1, 40);
  int64_t lateness = pick(0, 1) * pick(1, 60);
  int64_t disorder = pick(0, 1) * pick(1, 80);
  int64_t keys = pick(1, 8);
  std::vector<Event> events;
  int64_t now = pick(-100, 100);
  for (int64_t i = 0; i < 500; ++i) {
    now += pick(0, 12);
    events.push_back({i, now - pick(0, disorder), static_cast<int32_t>(pick(1, keys))});
  }
  for (bool documents : {false, true}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " gap " << gap << " lateness " << lateness
                                    << " documents " << documents);
    Model model(gap, lateness);
    auto machine = std::make_unique<Machine>(gap, lateness, documents);
    int64_t watermark = kNoWatermark;
    for (size_t at = 0; at < events.size();) {
      size_t n = std::min<size_t>(events.size() - at, static_cast<size_t>(pick(1, 30)));
      std::vector<int64_t> late;
      std::vector<std::string> expected;
      std::vector<std::string> actual;
      for (size_t i = at; i < at + n; ++i) {
        if (model.take(events[i], expected)) late.push_back(events[i].id);
      }
      machine->letters.late.clear();
      machine->run({&events[at], n}, watermark, actual);
      // Sessions of several keys with the same bounds close in no defined order.
      std::sort(expected.begin(), expected.end());
      std::sort(actual.begin(), actual.end());
      ASSERT_EQ(machine->letters.late, late);
      ASSERT_EQ(actual, expected) << "events " << at << " to " << at + n;
      at += n;
      if (pick(0, 4) == 0) machine = machine->restarted();
    }
    ASSERT_EQ(machine->end(), model.open());
  }
}

TEST(SessionWindows, AgreeWithTheModelOnRandomInput) {
  for (uint32_t seed = 1; seed <= 150 && !testing::Test::HasFailure(); ++seed)
    compare_on_random_input(seed);
}

TEST(SessionWindows, GiveMemoryBackWhenTheyClose) {
  Machine machine(10, 0, false);
  int64_t watermark = kNoWatermark;
  std::vector<std::string> out;
  int64_t early = 0;
  for (int64_t round = 0; round < 60; ++round) {  // every document has a key of its own
    std::vector<Event> events;
    for (int64_t i = 0; i < 1000; ++i)
      events.push_back({i, round * 1000 + i, static_cast<int32_t>(round * 1000 + i)});
    machine.run(events, watermark, out);
    if (round == 5) early = machine.state_bytes();
  }
  EXPECT_EQ(out.size(), 60'000u - 10);
  EXPECT_LE(machine.state_bytes(), 2 * early);
}

}  // namespace
}  // namespace millrace::engine
