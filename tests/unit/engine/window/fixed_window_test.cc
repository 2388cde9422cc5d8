// Tumbling and hopping windows against a plain model of the specification's reference algorithm, on
// random input: every way of keeping a window's content must give what the model gives, in batches
// of any size and across restarts.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "engine/document/extended_json.h"
#include "tests/runner/stage_list.h"

namespace millrace::engine {
namespace {

struct Event {
  int64_t id;
  int64_t time;
  int32_t key;
};

struct Shape {
  int64_t interval, hop, offset, lateness;
};

// What the specification says, window by window and document by document.
class Model {
 public:
  explicit Model(Shape shape) : shape_(shape) {}

  // Whether it is late. `out` gets a line per window and group.
  bool take(const Event& event, std::vector<std::string>& out) {
    bool late = false;
    std::vector<int64_t> starts;
    int64_t first = event.time - shape_.offset;
    int64_t start =
        (first >= 0 ? first / shape_.hop : -((-first + shape_.hop - 1) / shape_.hop)) * shape_.hop +
        shape_.offset;
    for (; start + shape_.interval > event.time; start -= shape_.hop) starts.push_back(start);
    if (!starts.empty()) {
      late = true;
      for (int64_t s : starts) {
        if (has_watermark_ && s + shape_.interval <= watermark_ - shape_.lateness) continue;
        open_[s].push_back(event);
        late = false;
      }
    }
    watermark_ = has_watermark_ ? std::max(watermark_, event.time) : event.time;
    has_watermark_ = true;
    while (!open_.empty() && open_.begin()->first + shape_.interval <= watermark_ - shape_.lateness)
      close(out);
    return late;
  }
  void close(std::vector<std::string>& out) {
    std::map<int32_t, std::vector<Event>> groups;
    for (const Event& event : open_.begin()->second) groups[event.key].push_back(event);
    std::vector<std::string> lines;
    for (auto& [key, events] : groups) {
      int64_t sum = 0;
      std::string order;
      for (const Event& event : events) {
        sum += event.id;
        order += std::to_string(event.id) + ",";
      }
      lines.push_back(std::to_string(open_.begin()->first) + " k" + std::to_string(key) + " n" +
                      std::to_string(events.size()) + " s" + std::to_string(sum) + " " + order);
    }
    std::sort(lines.begin(), lines.end());
    out.insert(out.end(), lines.begin(), lines.end());
    open_.erase(open_.begin());
  }
  bool empty() const { return open_.empty(); }

 private:
  Shape shape_;
  std::map<int64_t, std::vector<Event>> open_;
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

// The ways of keeping content: panes that are merged, a set of groups per window, stored documents.
// `ids` gives the order of arrival.
enum class Way { kPanes, kWindows, kDocuments };

std::string pipeline_text(Way way) {
  std::string group =
      R"({"$group": {"_id": {"k": "$k", "w": {"$literal": 0}}, "n": {"$sum": 1}, "s": {"$sum": "$id"})";
  if (way == Way::kPanes) group += R"(, "ids": {"$addToSet": "$id"})";
  if (way != Way::kPanes) group += R"(, "ids": {"$push": "$id"})";
  group += "}}";
  std::string text = "[";
  if (way == Way::kDocuments) text += R"({"$sort": {"none": 1}}, )";
  return text + group + "]";
}

class Machine {
 public:
  Machine(Shape shape, Way way) : shape_(shape), way_(way), parsing_(memory_), clock_(0) {
    std::string options = R"([{"$hoppingWindow": {"interval": {"size": )" +
                          std::to_string(shape.interval) +
                          R"(, "unit": "ms"}, "hopSize": {"size": )" + std::to_string(shape.hop) +
                          R"(, "unit": "ms"}, )";
    if (shape.offset > 0)
      options +=
          R"("offset": {"offsetFromUtc": )" + std::to_string(shape.offset) + R"(, "unit": "ms"}, )";
    options +=
        R"("allowedLateness": )" +
        (shape.lateness ? R"({"size": )" + std::to_string(shape.lateness) + R"(, "unit": "ms"})"
                        : std::string("0")) +
        R"(, "pipeline": )" + pipeline_text(way) +
        R"(}}, {"$addFields": {"start": {"$meta": "stream.window.start"}}}])";
    tests::StageList list;
    StageContext context{parsing_, list, Place::kMain};
    auto built = list.build(*parse_extended_json_value(options, scratch_), Place::kMain, context);
    EXPECT_TRUE(built.ok()) << built.status().message();
    operators_ = std::move(*built);
    Dependencies dependencies;
    dependencies.fields.add_all();
    for (size_t i = operators_.size(); i-- > 0;) operators_[i]->dependencies(dependencies);
    context_.clock = &clock_;
    context_.eval.clock = &clock_;
    context_.dead_letters = &letters_;
  }

  // Takes events as one batch; appends lines as the model's.
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
  void end(std::vector<std::string>& out) {
    batch_.clear();
    operators_[0]->on_end(batch_, context_);
    operators_[1]->on_batch(batch_, context_);
    report(out);
  }
  std::unique_ptr<Machine> restarted() const {
    BsonWriter writer;
    writer.begin_document();
    operators_[0]->on_checkpoint(writer);
    writer.end();
    Document saved(writer.bytes());
    EXPECT_TRUE(validate_bson(saved.bytes()).ok());
    auto fresh = std::make_unique<Machine>(shape_, way_);
    Status status = fresh->operators_[0]->restore(saved.value(), fresh->context_);
    EXPECT_TRUE(status.ok()) << status.message();
    return fresh;
  }
  Letters& letters() { return letters_; }
  int64_t state_bytes() const { return operators_[0]->state_bytes(); }

 private:
  // Groups of one window come in no defined order: sorted as the model has them.
  void report(std::vector<std::string>& out) {
    std::vector<std::string> lines;
    std::string window;
    auto flush = [&] {
      std::sort(lines.begin(), lines.end());
      out.insert(out.end(), lines.begin(), lines.end());
      lines.clear();
    };
    for (const StreamDocument& document : batch_.documents) {
      ObjectView body = document.body.as_object();
      std::string start = std::to_string(body.get("start").as_date());
      if (start != window) flush();
      window = start;
      std::vector<int64_t> ids;
      for (const Value& id : body.get("ids").as_array()) ids.push_back(id.integer_value());
      if (way_ == Way::kPanes) std::sort(ids.begin(), ids.end());
      std::string order;
      for (int64_t id : ids) order += std::to_string(id) + ",";
      lines.push_back(start + " k" +
                      std::to_string(body.get("_id").as_object().get("k").as_int32()) + " n" +
                      std::to_string(body.get("n").integer_value()) + " s" +
                      std::to_string(body.get("s").integer_value()) + " " + order);
    }
    flush();
  }

  Shape shape_;
  Way way_;
  CompiledMemory memory_;
  ParseContext parsing_;
  Arena scratch_;
  std::vector<OperatorPtr> operators_;
  ManualClock clock_;
  Letters letters_;
  OperatorContext context_;
  Batch batch_;
};

void compare_on_random_input(uint32_t seed) {
  std::mt19937 random(seed);
  auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Shape shape{pick(1, 60), pick(1, 20), 0, pick(0, 2) * pick(0, 30)};
  if (shape.hop > 1 && pick(0, 2) == 0) shape.offset = pick(1, shape.hop);
  if (pick(0, 3) == 0) shape.interval = shape.hop * pick(1, 8);
  int keys = static_cast<int>(pick(1, 2)) == 1 ? 3 : 40;
  int64_t disorder = pick(0, 1) * pick(1, 50);
  std::vector<Event> events;
  int64_t now = pick(-200, 200);
  for (int64_t i = 0; i < 400; ++i) {
    now += pick(0, 30) == 0 ? pick(0, 150) : pick(0, 4);
    events.push_back({i, now - pick(0, disorder), static_cast<int32_t>(pick(0, keys - 1))});
  }
  for (Way way : {Way::kPanes, Way::kWindows, Way::kDocuments}) {
    SCOPED_TRACE(testing::Message()
                 << "seed " << seed << " way " << static_cast<int>(way) << " interval "
                 << shape.interval << " hop " << shape.hop << " offset " << shape.offset
                 << " lateness " << shape.lateness);
    Model model(shape);
    auto machine = std::make_unique<Machine>(shape, way);
    int64_t watermark = kNoWatermark;
    std::vector<std::string> expected;
    std::vector<std::string> actual;
    for (size_t at = 0; at < events.size();) {
      size_t n = std::min<size_t>(events.size() - at, static_cast<size_t>(pick(1, 40)));
      std::vector<int64_t> late;
      expected.clear();
      actual.clear();
      for (size_t i = at; i < at + n; ++i) {
        std::vector<std::string> lines;
        if (model.take(events[i], lines)) late.push_back(events[i].id);
        expected.insert(expected.end(), lines.begin(), lines.end());
      }
      if (way == Way::kPanes) {  // sets are compared as sets
        for (std::string& line : expected) {
          size_t list = line.rfind(' ') + 1;
          std::vector<int64_t> ids;
          for (size_t from = list; from < line.size(); from = line.find(',', from) + 1)
            ids.push_back(std::stoll(line.substr(from)));
          std::sort(ids.begin(), ids.end());
          line.resize(list);
          for (int64_t id : ids) line += std::to_string(id) + ",";
        }
        std::sort(expected.begin(), expected.end());
      }
      machine->letters().late.clear();
      machine->run({&events[at], n}, watermark, actual);
      if (way == Way::kPanes) std::sort(actual.begin(), actual.end());
      ASSERT_EQ(machine->letters().late, late) << "events " << at << " to " << at + n;
      ASSERT_EQ(actual, expected) << "events " << at << " to " << at + n;
      at += n;
      if (pick(0, 4) == 0) machine = machine->restarted();
    }
    expected.clear();
    actual.clear();
    while (!model.empty()) model.close(expected);
    machine->end(actual);
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_GE(machine->state_bytes(), 0);
  }
}

TEST(FixedWindows, AgreeWithTheModelOnRandomInput) {
  for (uint32_t seed = 1; seed <= 150 && !testing::Test::HasFailure(); ++seed)
    compare_on_random_input(seed);
}

TEST(FixedWindows, GiveMemoryBackWhenTheyClose) {
  Machine machine({100, 100, 0, 0}, Way::kWindows);
  int64_t watermark = kNoWatermark;
  std::vector<std::string> out;
  int64_t after_first = 0;
  for (int64_t window = 0; window < 50; ++window) {  // each window has keys of its own
    std::vector<Event> events;
    for (int64_t i = 0; i < 2000; ++i)
      events.push_back({i, window * 100 + i / 20, static_cast<int32_t>(window * 2000 + i)});
    machine.run(events, watermark, out);
    if (window == 4) after_first = machine.state_bytes();
  }
  EXPECT_LT(machine.state_bytes(), 2 * after_first);
}

}  // namespace
}  // namespace millrace::engine
