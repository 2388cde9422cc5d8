#include "engine/window/watermark.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

TEST(Watermarks, AreTheGreatestTimestampOfASinglePartition) {
  Watermarks watermarks;
  watermarks.begin_batch(1, 0);
  EXPECT_EQ(watermarks.current(), kNoWatermark);
  watermarks.observe(0, 5);
  EXPECT_EQ(watermarks.current(), 5);
  watermarks.observe(0, 3);
  EXPECT_EQ(watermarks.current(), 5);
  watermarks.observe(0, 9);
  EXPECT_EQ(watermarks.current(), 9);
  EXPECT_EQ(watermarks.next_tick_ms(), kNever);
}

TEST(Watermarks, WaitForAllPartitionsAndFollowTheSlowest) {
  Watermarks watermarks;
  watermarks.begin_batch(3, 0);
  watermarks.observe(0, 10);
  watermarks.observe(2, 20);
  EXPECT_EQ(watermarks.current(), kNoWatermark);
  watermarks.observe(1, 5);
  EXPECT_EQ(watermarks.current(), 5);
  watermarks.observe(2, 30);
  EXPECT_EQ(watermarks.current(), 5);
  watermarks.observe(1, 40);
  EXPECT_EQ(watermarks.current(), 10);
  watermarks.observe(0, 35);
  EXPECT_EQ(watermarks.current(), 30);
}

TEST(Watermarks, DoNotGoBackWhenAPartitionIsAdded) {
  Watermarks watermarks;
  watermarks.begin_batch(1, 0);
  watermarks.observe(0, 10);
  watermarks.begin_batch(2, 0);
  EXPECT_EQ(watermarks.current(), 10);
  watermarks.observe(0, 20);
  EXPECT_EQ(watermarks.current(), 10);  // the new one has not delivered
  watermarks.observe(1, 4);
  EXPECT_EQ(watermarks.current(), 10);
  watermarks.observe(1, 15);
  EXPECT_EQ(watermarks.current(), 15);
}

TEST(Watermarks, LeaveOutIdlePartitions) {
  Watermarks watermarks;
  watermarks.set_partition_idle_timeout(5000);
  watermarks.begin_batch(2, 1000);
  watermarks.observe(0, 14);
  EXPECT_EQ(watermarks.next_tick_ms(), 6000);
  watermarks.tick(5999);
  EXPECT_EQ(watermarks.current(), kNoWatermark);
  watermarks.begin_batch(2, 5999);
  watermarks.observe(0, 15);
  watermarks.tick(6000);
  EXPECT_EQ(watermarks.current(), 15);
  EXPECT_TRUE(watermarks.partitions()[1].idle);
  EXPECT_FALSE(watermarks.partitions()[0].idle);
  watermarks.begin_batch(2, 7000);
  watermarks.observe(1, 3);  // back again, behind the others
  EXPECT_FALSE(watermarks.partitions()[1].idle);
  watermarks.observe(0, 50);
  EXPECT_EQ(watermarks.current(), 15);
  watermarks.observe(1, 40);
  EXPECT_EQ(watermarks.current(), 40);
  watermarks.tick(100'000);  // all idle: it keeps its value
  EXPECT_EQ(watermarks.current(), 40);
  EXPECT_EQ(watermarks.next_tick_ms(), kNever);
}

TEST(Watermarks, SurviveARestart) {
  Watermarks watermarks;
  watermarks.set_partition_idle_timeout(5000);
  watermarks.begin_batch(3, 0);
  watermarks.observe(0, 10);
  watermarks.observe(1, 20);
  watermarks.tick(5000);
  // All went idle together: the one that never delivered was the first to be ignored.
  ASSERT_EQ(watermarks.current(), 10);
  watermarks.begin_batch(3, 5100);
  watermarks.observe(0, 11);
  watermarks.observe(1, 21);
  ASSERT_EQ(watermarks.current(), 11);
  BsonWriter writer;
  writer.begin_document();
  watermarks.save(writer);
  writer.end();
  Document saved(writer.bytes());
  ASSERT_TRUE(validate_bson(saved.bytes()).ok());

  Watermarks restored;
  restored.set_partition_idle_timeout(5000);
  ASSERT_TRUE(restored.restore(saved.value(), 90'000).ok());
  EXPECT_EQ(restored.current(), 11);
  EXPECT_TRUE(restored.partitions()[2].idle);
  EXPECT_EQ(restored.next_tick_ms(), 95'000);
  restored.begin_batch(3, 90'000);
  restored.observe(0, 30);
  EXPECT_EQ(restored.current(), 21);
  EXPECT_FALSE(restored.restore(Value::int32(1), 0).ok());
}

}  // namespace
}  // namespace millrace::engine
