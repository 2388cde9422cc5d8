#include "commands/local/key_bytes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"

namespace millrace::commands {
namespace {

using engine::Value;

std::string key_of(const Value& value, bool descending = false) {
  std::string key;
  append_key_bytes(key, value, descending);
  return key;
}

int sign(int x) { return (x > 0) - (x < 0); }

// Values at the edges of every type, and the numbers that are hard to tell apart.
std::vector<Value> edge_values(engine::Arena& arena) {
  std::vector<Value> values;
  auto decimal = [&](const char* text) {
    values.push_back(Value::decimal(*engine::decimal::from_string(text), arena));
  };
  constexpr int64_t kBig = int64_t{1} << 53;
  for (int64_t i : {int64_t{0}, int64_t{1}, int64_t{-1}, kBig, kBig + 1, kBig + 2, -kBig - 1,
                    -kBig - 3, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1}) {
    values.push_back(Value::int64(i));
    values.push_back(Value::number(static_cast<double>(i)));
  }
  for (int32_t i : {0, 1, -1, 7, INT32_MAX, INT32_MIN}) values.push_back(Value::int32(i));
  for (double d : {0.1, -0.1, 1.5, -0.0, 1e-320, 5e-324, -5e-324, 1e308,
                   std::numeric_limits<double>::max(), std::numeric_limits<double>::infinity(),
                   -std::numeric_limits<double>::infinity(), std::nan("")}) {
    values.push_back(Value::number(d));
  }
  for (const char* text : {"0",
                           "-0",
                           "0.1",
                           "0.10",
                           "-0.1",
                           "1",
                           "1.0",
                           "1.5",
                           "9007199254740993",
                           "-9007199254740993",
                           "9223372036854775807",
                           "9223372036854775807.5",
                           "1E+400",
                           "-1E+400",
                           "1E-400",
                           "-1E-400",
                           "1E+308",
                           "9.999999999999999999999999999999999E+6144",
                           "0.1000000000000000055511151231257827",
                           "NaN",
                           "Infinity",
                           "-Infinity"}) {
    decimal(text);
  }
  for (const char* text : {R"("")",
                           R"("a")",
                           R"("a\u0000")",
                           R"("a\u0000b")",
                           R"("ab")",
                           R"("b")",
                           "{}",
                           R"({"a": 1})",
                           R"({"a": 1, "b": 2})",
                           R"({"b": 0})",
                           R"({"a": "x"})",
                           R"({"a": {"b": 1}})",
                           "[]",
                           "[1]",
                           "[1, 2]",
                           "[[1]]",
                           R"(["a"])",
                           "null",
                           "true",
                           "false",
                           R"({"$oid": "5f0000000000000000000001"})",
                           R"({"$oid": "5f0000000000000000000002"})",
                           R"({"$binary": {"base64": "", "subType": "00"}})",
                           R"({"$binary": {"base64": "YWI=", "subType": "00"}})",
                           R"({"$binary": {"base64": "YWI=", "subType": "05"}})",
                           R"({"$binary": {"base64": "YmE=", "subType": "00"}})",
                           R"({"$date": {"$numberLong": "-1"}})",
                           R"({"$date": {"$numberLong": "0"}})",
                           R"({"$date": {"$numberLong": "1577836800000"}})",
                           R"({"$timestamp": {"t": 1, "i": 2}})",
                           R"({"$timestamp": {"t": 4000000000, "i": 2}})",
                           R"({"$minKey": 1})",
                           R"({"$maxKey": 1})",
                           R"({"$regularExpression": {"pattern": "a", "options": ""}})",
                           R"({"$regularExpression": {"pattern": "a", "options": "i"}})",
                           R"({"$code": "f"})",
                           R"({"$code": "f", "$scope": {"a": 1}})"}) {
    values.push_back(*engine::parse_extended_json_value(text, arena));
  }
  return values;
}

TEST(KeyBytes, OrderLikeTheValuesInBothDirections) {
  engine::Arena arena;
  auto values = edge_values(arena);
  for (const Value& a : values) {
    for (const Value& b : values) {
      int expected = sign(engine::compare(a, b));
      EXPECT_EQ(sign(key_of(a).compare(key_of(b))), expected)
          << engine::to_json(a, engine::JsonFormat::kCanonical) << " and "
          << engine::to_json(b, engine::JsonFormat::kCanonical);
      EXPECT_EQ(sign(key_of(a, true).compare(key_of(b, true))), -expected)
          << engine::to_json(a, engine::JsonFormat::kCanonical) << " and "
          << engine::to_json(b, engine::JsonFormat::kCanonical);
    }
  }
}

TEST(KeyBytes, NoValueBeginsWithAnother) {
  engine::Arena arena;
  auto values = edge_values(arena);
  for (const Value& a : values) {
    for (const Value& b : values) {
      if (engine::equal(a, b)) continue;
      EXPECT_FALSE(key_of(b).starts_with(key_of(a)))
          << engine::to_json(a, engine::JsonFormat::kCanonical) << " and "
          << engine::to_json(b, engine::JsonFormat::kCanonical);
    }
  }
}

TEST(KeyBytes, RandomNumbersOfAllTypesOrderLikeTheirValues) {
  std::mt19937_64 random(20240301);
  engine::Arena arena;
  std::vector<Value> numbers;
  for (int i = 0; i < 300; ++i) {
    auto bits = static_cast<int64_t>(random());
    int64_t integer = bits >> (random() % 60);
    numbers.push_back(Value::int64(integer));
    numbers.push_back(Value::number(static_cast<double>(integer)));
    numbers.push_back(Value::number(
        std::ldexp(static_cast<double>(integer), static_cast<int>(random() % 200) - 100)));
    auto text =
        std::to_string(integer) + "E" + std::to_string(static_cast<int>(random() % 60) - 30);
    numbers.push_back(Value::decimal(*engine::decimal::from_string(text), arena));
    numbers.push_back(Value::decimal(
        engine::decimal::from_double_exact(static_cast<double>(integer) / 7), arena));
  }
  for (size_t i = 0; i < 200'000; ++i) {
    const Value& a = numbers[random() % numbers.size()];
    const Value& b = numbers[random() % numbers.size()];
    ASSERT_EQ(sign(key_of(a).compare(key_of(b))), sign(engine::compare(a, b)))
        << engine::to_json(a, engine::JsonFormat::kCanonical) << " and "
        << engine::to_json(b, engine::JsonFormat::kCanonical);
  }
}

}  // namespace
}  // namespace millrace::commands
