#include "engine/runtime/sample.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

std::string document(int n) {
  BsonWriter w;
  w.begin_document();
  w.append("n", n);
  w.end();
  return std::string(w.bytes());
}

TEST(SampleCursor, GivesWhatWasOfferedInOrderAndEndsAtTheLimit) {
  SampleCursor cursor(1, "p", 3, SampleCursor::Loss::kDropWhenFull, 0);
  EXPECT_FALSE(cursor.take(5, 1).has_value());
  for (int i = 0; i < 5; ++i) cursor.offer(document(i));
  auto first = cursor.take(2, 2);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->documents.size(), 2u);
  EXPECT_FALSE(first->exhausted);
  auto second = cursor.take(5, 3);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->documents.size(), 1u);
  EXPECT_EQ(second->documents[0].get("n").as_int32(), 2);
  EXPECT_TRUE(second->exhausted);
  EXPECT_TRUE(cursor.finished());
}

TEST(SampleCursor, AFullOneDropsAndNeverWaits) {
  SampleCursor cursor(1, "p", 0, SampleCursor::Loss::kDropWhenFull, 0);
  for (size_t i = 0; i < SampleCursor::kCapacity + 50; ++i) cursor.offer(document(1));
  size_t taken = 0;
  while (auto batch = cursor.take(100, 0)) taken += batch->documents.size();
  EXPECT_EQ(taken, SampleCursor::kCapacity);
}

TEST(SampleCursor, AnErrorComesAfterTheLastDocument) {
  SampleCursor cursor(1, "p", 0, SampleCursor::Loss::kWaitWhenFull, 0);
  cursor.offer(document(1));
  cursor.end(Status(419, "the broker is gone"));
  auto documents = cursor.take(5, 0);
  ASSERT_TRUE(documents);
  EXPECT_TRUE(documents->status.ok());
  EXPECT_FALSE(documents->exhausted);
  auto error = cursor.take(5, 0);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->status.code(), 419);
}

}  // namespace
}  // namespace millrace::engine
