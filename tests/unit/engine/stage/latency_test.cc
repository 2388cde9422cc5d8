#include "engine/stage/latency.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

TEST(Latency, PercentilesAreWithinAClassOfTheTruth) {
  LatencyMeter meter;
  for (int64_t us = 1; us <= 1000; ++us) meter.add(us * 1000, 1, 100'000);
  LatencySummary summary = meter.summary(101'000);
  EXPECT_EQ(summary.count, 1000);
  EXPECT_EQ(summary.sum_us, 500'500);
  EXPECT_NEAR(static_cast<double>(summary.p50_us), 500, 60);
  EXPECT_NEAR(static_cast<double>(summary.p99_us), 990, 120);
  EXPECT_EQ(summary.start_ms, 100'000);
  EXPECT_EQ(summary.end_ms, 101'000);
}

TEST(Latency, AWindowLastsThirtySeconds) {
  LatencyMeter meter;
  meter.add(5'000'000, 10, 100'000);
  meter.add(1'000, 1, 131'000);
  LatencySummary summary = meter.summary(131'500);
  EXPECT_EQ(summary.count, 1);
  EXPECT_EQ(summary.start_ms, 131'000);
  EXPECT_EQ(summary.p99_us, 1);
  EXPECT_EQ(meter.summary(1'000'000).count, 0);
}

TEST(Latency, ExtremesDoNotLeaveTheClasses) {
  LatencyMeter meter;
  meter.add(INT64_MAX, 1, 1);
  meter.add(-5, 1, 1);
  EXPECT_GT(meter.summary(2).p99_us, int64_t{1} << 38);
  EXPECT_EQ(meter.summary(2).p50_us, 0);
}

}  // namespace
}  // namespace millrace::engine
