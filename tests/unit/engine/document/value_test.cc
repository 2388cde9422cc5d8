#include "engine/document/value.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/document/bson.h"
#include "engine/document/compare.h"
#include "engine/document/field_path.h"

namespace millrace::engine {
namespace {

TEST(Value, TreeAndBsonFormsReadAlike) {
  Arena arena;
  ObjectBuilder inner(arena);
  inner.add("x", Value::int32(7));
  ArrayBuilder list(arena);
  list.add(Value::string("a"));
  list.add(Value::regex("^b", "i", arena));
  ObjectBuilder outer(arena);
  outer.add("o", inner.finish());
  outer.add("l", list.finish());
  outer.add("gone", Value());
  Value tree = outer.finish();
  Document bson(tree);
  ASSERT_TRUE(validate_bson(bson.bytes()).ok());
  EXPECT_EQ(bson_size(tree), bson.bytes().size());
  EXPECT_TRUE(equal(tree, bson.value()));
  EXPECT_TRUE(identical(tree, bson.value()));
  EXPECT_EQ(hash(tree), hash(bson.value()));
  EXPECT_EQ(bson.get("o").as_object().get("x").as_int32(), 7);
  EXPECT_EQ(bson.get("l").as_array().at(1).as_regex().options, "i");
  EXPECT_TRUE(bson.get("gone").is_missing());
  Document again(deep_copy(bson.value(), arena));
  EXPECT_EQ(again.bytes(), bson.bytes());
}

// A walk for each name would take minutes.
TEST(Value, NamesAreSetInBigDocuments) {
  constexpr int kFields = 300'000;
  Arena arena;
  ObjectBuilder object(arena);
  object.add("twice", Value::int32(-1));
  object.add("twice", Value::int32(-2));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kFields; ++i) {
      object.set(arena.copy("f" + std::to_string(i)), Value::int32(round * i));
      if (i % 1000 == 0) object.set("twice", Value::int32(i));
    }
  }
  ASSERT_EQ(object.size(), size_t{kFields} + 2);
  EXPECT_EQ(object.at(0).value.as_int32(), kFields - 1000);
  EXPECT_EQ(object.at(1).value.as_int32(), -2);
  for (int i = 0; i < kFields; ++i) EXPECT_EQ(object.at(i + 2).value.as_int32(), i);
}

TEST(PathSet, HoldsManyPaths) {
  constexpr size_t kPaths = 100'000;
  CompiledMemory memory;
  PathSet set;
  std::vector<FieldPath> paths;
  for (size_t i = 0; i < kPaths; ++i)
    paths.push_back(*parse_field_path("f" + std::to_string(i) + ".x", memory.names));
  for (const FieldPath& path : paths) set.add(path);
  for (const FieldPath& path : paths) set.add(path);
  EXPECT_EQ(set.children.size(), kPaths);
  PathSet both;
  both.add(set);
  both.add(set);
  EXPECT_EQ(both.children.size(), kPaths);
  both.remove(paths[5].parts.data(), 2);
  EXPECT_EQ(both.find("f5"), nullptr);
  ASSERT_NE(both.find("f6"), nullptr);
  EXPECT_NE(both.find("f6")->find("x"), nullptr);
  EXPECT_NE(both.find("f99999"), nullptr);
}

TEST(Value, NumbersCompareExactlyAcrossTypes) {
  EXPECT_EQ(compare(Value::int64(9007199254740993), Value::number(9007199254740992.0)), 1);
  EXPECT_EQ(compare(Value::int32(1), Value::number(1.5)), -1);
  EXPECT_EQ(compare(Value::number(-0.0), Value::int32(0)), 0);
  EXPECT_EQ(compare(Value::number(std::nan("")), Value::int64(INT64_MIN)), -1);
  EXPECT_EQ(hash(Value::int32(5)), hash(Value::number(5.0)));
  EXPECT_EQ(hash(Value::number(-0.0)), hash(Value::int32(0)));
}

TEST(Bson, EveryPrefixAndEveryFlippedBitIsRefusedOrValid) {
  Arena arena;
  ObjectBuilder builder(arena);
  builder.add("s", Value::string("text"));
  builder.add("b", Value::binary(0, "123"));
  builder.add("c", Value::code_w_scope("f()", Value::object({}), arena));
  Document doc(builder.finish());
  std::string bytes(doc.bytes());
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(validate_bson(std::string_view(bytes).substr(0, n)).ok());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    if (validate_bson(damaged).ok()) {
      size_t fields = 0;
      for (const Field& field : Value::bson_object(damaged.data()).as_object())
        fields += field.name_size > 0;
      EXPECT_LE(fields, 3u);
    }
  }
}

}  // namespace
}  // namespace millrace::engine
