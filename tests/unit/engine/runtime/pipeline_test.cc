// What stage cases cannot say: pruning, dead letters made whole, metadata inside documents, state
// across a restart.
#include "engine/runtime/pipeline.h"

#include <gtest/gtest.h>

#include "engine/document/extended_json.h"
#include "engine/runtime/connection_table.h"

namespace millrace::engine {
namespace {

class Letters final : public DeadLetterTarget {
 public:
  void add(const Value& document, const Value& meta, std::string_view operator_name,
           std::string_view reason) override {
    lines.push_back(std::string(operator_name) + " | " + std::string(reason) + " | " +
                    to_json(document) + " | " + to_json(meta));
  }
  std::vector<std::string> lines;
};

// A pipeline without ends, fed with lines of JSON.
class Bench {
 public:
  explicit Bench(std::string_view stages, std::string_view time_field = R"({"$toDate": "$t"})",
                 size_t portion_documents = 1024, size_t portion_bytes = 1 << 20) {
    environment_.portion_documents = portion_documents;
    environment_.portion_bytes = portion_bytes;
    spec_.pipeline = *parse_extended_json("{\"pipeline\": " + std::string(stages) + "}");
    spec_.source_and_sink = false;
    spec_.time_field = *parse_extended_json(time_field);
    environment_.clock = &clock_;
    auto built = Pipeline::build(spec_, environment_);
    if (!built.ok()) {
      error = built.status();
      return;
    }
    pipeline = std::move(*built);
    pipeline->set_dead_letters(&letters);
  }

  std::vector<std::string> feed(const std::vector<std::string>& lines) {
    SourceBatch batch;
    for (const std::string& line : lines) batch.add(line);
    OutputBatch output;
    pipeline->process(batch, output);
    return texts(output);
  }
  std::vector<std::string> finish() {
    OutputBatch output;
    pipeline->finish(output);
    return texts(output);
  }

  std::unique_ptr<Pipeline> pipeline;
  Letters letters;
  Status error;

 private:
  static std::vector<std::string> texts(const OutputBatch& output) {
    std::vector<std::string> result;
    for (const auto& item : output.items)
      result.push_back(to_json(Value::bson_object(output.document(item).data())));
    return result;
  }
  ManualClock clock_{1'740'787'200'000};
  PipelineSpec spec_;
  PipelineEnvironment environment_;
};

using Lines = std::vector<std::string>;

TEST(Pipeline, ADeadLetterHoldsTheWholeDocumentAlthoughOnlyTwoFieldsAreDecoded) {
  Bench bench(R"([{"$project": {"_id": 0, "q": {"$divide": ["$a", "$b"]}}}])");
  Lines out = bench.feed({R"({"a": 6, "b": 2, "x": {"deep": [1]}})",
                          R"({"a": 1, "b": 0, "x": {"deep": [2]}})", R"({"a": 8, "b": 4})"});
  EXPECT_EQ(out, (Lines{R"({"q":3.0})", R"({"q":2.0})"}));
  ASSERT_EQ(bench.letters.lines.size(), 1u);
  EXPECT_NE(bench.letters.lines[0].find(R"({"a":1,"b":0,"x":{"deep":[2]}})"), std::string::npos)
      << bench.letters.lines[0];
  EXPECT_EQ(bench.letters.lines[0].rfind("ProjectOperator | ", 0), 0u);
}

TEST(Pipeline, ADeadLetterIsTheDocumentAsItReachedTheStage) {
  Bench bench(
      R"([{"$addFields": {"c": {"$add": ["$a", 1]}}}, {"$unwind": "$l"}, {"$project": {"_id": 0, "r": {"$divide": ["$c", "$l"]}}}])");
  Lines out = bench.feed({R"({"a": 1, "l": [1, 0, 2], "x": "kept"})"});
  EXPECT_EQ(out, (Lines{R"({"r":2.0})", R"({"r":1.0})"}));
  ASSERT_EQ(bench.letters.lines.size(), 1u);
  EXPECT_NE(bench.letters.lines[0].find(R"({"a":1,"l":0,"x":"kept","c":2})"), std::string::npos)
      << bench.letters.lines[0];
}

TEST(Pipeline, AFilterBeforeAWholeDocumentStillGivesTheWholeDocument) {
  Bench bench(R"([{"$match": {"a": {"$gt": 1}}}])");
  EXPECT_EQ(bench.feed({R"({"a": 1, "b": "no"})", R"({"z": [1, {"y": 2}], "a": 2, "b": "yes"})"}),
            (Lines{R"({"z":[1,{"y":2}],"a":2,"b":"yes"})"}));
}

TEST(Pipeline, AnUnreadablePayloadIsADeadLetterWithItsText) {
  Bench bench(R"([{"$match": {}}])");
  EXPECT_EQ(bench.feed({"{broken", R"({"ok": 1})"}), (Lines{R"({"ok":1})"}));
  ASSERT_EQ(bench.letters.lines.size(), 1u);
  EXPECT_NE(bench.letters.lines[0].find(R"({"value":"{broken"})"), std::string::npos);
  EXPECT_EQ(bench.pipeline->stats().input_count, 2);
  EXPECT_EQ(bench.pipeline->stats().dlq_count, 1);
}

constexpr std::string_view kWindow =
    R"([{"$tumblingWindow": {"interval": {"size": 10, "unit": "second"}, "allowedLateness": 0,
         "pipeline": [{"$group": {"_id": null, "n": {"$sum": 1}, "s": {"$sum": "$v"}}}]}}])";

std::string event(int second, int value) {
  return R"({"t": {"$date": {"$numberLong": ")" +
         std::to_string(1'740'787'200'000 + second * 1000) + R"("}}, "v": )" +
         std::to_string(value) + "}";
}

TEST(Pipeline, DocumentsThatAreFilteredBeforeAWindowMoveTheWatermark) {
  Bench bench(R"([{"$match": {"v": {"$lt": 100}}}, )" + std::string(kWindow).substr(1));
  EXPECT_EQ(bench.feed({event(1, 5)}), Lines{});
  EXPECT_EQ(bench.feed({event(12, 100)}), (Lines{R"({"_id":null,"n":1,"s":5})"}));
}

TEST(Pipeline, ABatchGivesTheSameAsOneDocumentAtATime) {
  Lines events;
  for (int i = 0; i < 200; ++i) events.push_back(event((i * 7) % 60 + i / 4, i));
  Bench whole{std::string(kWindow)};
  Lines expected = whole.feed(events);
  Lines rest = whole.finish();
  expected.insert(expected.end(), rest.begin(), rest.end());
  Bench single{std::string(kWindow)};
  Lines got;
  for (const std::string& one : events) {
    for (const std::string& out : single.feed({one})) got.push_back(out);
  }
  for (const std::string& out : single.finish()) got.push_back(out);
  EXPECT_EQ(expected, got);
  EXPECT_EQ(whole.letters.lines, single.letters.lines);
  EXPECT_GT(whole.letters.lines.size(), 0u);
}

// One document closes 50 windows of 40 groups each.
TEST(Pipeline, WindowsThatCloseAtOnceGoOutInPortions) {
  constexpr std::string_view kStages = R"([
      {"$hoppingWindow": {"interval": {"size": 50, "unit": "second"},
                          "hopSize": {"size": 1, "unit": "second"}, "allowedLateness": 0,
                          "pipeline": [{"$group": {"_id": "$k", "n": {"$sum": "$v"}}}]}},
      {"$project": {"n": {"$divide": [12, "$n"]}}}])";
  Lines input;
  for (int i = 0; i < 400; ++i) {
    input.push_back("{\"t\": " + std::to_string(1'740'787'250'000 + i * 10) + ", \"k\": " +
                    std::to_string(i % 40) + ", \"v\": " + std::to_string(i % 3) + "}");
  }
  Lines trigger = {R"({"t": 1740787400000, "k": 0, "v": 1})"};
  Bench whole(kStages, R"({"$toDate": "$t"})", 1'000'000);
  Lines expected = whole.feed(input);
  for (std::string& line : whole.feed(trigger)) expected.push_back(std::move(line));
  ASSERT_GT(expected.size(), 1900u);

  Bench bench(kStages, R"({"$toDate": "$t"})", 7, 300);
  Lines got;
  size_t largest = 0;
  bench.pipeline->set_output_relay([&](OutputBatch& full) -> OutputBatch& {
    largest = std::max(largest, full.documents.size());
    for (const auto& item : full.items)
      got.push_back(to_json(Value::bson_object(full.document(item).data())));
    full.clear();
    return full;
  });
  for (const Lines* lines : {&input, &trigger})
    for (std::string& line : bench.feed(*lines)) got.push_back(std::move(line));
  EXPECT_EQ(got, expected);
  EXPECT_LT(largest, 400u);
  EXPECT_EQ(bench.letters.lines, whole.letters.lines);
  for (size_t i = 0; i < 2; ++i) {
    const OperatorStats& a = bench.pipeline->operators()[i]->stats;
    const OperatorStats& b = whole.pipeline->operators()[i]->stats;
    EXPECT_EQ(a.input_count, b.input_count);
    EXPECT_EQ(a.output_count, b.output_count);
    EXPECT_EQ(a.dlq_count, b.dlq_count);
  }
  EXPECT_EQ(bench.pipeline->stats().output_count, whole.pipeline->stats().output_count);
  EXPECT_EQ(bench.pipeline->stats().output_bytes, whole.pipeline->stats().output_bytes);
}

// A stage between $sort and $limit, or before $limit, makes the window keep all documents: the same
// results with other memory.
TEST(Pipeline, AWindowDropsWhatCannotBeAmongTheFirst) {
  const char* const kStages[][2] = {
      {R"({"$sort": {"v": -1, "w": 1}}, {"$limit": 5})",
       R"({"$sort": {"v": -1, "w": 1}}, {"$match": {}}, {"$limit": 5})"},
      {R"({"$match": {"v": {"$gt": 3}}}, {"$sort": {"v": 1}}, {"$limit": 700})",
       R"({"$match": {"v": {"$gt": 3}}}, {"$sort": {"v": 1}}, {"$match": {}}, {"$limit": 700})"},
      {R"({"$limit": 20}, {"$group": {"_id": null, "all": {"$push": "$i"}}})",
       R"({"$group": {"_id": "$i", "i": {"$first": "$i"}}}, {"$limit": 20}, {"$group": {"_id": null, "all": {"$push": "$i"}}})"}};
  for (const char* window : {R"("$tumblingWindow": {"interval": {"size": 20, "unit": "second"})",
                             R"("$hoppingWindow": {"interval": {"size": 20, "unit": "second"},
                                                   "hopSize": {"size": 7, "unit": "second"})"}) {
    for (const auto& [dropping, keeping] : kStages) {
      std::string before = std::string("[{") + window + R"(, "allowedLateness": 0, "pipeline": [)";
      Bench dropper(before + dropping + "]}}]");
      Bench keeper(before + keeping + "]}}]");
      ASSERT_TRUE(dropper.error.ok() && keeper.error.ok()) << keeper.error.message();
      Lines input;
      uint32_t random = 7;
      for (int i = 0; i < 9000; ++i) {
        random = random * 1664525 + 1013904223;
        input.push_back("{\"t\": " + std::to_string(1'740'787'200'000 + i * 5) + ", \"i\": " +
                        std::to_string(i) + ", \"v\": " + std::to_string((random >> 16) % 50) +
                        ", \"w\": " + std::to_string((random >> 8) % 3) + "}");
        if (input.size() < 400) continue;
        EXPECT_EQ(dropper.feed(input), keeper.feed(input));
        input.clear();
      }
      EXPECT_LE(dropper.pipeline->state_bytes(), keeper.pipeline->state_bytes());
      EXPECT_EQ(dropper.finish(), keeper.finish()) << dropping;
    }
  }
}

// With $mergeObjects a window has contents of its own; without it, it is put together from panes or
// from sessions that became one. The others must not see the difference, whatever the disorder.
TEST(Pipeline, TheOrderOfArrivalSurvivesMerging) {
  const std::string group = R"({"$group": {"_id": "$k", "first": {"$first": "$i"},
      "last": {"$last": "$i"}, "firstN": {"$firstN": {"n": 3, "input": "$i"}},
      "lastN": {"$lastN": {"n": 3, "input": "$i"}},
      "top": {"$top": {"sortBy": {"v": -1}, "output": "$i"}},
      "bottom": {"$bottom": {"sortBy": {"v": -1}, "output": "$i"}},
      "topN": {"$topN": {"n": 4, "sortBy": {"v": 1}, "output": "$i"}},
      "all": {"$push": "$i"}, "objects": {"$push": {"k": "$k", "v": "$v"}}}}, {"$sort": {"_id": 1}})";
  std::string kept_apart = group;
  kept_apart.insert(kept_apart.find("\"first\""), R"("x": {"$mergeObjects": {"x": "$i"}}, )");
  kept_apart += ", {\"$unset\": \"x\"}";
  for (std::string window :
       {R"({"$hoppingWindow": {"interval": {"size": 5, "unit": "second"},
            "hopSize": {"size": 1, "unit": "second"})",
        R"({"$sessionWindow": {"partitionBy": "$k", "gap": {"size": 300, "unit": "ms"})"}) {
    window = "[" + window + R"(, "allowedLateness": {"size": 3, "unit": "second"}, "pipeline": [)";
    auto merging = std::make_unique<Bench>(window + group + "]}}]");
    Bench keeping(window + kept_apart + "]}}]");
    ASSERT_TRUE(merging->error.ok() && keeping.error.ok()) << merging->error.message();
    Lines got;
    Lines expected;
    uint32_t random = 11;
    for (int i = 0; i < 4000; ++i) {
      random = random * 1664525 + 1013904223;
      int64_t jitter = (random >> 16) % 2500;
      std::string line = "{\"t\": " + std::to_string(1'740'787'200'000 + i * 40 - jitter) +
                         ", \"i\": " + std::to_string(i) +
                         ", \"k\": " + std::to_string((random >> 8) % 7) +
                         ", \"v\": " + std::to_string((random >> 4) % 5) + "}";
      for (std::string& out : merging->feed({line})) got.push_back(std::move(out));
      for (std::string& out : keeping.feed({line})) expected.push_back(std::move(out));
      if (i % 500 != 499) continue;  // a state that was saved goes on alike
      auto state = merging->pipeline->save();
      merging = std::make_unique<Bench>(window + group + "]}}]");
      ASSERT_TRUE(merging->pipeline->restore(state).ok());
    }
    for (std::string& out : merging->finish()) got.push_back(std::move(out));
    for (std::string& out : keeping.finish()) expected.push_back(std::move(out));
    ASSERT_GT(expected.size(), 500u);
    EXPECT_EQ(got, expected);
  }
}

TEST(Pipeline, ARestoredPipelineGoesOnWhereTheSavedOneStood) {
  Lines events;
  for (int i = 0; i < 100; ++i) events.push_back(event(i, i));
  Bench straight{std::string(kWindow)};
  Lines expected = straight.feed(events);
  for (size_t cut = 0; cut < events.size(); cut += 9) {
    Bench first{std::string(kWindow)};
    Lines got = first.feed(Lines(events.begin(), events.begin() + static_cast<long>(cut)));
    Bench second{std::string(kWindow)};
    ASSERT_TRUE(second.pipeline->restore(first.pipeline->save()).ok());
    for (const std::string& out :
         second.feed(Lines(events.begin() + static_cast<long>(cut), events.end())))
      got.push_back(out);
    EXPECT_EQ(got, expected) << "cut at " << cut;
  }
}

TEST(Pipeline, MisplacedAndUnknownStagesAreRefused) {
  auto code = [](std::string_view stages) { return Bench(stages).error.code(); };
  EXPECT_EQ(code(R"([{"$group": {"_id": null}}])"), 420);
  EXPECT_EQ(code(R"([{"$sort": {"a": 1}}])"), 420);
  EXPECT_EQ(code(R"([{"$nope": {}}])"), 40324);
  EXPECT_EQ(code(R"([{"$skip": 1}])"), 420);
  EXPECT_EQ(code(R"([{"$match": {}, "$project": {"a": 1}}])"), 40323);
  EXPECT_EQ(code(R"([{"$addFields": {"x": "$$NOW"}}])"), 420);
  EXPECT_EQ(code(R"([{"$merge": {}}, {"$match": {}}])"), 420);
  EXPECT_EQ(code(R"([{"$lookup": {}}])"), 238);
}

}  // namespace
}  // namespace millrace::engine
