#include "commands/local/cursor_registry.h"

#include <gtest/gtest.h>

#include <set>

namespace millrace::commands {
namespace {

std::unique_ptr<LocalCursor> cursor(std::string ns, std::string session = "") {
  auto made = std::make_unique<LocalCursor>();
  made->ns = std::move(ns);
  made->session = std::move(session);
  return made;
}

TEST(CursorRegistry, IdsArePositiveAndDifferent) {
  CursorRegistry registry;
  std::set<int64_t> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(registry.add(cursor("db.c"), 0));
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_GT(*ids.begin(), 0);
}

TEST(CursorRegistry, BelongsToItsNamespaceAndSession) {
  CursorRegistry registry;
  int64_t id = registry.add(cursor("db.c", "session"), 0);
  EXPECT_EQ(registry.take(id, "db.d", "session").status().code(), 13);
  EXPECT_EQ(registry.take(id, "db.c", "other").status().code(), 13);
  EXPECT_EQ(registry.take(id + 1, "db.c", "session").status().code(), 43);
  EXPECT_TRUE(registry.take(id, "db.c", "session").ok());
}

TEST(CursorRegistry, IsUsedByOneRequestAtATime) {
  CursorRegistry registry;
  int64_t id = registry.add(cursor("db.c"), 0);
  auto taken = registry.take(id, "db.c", "");
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(registry.take(id, "db.c", "").status().code(), 12051);
  EXPECT_TRUE(registry.give_back(std::move(*taken), 0));
  EXPECT_TRUE(registry.take(id, "db.c", "").ok());
}

TEST(CursorRegistry, KilledWhileInUseItDoesNotComeBack) {
  CursorRegistry registry;
  int64_t id = registry.add(cursor("db.c"), 0);
  auto taken = registry.take(id, "db.c", "");
  ASSERT_TRUE(taken.ok());
  EXPECT_TRUE(registry.kill(id, "db.c"));
  EXPECT_FALSE(registry.give_back(std::move(*taken), 0));
  EXPECT_EQ(registry.count(), 0u);
}

TEST(CursorRegistry, EndsWithItsSession) {
  CursorRegistry registry;
  int64_t first = registry.add(cursor("db.c", "one"), 0);
  int64_t second = registry.add(cursor("db.c", "two"), 0);
  registry.add(cursor("db.c"), 0);
  registry.kill_sessions({"one", "three"});
  EXPECT_EQ(registry.take(first, "db.c", "one").status().code(), 43);
  EXPECT_TRUE(registry.take(second, "db.c", "two").ok());
  EXPECT_EQ(registry.count(), 2u);
}

TEST(CursorRegistry, IdleOnesGoUnlessTheyMayStay) {
  constexpr int64_t kMinute = 60'000'000'000;
  CursorRegistry registry(std::chrono::minutes(10));
  registry.add(cursor("db.c"), 0);
  auto patient = cursor("db.c");
  patient->no_timeout = true;
  registry.add(std::move(patient), 0);
  int64_t used = registry.add(cursor("db.c"), 0);
  registry.give_back(std::move(registry.take(used, "db.c", "")).value(), 8 * kMinute);
  registry.kill_idle(11 * kMinute);
  EXPECT_EQ(registry.count(), 2u);
}

}  // namespace
}  // namespace millrace::commands
