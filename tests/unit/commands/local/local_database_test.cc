#include "commands/local/local_database.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "commands/local/aggregate.h"
#include "commands/local/find.h"
#include "commands/local/index_build.h"
#include "commands/local/insert.h"
#include "commands/local/update_documents.h"
#include "engine/document/extended_json.h"
#include "engine/runtime/stage_table.h"

namespace millrace::commands {
namespace {

using engine::Document;
using engine::Value;

Document json(std::string_view text) {
  auto parsed = engine::parse_extended_json(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed.ok() ? *parsed : Document();
}

class LocalDatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pattern = (std::filesystem::temp_directory_path() / "millrace-local-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    open();
  }
  void TearDown() override {
    local_.reset();
    store_.reset();
    std::filesystem::remove_all(root_);
  }
  void open() {
    local_.reset();
    store_.reset();
    storage::OpenOptions options;
    options.sync = storage::Sync::kNever;
    auto opened = storage::Store::open(root_ + "/data", options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(*opened);
    local_ = std::make_unique<LocalDatabase>(*store_, stages_, clock_);
  }

  void insert(std::string_view documents) {
    Document wrapped = json("{\"d\": " + std::string(documents) + "}");
    auto result = insert_documents(*local_, "db", "c", wrapped.get("d"), {});
    ASSERT_TRUE(result.ok()) << result.status().message();
    ASSERT_TRUE(result->failed.empty()) << result->failed.front().failure.status.message();
  }
  void create_index(std::string_view spec) {
    auto normal = normal_index_spec(json(spec).value());
    ASSERT_TRUE(normal.ok());
    Document details;
    auto result = create_indexes(*local_, "db", "c", {*normal}, &details);
    ASSERT_TRUE(result.ok()) << result.status().message();
  }
  // The documents that match, as relaxed JSON, in the order they come.
  std::vector<std::string> find(std::string_view filter = "{}") {
    auto collection = local_->find("db", "c");
    FindSpec spec;
    spec.command = json("{\"filter\": " + std::string(filter) + "}");
    spec.filter = spec.command.get("filter");
    std::vector<std::string> found;
    if (!collection.ok() || !*collection) return found;
    auto stream = FindStream::open(*local_, **collection, std::move(spec));
    EXPECT_TRUE(stream.ok());
    std::deque<std::string> documents;
    while (stream.ok() && !(*stream)->ended())
      EXPECT_TRUE((*stream)->next(*store_, 100, documents).ok());
    for (const auto& document : documents)
      found.push_back(engine::to_json(Value::bson_object(document.data())));
    return found;
  }

  std::string root_;
  engine::ManualClock clock_{1'700'000'000'000};
  engine::StageListBuilder stages_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<LocalDatabase> local_;
};

TEST_F(LocalDatabaseTest, EverythingIsThereAfterARestart) {
  create_index(R"({"key": {"a": 1}, "name": "a_1", "unique": true})");
  insert(R"([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])");
  open();
  EXPECT_EQ(find(R"({"a": 2})"), std::vector<std::string>{R"({"_id":2,"a":2})"});
  Document wrapped = json(R"({"d": [{"_id": 3, "a": 2}]})");
  auto again = insert_documents(*local_, "db", "c", wrapped.get("d"), {});
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->failed.size(), 1u);
  EXPECT_EQ(again->failed.front().failure.status.code(), 11000);
}

TEST_F(LocalDatabaseTest, ADocumentLostToDamageLeavesNoIndexEntryBehind) {
  create_index(R"({"key": {"a": 1}, "name": "a_1", "unique": true})");
  insert(
      R"([{"_id": 1, "a": 1}, {"_id": 2, "a": 2, "text": "this one is lost"}, {"_id": 3, "a": 3}])");
  local_.reset();
  store_.reset();
  {
    std::fstream file(root_ + "/data/millrace.mdb",
                      std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    for (auto at = bytes.find("this one"); at != std::string::npos;
         at = bytes.find("this one", at + 1)) {
      file.seekp(static_cast<std::streamoff>(at));
      file.put('T');
    }
  }
  open();
  ASSERT_FALSE(store_->damage().empty());
  ASSERT_TRUE(rebuild_lost_indexes(*local_).ok());
  EXPECT_EQ(find(), (std::vector<std::string>{R"({"_id":1,"a":1})", R"({"_id":3,"a":3})"}));
  EXPECT_EQ(find(R"({"_id": 3})").size(), 1u);
  EXPECT_EQ(find(R"({"a": 3})").size(), 1u);
  insert(R"([{"_id": 2, "a": 2}])");
  EXPECT_EQ(find(R"({"a": 2})"), std::vector<std::string>{R"({"_id":2,"a":2})"});
  Document wrapped = json(R"({"d": [{"_id": 4, "a": 3}]})");
  auto again = insert_documents(*local_, "db", "c", wrapped.get("d"), {});
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->failed.size(), 1u);
}

TEST_F(LocalDatabaseTest, AFailedStatementLeavesNoEntryBehind) {
  create_index(R"({"key": {"a": 1}, "name": "a_1", "unique": true})");
  create_index(R"({"key": {"b": 1}, "name": "b_1", "unique": true})");
  insert(R"([{"_id": 1, "a": 1, "b": 1}])");
  Document wrapped = json(
      R"({"d": [{"_id": 2, "a": 2, "b": 1}]})");  // a's entry would be written before b's refuses
  auto failed = insert_documents(*local_, "db", "c", wrapped.get("d"), {});
  ASSERT_TRUE(failed.ok());
  ASSERT_EQ(failed->failed.size(), 1u);
  insert(R"([{"_id": 2, "a": 2, "b": 2}])");
  EXPECT_EQ(find().size(), 2u);
}

TEST_F(LocalDatabaseTest, ExpiredDocumentsGoWithTheirEntries) {
  create_index(R"({"key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 60})");
  insert(
      R"([{"_id": 1, "t": {"$date": {"$numberLong": "1699999930000"}}}, {"_id": 2, "t": {"$date": {"$numberLong": "1699999950000"}}},
             {"_id": 3, "t": "no date"}, {"_id": 4}, {"_id": 5, "t": [{"$date": {"$numberLong": "1799999950000"}}, {"$date": {"$numberLong": "1"}}]}])");
  ASSERT_TRUE(local_->maintain().ok());
  EXPECT_EQ(find().size(), 3u);
  clock_.advance_ms(20'000);
  ASSERT_TRUE(local_->maintain().ok());
  EXPECT_EQ(find(), (std::vector<std::string>{R"({"_id":3,"t":"no date"})", R"({"_id":4})"}));
}

TEST_F(LocalDatabaseTest, AStreamRestsBetweenBatchesWhileOthersWrite) {
  insert(R"([{"_id": 1}, {"_id": 2}, {"_id": 3}, {"_id": 4}])");
  auto collection = local_->find("db", "c");
  auto stream = FindStream::open(*local_, **collection, {});
  ASSERT_TRUE(stream.ok());
  std::deque<std::string> documents;
  ASSERT_TRUE((*stream)->next(*store_, 2, documents).ok());
  EXPECT_EQ(documents.size(), 2u);
  std::vector<DeleteStatement> statements(1);
  Document query = json(R"({"_id": 3})");
  statements[0].query = query.value();
  ASSERT_TRUE(delete_documents(*local_, "db", "c", statements, Value::missing(), {}).ok());
  insert(R"([{"_id": 5}])");
  while (!(*stream)->ended()) ASSERT_TRUE((*stream)->next(*store_, 2, documents).ok());
  std::vector<int32_t> ids;
  for (const auto& document : documents)
    ids.push_back(Value::bson_object(document.data()).as_object().get("_id").as_int32());
  EXPECT_EQ(ids, (std::vector<int32_t>{1, 2, 4, 5}));
}

TEST_F(LocalDatabaseTest, MoreStatementsThanOneTransactionTakes) {
  engine::BsonWriter writer;
  writer.begin_document();
  writer.begin_array("d");
  for (int32_t i = 0; i < 2500; ++i) {
    writer.begin_object(std::to_string(i));
    writer.append("_id", i % 2000);  // the last 500 are there already
    writer.end();
  }
  writer.end(), writer.end();
  Document wrapped(writer.bytes());
  WriteOptions unordered;
  unordered.ordered = false;
  auto result = insert_documents(*local_, "db", "c", wrapped.get("d"), unordered);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->matched, 2000);
  ASSERT_EQ(result->failed.size(), 500u);
  EXPECT_EQ(result->failed.front().index, 2000u);
  EXPECT_EQ(result->failed.back().index, 2499u);
  EXPECT_EQ(find().size(), 2000u);
}

TEST_F(LocalDatabaseTest, AggregateStopsReadingOnceItsLimitIsReached) {
  for (int round = 0; round < 5; ++round) {
    engine::BsonWriter writer;
    writer.begin_document();
    writer.begin_array("d");
    for (int32_t i = 0; i < 1000; ++i)
      writer.begin_object(std::to_string(i)), writer.append("n", i), writer.end();
    writer.end(), writer.end();
    Document wrapped(writer.bytes());
    ASSERT_TRUE(insert_documents(*local_, "db", "c", wrapped.get("d"), {}).ok());
  }
  AggregateSpec spec;
  spec.command = json(R"({"p": [{"$limit": 3}]})");
  for (Value stage : spec.command.get("p").as_array()) spec.stages.push_back(stage);
  auto stream = AggregateStream::open(*local_, "db", "c", std::move(spec));
  ASSERT_TRUE(stream.ok());
  std::deque<std::string> documents;
  while (!(*stream)->ended()) ASSERT_TRUE((*stream)->next(*store_, 100, documents).ok());
  EXPECT_EQ(documents.size(), 3u);
  EXPECT_LE((*stream)->scan()->documents_examined(), 1000);
}

TEST_F(LocalDatabaseTest, WritersAndReadersOfManyThreads) {
  create_index(R"({"key": {"k": 1}, "name": "k_1"})");
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        Document update = json(R"({"u": {"$inc": {"n": 1}, "$set": {"k": )" + std::to_string(t) +
                               "}}, \"q\": {\"_id\": " + std::to_string(i % 7) + "}}");
        UpdateStatement statement;
        statement.spec.update = update.get("u");
        statement.spec.query = update.get("q");
        statement.upsert = true;
        auto result = update_documents(*local_, "db", "c", {statement}, {});
        EXPECT_TRUE(result.ok() && result->failed.empty());
        find(R"({"k": 1})");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  int64_t total = 0;
  for (const auto& text : find()) total += json(text).get("n").integer_value();
  EXPECT_EQ(total, kThreads * kRounds);
}

TEST_F(LocalDatabaseTest, SortsWithinItsMemoryOrSaysThatItCannot) {
  engine::BsonWriter writer;
  std::string filler(1 << 20, 'x');
  for (int32_t part = 0; part < 8; ++part) {
    writer.clear();
    writer.begin_document();
    writer.begin_array("d");
    for (int32_t i = 0; i < 15; ++i)
      writer.begin_object(std::to_string(i)), writer.append("n", part * 15 + i),
          writer.append("f", filler), writer.end();
    writer.end(), writer.end();
    Document wrapped(writer.bytes());
    ASSERT_TRUE(insert_documents(*local_, "db", "c", wrapped.get("d"), {}).ok());
  }
  auto run = [&](int64_t limit, bool allow_disk_use) {
    FindSpec spec;
    spec.command = json(R"({"sort": {"n": -1}})");
    spec.sort = spec.command.get("sort");
    spec.limit = limit;
    spec.allow_disk_use = allow_disk_use;
    auto stream = FindStream::open(*local_, **local_->find("db", "c"), std::move(spec));
    std::deque<std::string> documents;
    return (*stream)->next(*store_, 1, documents);
  };
  EXPECT_EQ(run(0, false).code(), 292);
  EXPECT_TRUE(run(3, false).ok());
  EXPECT_TRUE(run(0, true).ok());
}

}  // namespace
}  // namespace millrace::commands
