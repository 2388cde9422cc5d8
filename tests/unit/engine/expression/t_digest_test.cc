// The t-digest behind $percentile: exact while numbers are few, close when they are many, and the
// same after a merge or a checkpoint.
#include "engine/expression/t_digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace millrace::engine {
namespace {

constexpr double kPs[] = {0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0};

std::vector<double> numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(100, 30);
  std::vector<double> all;
  for (size_t i = 0; i < count; ++i) all.push_back(normal(random));
  return all;
}

// The share of `sorted` below `value`.
double share_below(const std::vector<double>& sorted, double value) {
  auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  return static_cast<double>(at - sorted.begin()) / static_cast<double>(sorted.size());
}

void expect_close(const TDigest& digest, std::vector<double> all, double tolerance) {
  std::sort(all.begin(), all.end());
  std::vector<double> values = digest.percentiles(kPs);
  ASSERT_EQ(values.size(), std::size(kPs));
  EXPECT_EQ(values.front(), all.front());
  EXPECT_EQ(values.back(), all.back());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(share_below(all, values[i]), kPs[i], tolerance) << "p = " << kPs[i];
}

TEST(PercentileRank, IsTheSmallestValueThatCoversTheShare) {
  EXPECT_EQ(percentile_rank(4, 0.0), 0);
  EXPECT_EQ(percentile_rank(4, 0.25), 0);
  EXPECT_EQ(percentile_rank(4, 0.26), 1);
  EXPECT_EQ(percentile_rank(5, 0.5), 2);
  EXPECT_EQ(percentile_rank(1, 0.5), 0);
  EXPECT_EQ(percentile_rank(7, 1.0), 6);
}

TEST(TDigest, FewNumbersAreKeptExactly) {
  for (size_t count : {1, 2, 3, 10, 100, 300}) {
    std::vector<double> all = numbers(count, static_cast<uint32_t>(count));
    TDigest digest;
    for (double number : all) digest.add(number);
    std::sort(all.begin(), all.end());
    std::vector<double> values = digest.percentiles(kPs);
    for (size_t i = 0; i < std::size(kPs); ++i)
      EXPECT_EQ(values[i], all[percentile_rank(static_cast<int64_t>(count), kPs[i])]);
  }
}

TEST(TDigest, ManyNumbersInAnyOrderAreClose) {
  std::vector<double> all = numbers(200'000, 1);
  TDigest random;
  TDigest sorted;
  for (double number : all) random.add(number);
  std::vector<double> ascending = all;
  std::sort(ascending.begin(), ascending.end());
  for (double number : ascending) sorted.add(number);
  expect_close(random, all, 0.002);
  expect_close(sorted, all, 0.002);
  EXPECT_LT(random.heap_bytes(), 128 * 1024);
}

TEST(TDigest, MergedPartsAreAsGoodAsTheWhole) {
  std::vector<double> all = numbers(60'000, 2);
  TDigest whole;
  for (size_t from = 0; from < all.size(); from += 7'000) {
    TDigest part;
    for (size_t i = from; i < std::min(all.size(), from + 7'000); ++i) part.add(all[i]);
    whole.merge(part);
  }
  expect_close(whole, all, 0.003);
}

TEST(TDigest, ResultsDoNotChangeIt) {
  std::vector<double> all = numbers(12'000, 3);
  TDigest watched;
  TDigest left_alone;
  for (double number : all) {
    watched.add(number);
    if (watched.parts().buffer.size() % 500 == 0) (void)watched.percentiles(kPs);
    left_alone.add(number);
  }
  EXPECT_EQ(watched.percentiles(kPs), left_alone.percentiles(kPs));
}

TEST(TDigest, RestoredGoesOnAsBefore) {
  std::vector<double> all = numbers(23'456, 4);
  TDigest digest;
  for (double number : all) digest.add(number);
  TDigest restored;
  ASSERT_TRUE(restored.restore(digest.parts()));
  for (double number : numbers(9'000, 5)) {
    digest.add(number);
    restored.add(number);
  }
  EXPECT_EQ(digest.percentiles(kPs), restored.percentiles(kPs));
}

TEST(TDigest, RefusesPartsThatAreNone) {
  TDigest digest;
  TDigest::Parts parts;
  parts.buffer = {std::nan("")};
  EXPECT_FALSE(digest.restore(parts));
  parts = {};
  parts.centroids = {{0.5, 1}};
  parts.min = parts.max = 1;
  EXPECT_FALSE(digest.restore(parts));
  parts.centroids = {{1, 2}, {1, 1}};
  EXPECT_FALSE(digest.restore(parts));
  parts = {};
  parts.positive_infinities = -1;
  EXPECT_FALSE(digest.restore(parts));
  EXPECT_TRUE(digest.percentiles(kPs).empty());
}

TEST(TDigest, TheEndsOfTheRangeStayFinite) {
  TDigest digest;
  for (int i = 0; i < 20'000; ++i)
    digest.add(i % 2 == 0 ? -std::numeric_limits<double>::max()
                          : std::numeric_limits<double>::max());
  for (double value : digest.percentiles(kPs)) EXPECT_TRUE(std::isfinite(value));
  TDigest restored;
  EXPECT_TRUE(restored.restore(digest.parts()));
}

}  // namespace
}  // namespace millrace::engine
