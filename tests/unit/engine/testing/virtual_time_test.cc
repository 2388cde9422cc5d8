#include "engine/testing/virtual_time.h"

#include <gtest/gtest.h>

#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

TEST(VirtualTime, ReadsLengthsOfTime) {
  EXPECT_EQ(parse_time_span("5s"), 5000);
  EXPECT_EQ(parse_time_span("1m30s"), 90'000);
  EXPECT_EQ(parse_time_span("9.999s"), 9999);
  EXPECT_EQ(parse_time_span("250ms"), 250);
  EXPECT_EQ(parse_time_span("1d2h"), 93'600'000);
  EXPECT_EQ(parse_time_span("-2h"), -7'200'000);
  EXPECT_EQ(parse_time_span("0s"), 0);
}

TEST(VirtualTime, RefusesWhatIsNone) {
  for (std::string_view text : {"", "-", "5", "s", "5x", "5s1m", "1s1s", "0.5ms", "1.2.3s", "5 s",
                                "1e9s", "99999999999999999999d", "--5s"}) {
    EXPECT_FALSE(parse_time_span(text)) << text;
  }
}

TEST(VirtualTime, ReadsMoments) {
  EXPECT_EQ(moment_of(Value::string("5s"), 1000), 6000);
  EXPECT_EQ(moment_of(Value::int32(5), 1000), 1005);
  EXPECT_EQ(moment_of(Value::date(7), 1000), 7);
  EXPECT_EQ(moment_of(Value::string("1970-01-01T00:00:01Z"), 1000), 1000);
  EXPECT_FALSE(moment_of(Value::string("soon"), 0));
  EXPECT_FALSE(moment_of(Value::boolean(true), 0));
  auto duration = parse_extended_json(R"({"size": 2, "unit": "minute"})");
  EXPECT_EQ(time_span_of(duration->value()), 120'000);
  auto wrong = parse_extended_json(R"({"size": 2, "unit": "week"})");
  EXPECT_FALSE(time_span_of(wrong->value()));
}

}  // namespace
}  // namespace millrace::engine
