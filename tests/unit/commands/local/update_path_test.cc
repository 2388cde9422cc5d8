#include "commands/local/update_path.h"

#include <gtest/gtest.h>

#include <string>

#include "commands/local/mutable_document.h"

namespace millrace::commands {
namespace {

UpdatePath path(const std::string& text) { return *parse_update_path(text); }

TEST(ClaimedPaths, RefusesAPathThatIsOrLiesAboveAnother) {
  struct Case {
    const char* earlier;
    const char* added;
    const char* at;  // nullptr: no conflict
  };
  for (const Case& c :
       {Case{"a", "a", "a"}, Case{"a.b", "a", "a"}, Case{"a", "a.b", "a"},
        Case{"a.b.c", "a.b", "a.b"}, Case{"a.b", "a.c", nullptr}, Case{"a", "ab", nullptr},
        Case{"a.$[]", "a.0", "a"}, Case{"a.$[x].b", "a.$[x].c", nullptr},
        Case{"a.$[x].b", "a.$[y].c", nullptr}, Case{"a.0.b", "a.$[].c", "a"},
        Case{"a.$", "a.0", nullptr}}) {
    ClaimedPaths claimed;
    ASSERT_TRUE(claimed.add(path(c.earlier)).ok());
    auto status = claimed.add(path(c.added));
    ASSERT_EQ(status.ok(), c.at == nullptr) << c.earlier << " and " << c.added;
    if (!status.ok()) {
      EXPECT_EQ(status.message(), "Updating the path '" + std::string(c.added) +
                                      "' would create a conflict at '" + c.at + "'");
    }
  }
}

// Comparing each with each would take minutes.
TEST(ClaimedPaths, TakesManyPathsAndVeryDeepOnes) {
  ClaimedPaths claimed;
  for (int i = 0; i < 200'000; ++i) ASSERT_TRUE(claimed.add(path("a.f" + std::to_string(i))).ok());
  EXPECT_FALSE(claimed.add(path("a.f5")).ok());
  std::string deep = "b";
  for (int i = 0; i < 500'000; ++i) deep += ".b";
  ClaimedPaths others;
  EXPECT_TRUE(others.add(path(deep)).ok());
}

TEST(MutableDocument, FindsFieldsOfBigDocuments) {
  constexpr int kFields = 200'000;
  engine::BsonWriter writer;
  writer.begin_document();
  for (int i = 0; i < kFields; ++i) writer.append("f" + std::to_string(i), i);
  writer.append("f7", -7);  // again
  writer.end();
  engine::Document document(writer.bytes());
  MutableDocument changed(document.value());
  std::vector<std::string> names;
  for (int i = 0; i < 2 * kFields; ++i) names.push_back("f" + std::to_string(i));
  for (int i = 0; i < kFields; ++i) {
    MutableNode* node = changed.find(changed.root(), names[i]);
    ASSERT_NE(node, nullptr);
    EXPECT_EQ(node->leaf().as_int32(), i);
  }
  for (int i = kFields; i < 2 * kFields; ++i) {
    ASSERT_EQ(changed.find(changed.root(), names[i]), nullptr);
    changed.add(changed.root(), names[i]).set(engine::Value::int32(i));
  }
  EXPECT_EQ(changed.find(changed.root(), "f300000")->leaf().as_int32(), 300'000);
  changed.find(changed.root(), "f7")->set({});  // removed: the next of that name is found
  EXPECT_EQ(changed.find(changed.root(), "f7")->leaf().as_int32(), -7);
}

}  // namespace
}  // namespace millrace::commands
