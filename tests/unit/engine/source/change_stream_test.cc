// The change stream source against a genuine MongoDB, and its options.
#include "engine/source/sources.h"
#include "tests/unit/engine/connection/real_mongod.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

struct Stream {
  SystemClock clock;
  Document spec;
  Document start;
  SourcePtr source;
  SourceBatch batch;
  std::vector<std::string> events;  // operation and document key, or the fault
  std::vector<Document> payloads;
  Document position;
  Status status;

  Stream(RealMongod* mongod, std::string_view text, std::string_view start_position = "{}") {
    auto parsed = parse_extended_json(text);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    spec = *parsed;
    start = *parse_extended_json(start_position);
    ConnectionPtr connection =
        mongod != nullptr ? mongod->connection() : std::make_shared<Connection>();
    auto made = parse_change_stream_source(
        SourceContext{spec.value(), connection, mongod != nullptr ? &mongod->connector() : nullptr,
                      &clock, "p", start.value()});
    status = made.status();
    if (made.ok()) source = std::move(*made);
  }

  void read(size_t count) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (events.size() < count && std::chrono::steady_clock::now() < until) {
      batch.clear();
      status = source->read(batch, 100, milliseconds(200));
      if (!status.ok()) return;
      for (const SourceRecord& record : batch.records) {
        Arena arena;
        ObjectBuilder described(arena);
        source->describe(record, Value(), arena, described);
        events.push_back(record.fault != nullptr ? record.fault : to_json(described.finish()));
        payloads.emplace_back(batch.payload(record));
        EXPECT_GT(record.timestamp_ms, 1'600'000'000'000);
      }
      position = batch.position;
    }
    EXPECT_EQ(events.size(), count);
  }
};

TEST(ChangeStream, OneCollectionFromNowOnAndFromAPosition) {
  MR_NEEDS_MONGOD(mongod);
  mongod->run("cs", R"({"drop": "a"})");
  mongod->run("cs", R"({"insert": "a", "documents": [{"_id": 0}]})");
  Stream stream(mongod, R"({"connectionName": "c", "db": "cs", "coll": "a"})");
  ASSERT_TRUE(stream.source->open(Value()).ok());
  mongod->run("cs", R"({"insert": "a", "documents": [{"_id": 1, "x": 1}, {"_id": 2}]})");
  mongod->run("cs", R"({"update": "a", "updates": [{"q": {"_id": 1}, "u": {"$set": {"x": 2}}}]})");
  mongod->run("cs", R"({"insert": "other", "documents": [{"x": 1}]})");
  mongod->run("cs", R"({"delete": "a", "deletes": [{"q": {"_id": 2}, "limit": 1}]})");
  stream.read(4);
  EXPECT_EQ(
      stream.events,
      (std::vector<std::string>{
          R"({"operationType":"insert","ns":{"db":"cs","coll":"a"},"documentKey":{"_id":1}})",
          R"({"operationType":"insert","ns":{"db":"cs","coll":"a"},"documentKey":{"_id":2}})",
          R"({"operationType":"update","ns":{"db":"cs","coll":"a"},"documentKey":{"_id":1}})",
          R"({"operationType":"delete","ns":{"db":"cs","coll":"a"},"documentKey":{"_id":2}})"}));
  EXPECT_EQ(to_json(stream.payloads[0].get("fullDocument")), R"({"_id":1,"x":1})");
  Document saved = stream.position;
  stream.source->close();

  mongod->run("cs", R"({"insert": "a", "documents": [{"_id": 3}]})");
  Stream resumed(mongod, R"({"connectionName": "c", "db": "cs", "coll": "a"})");
  ASSERT_TRUE(resumed.source->open(saved.value()).ok());
  resumed.read(1);
  EXPECT_EQ(to_json(resumed.payloads[0].get("documentKey")), R"({"_id":3})");
  BsonWriter stats;
  stats.begin_document();
  resumed.source->add_stats(resumed.position.value(), Value(), stats);
  stats.end();
  EXPECT_NE(
      to_json(Value::bson_object(stats.bytes().data())).find(R"("changeStreamState":{"_data":)"),
      std::string::npos);

  // The start command's own position wins over none.
  std::string after = R"({"startAfter": )" + to_json(saved.get("resumeToken")) + "}";
  Stream told(mongod, R"({"connectionName": "c", "db": "cs", "coll": "a"})", after);
  ASSERT_TRUE(told.source->open(Value()).ok());
  told.read(1);
}

TEST(ChangeStream, SeveralCollectionsADatabaseAndTheDeployment) {
  MR_NEEDS_MONGOD(mongod);
  Stream several(mongod, R"({"connectionName": "c", "db": "cs2", "coll": ["a", "b"]})");
  Stream database(mongod, R"({"connectionName": "c", "db": "cs2"})");
  Stream deployment(
      mongod, R"({"connectionName": "c", "config": {"pipeline": [{"$match": {"ns.db": "cs2"}}]}})");
  for (Stream* stream : {&several, &database, &deployment})
    ASSERT_TRUE(stream->source->open(Value()).ok());
  for (const char* name : {"a", "b", "z"}) {
    mongod->run("cs2", std::string(R"({"insert": ")") + name + R"(", "documents": [{"n": 1}]})");
  }
  several.read(2);
  database.read(3);
  deployment.read(3);
}

TEST(ChangeStream, FullDocumentOnlySendsEventsWithoutOneToTheDeadLetters) {
  MR_NEEDS_MONGOD(mongod);
  mongod->run("cs3", R"({"drop": "a"})");
  Stream stream(
      mongod,
      R"({"connectionName": "c", "db": "cs3", "coll": "a", "config": {"fullDocumentOnly": true, "fullDocument": "updateLookup"}})");
  ASSERT_TRUE(stream.source->open(Value()).ok());
  mongod->run("cs3", R"({"insert": "a", "documents": [{"_id": 1}]})");
  mongod->run("cs3", R"({"delete": "a", "deletes": [{"q": {"_id": 1}, "limit": 1}]})");
  stream.read(2);
  EXPECT_EQ(to_json(stream.payloads[0].value()), R"({"_id":1})");
  EXPECT_EQ(stream.events[1],
            "the change event has no fullDocument, which config.fullDocumentOnly asks for");
}

TEST(ChangeStream, DroppingTheCollectionEndsIt) {
  MR_NEEDS_MONGOD(mongod);
  mongod->run("cs4", R"({"create": "a"})");
  Stream stream(mongod, R"({"connectionName": "c", "db": "cs4", "coll": "a"})");
  ASSERT_TRUE(stream.source->open(Value()).ok());
  mongod->run("cs4", R"({"drop": "a"})");
  stream.read(2);  // drop, invalidate
  stream.read(3);
  EXPECT_EQ(stream.status.code(), 280) << stream.status.message();
}

// A deployment that answers by a script, and the commands it got.
class Script final : public ClusterConnector {
 public:
  std::vector<Result<Document>> answers;
  std::vector<std::string> commands;

  Result<std::unique_ptr<ClusterClient>> connect(const Connection&) override {
    return std::unique_ptr<ClusterClient>(new Client(*this));
  }

 private:
  class Client final : public ClusterClient {
   public:
    explicit Client(Script& script) : script_(script) {}
    Result<Document> run(std::string_view, const Value& command) override {
      script_.commands.push_back(to_json(command));
      if (script_.next_ >= script_.answers.size())
        return Status(ErrorCode::kInternalError, "the script has ended");
      return script_.answers[script_.next_++];
    }

   private:
    Script& script_;
  };
  size_t next_ = 0;
};

Result<Document> cursor(int id, std::string_view batch_name, std::string_view events,
                        std::string_view token) {
  return *parse_extended_json(R"({"ok": 1, "cursor": {"ns": "d.a", "id": {"$numberLong": ")" +
                              std::to_string(id) + R"("}, ")" + std::string(batch_name) + R"(": )" +
                              std::string(events) + R"(, "postBatchResumeToken": {"_data": ")" +
                              std::string(token) + R"("}}})");
}

struct Scripted {
  Script script;
  SystemClock clock;
  Document spec = *parse_extended_json(R"({"connectionName": "c", "db": "d", "coll": "a"})");
  SourcePtr source;
  SourceBatch batch;
  Scripted() {
    auto connection = std::make_shared<Connection>();
    connection->definition = *parse_extended_json(R"({"uri": "mongodb://h/"})");
    auto made = parse_change_stream_source(
        SourceContext{spec.value(), connection, &script, &clock, "p", Value()});
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (made.ok()) source = std::move(*made);
  }
};

TEST(ChangeStream, ALostConnectionIsTakenUpBehindTheLastEvent) {
  Scripted scripted;
  scripted.script.answers = {
      cursor(1, "firstBatch", "[]", "t0"),
      cursor(1, "nextBatch", R"([{"_id": {"_data": "e1"}, "operationType": "insert"}])", "t1"),
      Status(ErrorCode::kHostUnreachable, "gone"), cursor(2, "firstBatch", "[]", "t1"),
      cursor(2, "nextBatch", R"([{"_id": {"_data": "e2"}, "operationType": "insert"}])", "t2")};
  ASSERT_TRUE(scripted.source->open(Value()).ok());
  std::string positions;
  for (int i = 0; i < 3; ++i) {
    scripted.batch.clear();
    Status status = scripted.source->read(scripted.batch, 10, milliseconds(50));
    ASSERT_TRUE(status.ok()) << status.message();
    positions += std::to_string(scripted.batch.records.size()) +
                 to_json(scripted.batch.position.value()) + " ";
  }
  EXPECT_EQ(
      positions,
      R"(1{"resumeToken":{"_data":"t1"}} 0{"resumeToken":{"_data":"t1"}} 1{"resumeToken":{"_data":"t2"}} )");
  EXPECT_EQ(
      scripted.script.commands[3],
      R"({"aggregate":"a","pipeline":[{"$changeStream":{"startAfter":{"_data":"t1"}}}],"cursor":{"batchSize":0}})");
}

TEST(ChangeStream, AHistoryThatIsLostIsNotTriedAgain) {
  Scripted scripted;
  scripted.script.answers = {
      cursor(1, "firstBatch", "[]", "t0"),
      Status(ErrorCode::kChangeStreamHistoryLost, "the resume token is gone")};
  ASSERT_TRUE(scripted.source->open(Value()).ok());
  EXPECT_EQ(scripted.source->read(scripted.batch, 10, milliseconds(50)).code(), 286);
}

std::string refused(std::string_view spec, std::string_view start = "{}") {
  Stream stream(nullptr, spec, start);
  return std::to_string(stream.status.code()) + " " + stream.status.message();
}

TEST(ChangeStream, OptionsAreCheckedByName) {
  EXPECT_EQ(refused(R"({"connectionName": "c", "coll": "a"})"), "420 $source.coll needs db");
  EXPECT_EQ(
      refused(
          R"({"connectionName": "c", "db": "d", "coll": "a", "initialSync": {"enable": true}})"),
      "420 $source.initialSync is not supported by Millrace yet");
  EXPECT_EQ(refused(R"({"connectionName": "c", "db": "d", "readPreference": "secondary"})"),
            "420 $source.readPreference 'secondary' is not supported by Millrace yet");
  EXPECT_EQ(refused(R"({"connectionName": "c", "db": "d", "config": {"fullDocument": "always"}})"),
            "420 $source.config.fullDocument must be default, updateLookup, whenAvailable or "
            "required, not 'always'");
  EXPECT_EQ(
      refused(
          R"({"connectionName": "c", "db": "d", "config": {"startAfter": {"_data": "x"}, "startAtOperationTime": {"$date": "2026-01-01T00:00:00Z"}}})"),
      "420 $source.config.startAfter and startAtOperationTime exclude each other");
  EXPECT_EQ(refused(R"({"connectionName": "c", "db": "d"})", R"({"startAtOperationTime": 5})"),
            "72 startStreamProcessor.startAtOperationTime must be a timestamp or a date, not int");
  EXPECT_EQ(refused(R"({"connectionName": "c", "db": "d", "coll": "a"})").substr(0, 3),
            "420");  // the local database
}

}  // namespace
}  // namespace millrace::engine
