#include <gtest/gtest.h>

#include <random>

#include "engine/document/compare.h"
#include "engine/document/extended_json.h"
#include "engine/source/decoder.h"

namespace millrace::engine {
namespace {

PathSet paths(std::initializer_list<std::string_view> dotted) {
  static NameTable names;
  PathSet set;
  for (std::string_view path : dotted) set.add(*parse_field_path(path, names));
  return set;
}

// The decoded bodies as relaxed Extended JSON; "! reason" for what was refused.
std::vector<std::string> decode(const std::vector<std::string>& texts, DecodePlan plan) {
  SourceBatch batch;
  for (const std::string& text : texts) batch.add(text);
  JsonDecoder decoder(std::move(plan));
  Arena arena;
  decoder.start(batch);
  std::vector<std::string> results;
  for (const SourceRecord& record : batch.records) {
    Value body;
    const char* error = decoder.next(record, arena, &body);
    results.push_back(error != nullptr ? "! " + std::string(error) : to_json(body));
  }
  return results;
}

TEST(JsonDecoder, DecodesOnlyThePathsOfThePlan) {
  std::vector<std::string> texts(
      3,
      R"({"a": 1, "x": {"y": [1, {"b": "}"}]}, "b": {"c": "t", "d": 5}, "l": [{"c": 1, "e": 2}, 3], "z": null})");
  auto results = decode(texts, DecodePlan(paths({"b.c", "a", "l.c", "gone"})));
  EXPECT_EQ(results[0], R"({"a":1,"b":{"c":"t"},"l":[{"c":1},3]})");
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST(JsonDecoder, AnArrayBelowANumericPartIsKeptWhole) {
  EXPECT_EQ(decode({R"({"l": [{"c": 1, "e": 2}]})"}, DecodePlan(paths({"l.0.c"})))[0],
            R"({"l":[{"c":1,"e":2}]})");
}

TEST(JsonDecoder, AWrapperBelowAPrunedPathIsTheValueItStandsFor) {
  EXPECT_EQ(decode({R"({"a": {"$date": "2026-01-01T00:00:00Z"}, "n": {"$numberLong": "5"}})"},
                   DecodePlan(paths({"a.b", "n"})))[0],
            R"({"a":{"$date":"2026-01-01T00:00:00Z"},"n":5})");
}

TEST(JsonDecoder, NumbersKeepTheirTypes) {
  auto results = decode(
      {R"({"a":[0,-1,2147483648,9223372036854775807,9223372036854775808,1.5,-0.25,1e3,123456789012345678.5,0.1]})"},
      DecodePlan());
  EXPECT_EQ(
      results[0],
      R"({"a":[0,-1,2147483648,9223372036854775807,9.223372036854776e+18,1.5,-0.25,1000.0,1.2345678901234568e+17,0.1]})");
}

TEST(JsonDecoder, BrokenRecordsDoNotTouchTheirNeighbours) {
  const char* good = R"({"a": "ok", "b": 2})";
  for (const char* bad : {"",
                          "{",
                          "}",
                          R"({"a":)",
                          R"({"a":1)",
                          R"({"b":})",
                          R"({"b":tru})",
                          R"({"b":1.})",
                          R"({"b":01})",
                          R"({"b" 1})",
                          R"({"a":1}})",
                          R"({"a":1} {"a":2})",
                          R"({"a":"open)",
                          "not json",
                          "\"text\"",
                          "5",
                          R"([1)",
                          R"({"b":[1,]})",
                          R"({"b":{"c":1,}})",
                          R"({,})",
                          "{\"a\":\"\xff\"}",
                          R"({"b":"\q"})",
                          R"({"a":"\q"})",
                          "{\"a\":\"\x01\"}",
                          R"({"a":"\ud800"})",
                          R"({"a":{"$numberLong":"x"}})"}) {
    for (bool pruned : {false, true}) {
      if (pruned && std::string_view(bad) == R"({"b":"\q"})")
        continue;  // an escape inside a string nobody reads
      auto results = decode({good, bad, good, bad, bad, good},
                            pruned ? DecodePlan(paths({"a"})) : DecodePlan());
      for (int i : {0, 2, 5})
        EXPECT_EQ(results[i], pruned ? R"({"a":"ok"})" : R"({"a":"ok","b":2})") << bad;
      for (int i : {1, 3, 4}) EXPECT_EQ(results[i][0], '!') << bad << " gave " << results[i];
    }
  }
}

TEST(JsonDecoder, ATopLevelArrayBecomesADocument) {
  EXPECT_EQ(decode({R"([5, {"x": 1}])"}, DecodePlan())[0], R"({"0":5,"1":{"x":1}})");
}

TEST(JsonDecoder, EscapesInKeysAndStrings) {
  auto results =
      decode({R"({"\u0061": "x\n\"\u00e9\ud83d\ude00", "b": "c"})", R"({"a": "q", "b": "c"})"},
             DecodePlan(paths({"a"})));
  EXPECT_EQ(results[0], "{\"a\":\"x\\n\\\"\xc3\xa9\xf0\x9f\x98\x80\"}");
  EXPECT_EQ(results[1], R"({"a":"q"})");
}

TEST(JsonDecoder, DeepNestingIsRefused) {
  std::string deep = R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_EQ(decode({deep, R"({"a":1})"}, DecodePlan(paths({"a"})))[0][0], '!');
  EXPECT_EQ(decode({deep, R"({"a":1})"}, DecodePlan(paths({"b"})))[0][0], '!');
}

// Texts made by damaging good ones: the decoder must agree with the ordinary reader on which are
// documents, and on their content.
TEST(JsonDecoder, AgreesWithTheOrdinaryReaderOnDamagedTexts) {
  std::minstd_rand random(7);
  const std::string base =
      R"({"device":"d_1","n":-12,"t":"2026-01-01","o":{"w":1.5e3,"l":[1,null,true,"a\tb"]},"d":{"$date":"2026-01-01T00:00:00Z"}})";
  std::vector<std::string> texts;
  for (int i = 0; i < 4000; ++i) {
    std::string text = base;
    for (unsigned flips = random() % 3; flips-- > 0;) {
      size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = R"({}[],:"\ 0tn1e.-$)"[random() % 17];
          break;
        case 1:
          text.erase(at, 1);
          break;
        default:
          text.insert(at, 1, R"({}[],:" 05)"[random() % 10]);
          break;
      }
    }
    texts.push_back(text);
  }
  size_t refused = 0;
  for (size_t from = 0; from < texts.size(); from += 50) {
    std::vector<std::string> some(texts.begin() + from, texts.begin() + from + 50);
    auto results = decode(some, DecodePlan());
    for (size_t i = 0; i < some.size(); ++i) {
      auto expected = parse_extended_json(some[i]);
      bool array = some[i].find_first_not_of(' ') != std::string::npos &&
                   some[i][some[i].find_first_not_of(' ')] == '[';
      if (array) continue;
      EXPECT_EQ(expected.ok(), results[i][0] != '!')
          << some[i] << " gave " << results[i]
          << (expected.ok() ? "" : " / " + expected.status().message());
      if (expected.ok() && results[i][0] != '!') {
        EXPECT_EQ(to_json(expected->value()), results[i]);
      }
      refused += !expected.ok();
    }
  }
  EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace millrace::engine
