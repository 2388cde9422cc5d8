#include "engine/stage/group_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <unordered_map>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

class NoLetters final : public DeadLetters {
 public:
  void add(const StreamDocument&, std::string_view, std::string_view) override { ++count; }
  int count = 0;
};

class GroupTableTest : public testing::Test {
 protected:
  GroupTableTest() : parsing_(memory_), clock_(0) {
    context_.eval.arena = &arena_;
    context_.eval.clock = &clock_;
    context_.clock = &clock_;
    context_.dead_letters = &letters_;
  }
  std::unique_ptr<GroupTable> table(std::string_view spec) {
    auto parsed = GroupTable::parse(*parse_extended_json_value(spec, arena_), parsing_);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    return std::move(*parsed);
  }
  StreamDocument document(Value key, int32_t v) {
    ObjectBuilder body(arena_);
    body.add("k", key);
    body.add("v", Value::int32(v));
    StreamDocument document;
    document.body = body.finish();
    return document;
  }
  // `portion`: how many at a time.
  std::vector<StreamDocument> emit(GroupTable& table, const Groups& groups,
                                   const Groups* later = nullptr, size_t portion = 1000) {
    std::vector<StreamDocument> out;
    GroupsCursor cursor(groups, later);
    while (!cursor.done()) {
      EXPECT_LE(table.emit(cursor, portion, arena_, {}, out), portion);
    }
    return out;
  }

  CompiledMemory memory_;
  ParseContext parsing_;
  ManualClock clock_;
  Arena arena_;
  NoLetters letters_;
  OperatorContext context_;
};

// n is computed when a group begins; where none begins by a document, it comes with the state.
TEST_F(GroupTableTest, SettingsFromTheKeySurviveMergeAndCheckpoint) {
  auto groups_of = table(
      R"({"_id": {"n": "$k"}, "low": {"$minN": {"input": "$v", "n": "$n"}},
          "top": {"$topN": {"output": "$v", "sortBy": {"v": -1}, "n": {"$add": ["$n", 1]}}}})");
  std::vector<StreamDocument> documents;
  for (int32_t v = 0; v < 20; ++v) documents.push_back(document(Value::int32(1 + v % 2), v));
  auto add = [&](Groups& to, size_t from, size_t count) {
    groups_of->add(to, std::span(documents).subspan(from, count), context_, "GroupOperator");
  };
  GroupsPtr straight = groups_of->make_groups();
  add(*straight, 0, 20);

  GroupsPtr first = groups_of->make_groups();
  add(*first, 0, 9);
  BsonWriter writer;
  writer.begin_document();
  groups_of->save(*first, "groups", writer);
  writer.end();
  Document saved(writer.bytes());
  GroupsPtr restored = groups_of->make_groups();
  ASSERT_TRUE(groups_of->load(*restored, saved.get("groups")).ok());
  GroupsPtr whole = groups_of->make_groups();
  groups_of->merge(*whole, *restored);
  GroupsPtr second = groups_of->make_groups();
  add(*second, 9, 11);
  groups_of->merge(*whole, *second);

  std::vector<StreamDocument> expected = emit(*groups_of, *straight);
  std::vector<StreamDocument> merged = emit(*groups_of, *whole);
  ASSERT_EQ(expected.size(), 2u);
  EXPECT_EQ(to_json(expected[1].body), R"({"_id":{"n":2},"low":[1,3],"top":[19,17,15]})");
  ASSERT_EQ(merged.size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(to_json(merged[i].body), to_json(expected[i].body));
  EXPECT_EQ(letters_.count, 0);
}

TEST_F(GroupTableTest, KeysOfEveryTypeAreGroupedByMongoEqualityAndShownAsFirstSeen) {
  std::vector<Value> keys = {Value(),
                             Value::null(),
                             Value::undefined(),
                             Value::min_key(),
                             Value::max_key(),
                             Value::boolean(true),
                             Value::boolean(false),
                             Value::int32(1),
                             Value::int64(1),
                             Value::number(1),
                             Value::number(-0.0),
                             Value::int32(0),
                             Value::number(0.5),
                             Value::number(NAN),
                             Value::number(-NAN),
                             Value::number(INFINITY),
                             Value::number(1e300),
                             Value::int64(INT64_MAX),
                             Value::number(9223372036854775808.0),
                             Value::date(1),
                             Value::timestamp(0, 1),
                             Value::string(""),
                             Value::string("a"),
                             Value::string("twelve bytes"),
                             Value::string("thirteen bytes"),
                             Value::string("a string that is too long to stand in a record"),
                             Value::symbol("a"),
                             Value::string(std::string_view("a\0", 2)),
                             Value::binary(0, "a"),
                             Value::binary(5, "a"),
                             Value::regex("a", "i", arena_),
                             Value::code("a"),
                             Value::array({}),
                             Value::object({})};
  for (const char* text :
       {"1", "1.00", "0.5", "0.1", "0.10", "1E+400", "NaN", "-0", "9223372036854775807"}) {
    keys.push_back(Value::decimal(*decimal::from_string(text), arena_));
  }
  for (const char* text :
       {R"({"a": 1})", R"({"a": 1.0})", R"({"a": 1, "b": null})", R"([1, 2])", R"([1.0, 2])",
        R"({"$oid": "65f000000000000000000001"})", R"({"$oid": "65f000000000000000000002"})"}) {
    keys.push_back(*parse_extended_json_value(text, arena_));
  }
  // The model: a list of keys compared one by one. Missing counts as null.
  std::mt19937 random(3);
  auto group = table(R"({"_id": "$k", "n": {"$sum": "$v"}})");
  GroupsPtr groups = group->make_groups();
  std::vector<std::pair<Value, int64_t>> model;
  std::vector<StreamDocument> documents;
  for (int i = 0; i < 3000; ++i) {
    Value key = keys[random() % keys.size()];
    int32_t v = static_cast<int32_t>(random() % 100);
    documents.push_back(document(key, v));
    if (key.is_missing()) key = Value::null();
    auto at = std::find_if(model.begin(), model.end(),
                           [&](const auto& entry) { return equal(entry.first, key); });
    if (at == model.end()) {
      model.emplace_back(key, v);
    } else {
      at->second += v;
    }
  }
  group->add(*groups, documents, context_, "GroupOperator");
  auto out = emit(*group, *groups);
  ASSERT_EQ(out.size(), model.size());
  for (size_t i = 0; i < out.size(); ++i) {
    Value shown = out[i].body.as_object().get("_id");
    bool same = identical(shown, model[i].first) ||
                (shown.is(Type::kDouble) && std::isnan(shown.as_double()));
    EXPECT_TRUE(same) << to_json(shown, JsonFormat::kCanonical) << " for "
                      << to_json(model[i].first, JsonFormat::kCanonical);
    EXPECT_EQ(out[i].body.as_object().get("n").integer_value(), model[i].second);
  }
}

TEST_F(GroupTableTest, ManyKeysComeAndGoAndAreForgotten) {
  auto group = table(R"({"_id": "$k", "n": {"$sum": 1}, "all": {"$push": "$v"}})");
  int64_t early = 0;
  for (int round = 0; round < 40; ++round) {
    GroupsPtr groups = group->make_groups();
    std::vector<StreamDocument> documents;
    for (int i = 0; i < 6000; ++i) {
      std::string key = "round " + std::to_string(round) + " key " + std::to_string(i % 3000);
      documents.push_back(document(Value::string(arena_.copy(key)), i));
    }
    group->add(*groups, documents, context_, "GroupOperator");
    ASSERT_EQ(groups->count(), 3000u);
    auto out = emit(*group, *groups);
    EXPECT_EQ(out[17].body.as_object().get("_id").as_string(),
              "round " + std::to_string(round) + " key 17");
    EXPECT_EQ(out[17].body.as_object().get("n").as_int32(), 2);
    EXPECT_EQ(out[17].body.as_object().get("all").as_array().at(1).as_int32(), 3017);
    if (round == 3) early = group->shared_bytes() + groups->bytes();
    if (round == 39) {
      EXPECT_LE(group->shared_bytes() + groups->bytes(), 2 * early);
    }
    arena_.reset();
  }
}

TEST_F(GroupTableTest, AGroupOfFiveNumericAccumulatorsTakesAtMost150Bytes) {
  for (int count : {10'000, 100'000}) {
    auto group = table(
        R"({"_id": "$k", "n": {"$sum": 1}, "s": {"$sum": "$v"}, "a": {"$avg": "$v"}, "lo": {"$min": "$v"}, "hi": {"$max": "$v"}})");
    GroupsPtr groups = group->make_groups();
    std::vector<StreamDocument> documents;
    for (int i = 0; i < count; ++i) {
      std::string key = std::to_string(1'000'000'000 + i);  // 10 bytes
      documents.push_back(document(Value::string(arena_.copy(key)), i));
    }
    group->add(*groups, documents, context_, "GroupOperator");
    int64_t bytes = groups->bytes() + group->shared_bytes();
    EXPECT_LE(bytes, 150 * count) << static_cast<double>(bytes) / count;
    EXPECT_GE(bytes, 80 * count);
  }
}

TEST_F(GroupTableTest, MergedPartsEqualTheWhole) {
  auto group = table(
      R"({"_id": "$k", "n": {"$sum": 1}, "s": {"$sum": "$v"}, "first": {"$first": "$v"}, "text": {"$max": {"$concat": ["text ", "$k"]}}})");
  std::mt19937 random(5);
  std::vector<StreamDocument> documents;
  for (int i = 0; i < 2000; ++i)
    documents.push_back(
        document(Value::string(arena_.copy("k" + std::to_string(random() % 300))), i));
  GroupsPtr whole = group->make_groups();
  group->add(*whole, documents, context_, "GroupOperator");
  GroupsPtr merged = group->make_groups();
  for (size_t from = 0; from < documents.size(); from += 250) {
    GroupsPtr part = group->make_groups();
    group->add(*part, std::span(documents).subspan(from, 250), context_, "GroupOperator");
    group->merge(*merged, *part);
  }
  auto expected = emit(*group, *whole);
  auto actual = emit(*group, *merged);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_TRUE(identical(actual[i].body, expected[i].body));
  int64_t before = group->shared_bytes();
  merged.reset();
  whole.reset();
  EXPECT_LT(group->shared_bytes(), before);  // the strings are gone
}

// With states that hold memory and states that hold none.
TEST_F(GroupTableTest, TwoPartsThatGoOutTogetherEqualTheirMerge) {
  for (
      std::string_view spec :
      {R"({"_id": "$k", "n": {"$sum": 1}, "s": {"$sum": "$v"}, "a": {"$avg": "$v"}, "min": {"$min": "$v"}, "max": {"$max": "$v"}})",
       R"({"_id": "$k", "s": {"$sum": {"$multiply": ["$v", 4611686018427387904]}}, "all": {"$push": "$v"}, "text": {"$max": {"$concat": ["text ", "$k"]}}})"}) {
    auto group = table(spec);
    std::mt19937 random(7);
    GroupsPtr parts[2];
    for (GroupsPtr& part : parts) {
      part = group->make_groups();
      std::vector<StreamDocument> documents;
      for (int i = 0; i < 600; ++i)
        documents.push_back(
            document(Value::string(arena_.copy("k" + std::to_string(random() % 300))), i));
      group->add(*part, documents, context_, "GroupOperator");
    }
    GroupsPtr merged = group->make_groups();
    for (const GroupsPtr& part : parts) group->merge(*merged, *part);
    auto expected = emit(*group, *merged);
    ASSERT_GT(expected.size(), parts[0]->count());  // the later part has groups of its own
    int64_t bytes = group->shared_bytes();
    for (size_t portion : {1, 7, 1000}) {
      auto actual = emit(*group, *parts[0], parts[1].get(), portion);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i)
        EXPECT_TRUE(identical(actual[i].body, expected[i].body));
    }
    EXPECT_EQ(group->shared_bytes(), bytes);  // nothing of it was left
    GroupsPtr none = group->make_groups();
    EXPECT_EQ(emit(*group, *none, parts[1].get()).size(), parts[1]->count());
    EXPECT_EQ(emit(*group, *parts[0], none.get()).size(), parts[0]->count());
  }
}

TEST_F(GroupTableTest, ADocumentThatFailsChangesNothing) {
  auto group = table(
      R"({"_id": {"$divide": [6, "$v"]}, "n": {"$sum": 1}, "q": {"$sum": {"$divide": [1, {"$subtract": ["$v", 3]}]}}})");
  GroupsPtr groups = group->make_groups();
  std::vector<StreamDocument> documents = {document(Value::null(), 0), document(Value::null(), 3),
                                           document(Value::null(), 2)};
  EXPECT_EQ(group->add(*groups, documents, context_, "GroupOperator"), 2u);
  EXPECT_EQ(letters_.count, 2);
  auto out = emit(*group, *groups);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].body.as_object().get("n").as_int32(), 1);
}

TEST_F(GroupTableTest, RefusesStatesThatAreNotItsOwn) {
  auto group = table(R"({"_id": "$k", "n": {"$sum": "$v"}})");
  for (const char* text : {R"({"a": 1})", R"([1])", R"([[1]])", R"([[1, "x"]])", R"([[1, 2, 3]])",
                           R"([[1, 2], [1, 2]])", R"([[1, [1]]])"}) {
    GroupsPtr groups = group->make_groups();
    EXPECT_FALSE(group->load(*groups, *parse_extended_json_value(text, arena_)).ok()) << text;
  }
}

}  // namespace
}  // namespace millrace::engine
