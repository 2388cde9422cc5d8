// $merge against a real mongod, which the project's own script starts; skipped where it cannot be
// had.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "engine/connection/cluster_client.h"
#include "engine/sink/sinks.h"
#include "tests/unit/engine/sink/sink_fixture.h"

namespace millrace::engine {
namespace {

int free_port() {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bool good = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
              getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  return good ? ntohs(address.sin_port) : 0;
}

// One server for all tests of this file.
class Mongod : public testing::Environment {
 public:
  void SetUp() override {
    port_ = free_port();
    directory_ = std::filesystem::temp_directory_path() /
                 ("millrace-merge-test-" + std::to_string(getpid()));
    running_ = start();
  }
  void TearDown() override {
    script("stop");
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  bool start() { return script("start --standalone --port " + std::to_string(port_)); }
  bool kill() { return script("kill"); }
  bool running() const { return running_; }
  std::string uri() const {
    return "mongodb://127.0.0.1:" + std::to_string(port_) +
           "/?serverSelectionTimeoutMS=1500&connectTimeoutMS=1500";
  }

 private:
  bool script(const std::string& arguments) const {
    std::string command = std::string(MILLRACE_SOURCE_DIR) + "/compat/servers/mongod " + arguments +
                          " --dir " + directory_.string() + " >/dev/null 2>&1";
    return std::system(command.c_str()) == 0;
  }

  int port_ = 0;
  std::filesystem::path directory_;
  bool running_ = false;
};

Mongod* const mongod = static_cast<Mongod*>(testing::AddGlobalTestEnvironment(new Mongod));

class MergeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!mongod->running()) GTEST_SKIP() << "no mongod: compat/servers/mongod could not start one";
    BsonWriter definition;
    definition.begin_document();
    definition.append("uri", mongod->uri());
    definition.end();
    auto connection = std::make_shared<Connection>();
    connection->name = "target";
    connection->definition = Document(definition.bytes());
    connection_ = connection;
    auto client = connector_.connect(*connection_);
    ASSERT_TRUE(client.ok()) << client.status().message();
    client_ = std::move(*client);
    command("d", R"({"dropDatabase": 1})");
  }

  Document command(std::string_view database, std::string_view text) {
    Document request = json(text);
    auto reply = client_->run(database, request.value());
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return reply.ok() ? *reply : Document();
  }
  void insert(std::string_view documents) {
    command("d", R"({"insert": "c", "documents": [)" + std::string(documents) + "]}");
  }
  void unique(std::string_view key) {
    command("d", R"({"createIndexes": "c", "indexes": [{"name": "u", "unique": true, "key": )" +
                     std::string(key) + "}]}");
  }
  // The documents of a collection by `_id` or another field, as relaxed JSON.
  std::vector<std::string> documents(std::string_view collection = "c",
                                     std::string_view sort = "_id", std::string_view database = "d",
                                     std::string_view projection = "{}") {
    Document reply =
        command(database, R"({"find": ")" + std::string(collection) + R"(", "sort": {")" +
                              std::string(sort) + R"(": 1}, "projection": )" +
                              std::string(projection) + "}");
    std::vector<std::string> found;
    for (const Value& document : reply.get("cursor").as_object().get("firstBatch").as_array())
      found.push_back(to_json(document));
    return found;
  }
  // Everything beside `into`.
  static std::string spec(std::string_view options = "") {
    return R"({"into": {"connectionName": "target", "db": "d", "coll": "c"})" +
           std::string(options.empty() ? "" : ", ") + std::string(options) + "}";
  }
  SinkUnderTest make(std::string_view text) {
    return SinkUnderTest(parse_merge_sink, text, connection_, &connector_);
  }
  // Writes `incoming` and gives the collection.
  std::vector<std::string> merge(std::string_view options,
                                 const std::vector<std::string>& incoming) {
    SinkUnderTest sink(parse_merge_sink, spec(options), connection_, &connector_);
    EXPECT_TRUE(sink.status.ok()) << sink.status.message();
    if (!sink.status.ok()) return {};
    Status opened = sink.sink.writer->open();
    EXPECT_TRUE(opened.ok()) << opened.message();
    for (const std::string& document : incoming) sink.encode(document);
    Status sent = sink.send();
    EXPECT_TRUE(sent.ok()) << sent.message();
    EXPECT_TRUE(sink.letters.letters.empty()) << sink.letters.letters[0].reason;
    EXPECT_TRUE(sink.encoder_letters.empty()) << sink.encoder_letters[0];
    return documents();
  }
  Status refused(std::string_view text) {
    return SinkUnderTest(parse_merge_sink, text, connection_, &connector_).status;
  }

  MongoConnector connector_{nullptr};
  ConnectionPtr connection_;
  std::unique_ptr<ClusterClient> client_;
};

using Strings = std::vector<std::string>;

TEST_F(MergeTest, MergesByDefaultAndInsertsWhatIsNew) {
  insert(R"({"_id": 1, "z": 1, "a": 1})");
  EXPECT_EQ(merge("", {R"({"_id": 1, "a": 2, "n": {"x": 1}})", R"({"_id": 2, "z": 9, "a": 8})"}),
            (Strings{R"({"_id":1,"z":1,"a":2,"n":{"x":1}})", R"({"_id":2,"z":9,"a":8})"}));
}

TEST_F(MergeTest, Replaces) {
  insert(R"({"_id": 1, "z": 1})");
  EXPECT_EQ(
      merge(R"("whenMatched": "replace")", {R"({"a": 2, "_id": 1})", R"({"_id": 2, "a.b": 3})"}),
      (Strings{R"({"_id":1,"a":2})", R"({"_id":2,"a.b":3})"}));
}

TEST_F(MergeTest, KeepsExisting) {
  insert(R"({"_id": 1, "z": 1})");
  EXPECT_EQ(
      merge(R"("whenMatched": "keepExisting")",
            {R"({"_id": 1, "a": 2})", R"({"_id": 2, "z": 3, "a": 1})", R"({"_id": 2, "z": 4})"}),
      (Strings{R"({"_id":1,"z":1})", R"({"_id":2,"z":3,"a":1})"}));
}

TEST_F(MergeTest, DiscardsWhatIsNotThere) {
  insert(R"({"_id": 1, "z": 1})");
  Strings in = {R"({"_id": 1, "a": 2})", R"({"_id": 2})"};
  EXPECT_EQ(merge(R"("whenNotMatched": "discard")", in), (Strings{R"({"_id":1,"z":1,"a":2})"}));
  EXPECT_EQ(merge(R"("whenMatched": "replace", "whenNotMatched": "discard")", in),
            (Strings{R"({"_id":1,"a":2})"}));
  EXPECT_EQ(
      merge(R"("whenMatched": [{"$set": {"b": "$$new.a"}}], "whenNotMatched": "discard")", in),
      (Strings{R"({"_id":1,"a":2,"b":2})"}));
}

TEST_F(MergeTest, Deletes) {
  insert(R"({"_id": 1}, {"_id": 2})");
  EXPECT_EQ(merge(R"("whenMatched": "delete", "whenNotMatched": "discard")",
                  {R"({"_id": 1, "a": 2})", R"({"_id": 3})"}),
            (Strings{R"({"_id":2})"}));
}

TEST_F(MergeTest, DeleteWithInsertInsertsOnlyWhatWasNotThere) {
  insert(R"({"_id": 1})");
  EXPECT_EQ(merge(R"("whenMatched": "delete")", {R"({"_id": 1, "a": 2})", R"({"_id": 3})"}),
            (Strings{R"({"_id":3})"}));
}

TEST_F(MergeTest, RunsAPipelineOnTheExistingDocumentAndInsertsTheIncomingOne) {
  insert(R"({"_id": 1, "n": 5, "z": 0})");
  EXPECT_EQ(
      merge(
          R"("let": {"by": "$n"}, "whenMatched": [{"$set": {"n": {"$add": ["$n", "$$by"]}, "last": "$$new.n"}}, {"$unset": "z"}])",
          {R"({"_id": 1, "n": 2})", R"({"_id": 2, "z": 7, "n": 3})", R"({"_id": 1, "n": 10})"}),
      (Strings{R"({"_id":1,"n":17,"last":10})", R"({"_id":2,"z":7,"n":3})"}));
}

TEST_F(MergeTest, AMissingLetValueIsNull) {
  insert(R"({"_id": 1})");
  EXPECT_EQ(
      merge(
          R"("let": {"x": "$nowhere"}, "whenMatched": [{"$set": {"x": {"$ifNull": ["$$x", "none"]}}}])",
          {R"({"_id": 1})"}),
      (Strings{R"({"_id":1,"x":"none"})"}));
}

TEST_F(MergeTest, FindsDocumentsBySeveralFields) {
  unique(R"({"k": 1, "s.t": 1})");
  insert(R"({"_id": 1, "k": 1, "s": {"t": "a"}, "v": 0})");
  EXPECT_EQ(
      merge(R"("on": ["s.t", "k"])", {R"({"k": 1, "s": {"t": "a"}, "v": 1})",
                                      R"({"_id": 7, "k": 2, "s": {"t": "a", "u": 1}, "v": 2})"}),
      (Strings{R"({"_id":1,"k":1,"s":{"t":"a"},"v":1})",
               R"({"_id":7,"k":2,"s":{"t":"a","u":1},"v":2})"}));
  EXPECT_EQ(merge(R"("on": ["k", "s.t"], "whenMatched": "keepExisting")",
                  {R"({"_id": 7, "k": 2, "s": {"t": "a"}, "v": 3})",
                   R"({"_id": 8, "k": 3, "s": {"t": "b", "u": 1}})"}),
            (Strings{R"({"_id":1,"k":1,"s":{"t":"a"},"v":1})",
                     R"({"_id":7,"k":2,"s":{"t":"a","u":1},"v":2})",
                     R"({"_id":8,"k":3,"s":{"t":"b","u":1}})"}));
}

TEST_F(MergeTest, TheTargetMakesAnIdWhereAnotherFieldIdentifies) {
  unique(R"({"k": 1})");
  SinkUnderTest sink = make(spec(R"("on": "k", "whenMatched": "replace")"));
  sink.encode(R"({"k": 1, "v": 1})");
  sink.encode(R"({"k": 1, "v": 2})");
  ASSERT_TRUE(sink.send().ok());
  EXPECT_EQ(documents("c", "k", "d", R"({"_id": 0})"), (Strings{R"({"k":1,"v":2})"}));
}

TEST_F(MergeTest, AMissingIdIsMadeAndComesFirst) {
  SinkUnderTest sink = make(spec());
  sink.encode(R"({"a": 1})");
  std::string_view first = sink.batch.document(sink.batch.items[0]);
  EXPECT_EQ(Value::bson_object(first.data()).as_object().begin()->name(), "_id");
  ASSERT_TRUE(sink.send().ok());
  ASSERT_EQ(documents().size(), 1u);
  EXPECT_TRUE(documents()[0].starts_with(R"({"_id":{"$oid":)"));
}

TEST_F(MergeTest, TheSameKeyTwiceInABatchKeepsItsOrder) {
  Strings incoming;
  for (int i = 0; i < 50; ++i)
    incoming.push_back(R"({"_id": )" + std::to_string(i % 3) + R"(, "n": )" + std::to_string(i) +
                       "}");
  EXPECT_EQ(merge(R"("whenMatched": "replace")", incoming),
            (Strings{R"({"_id":0,"n":48})", R"({"_id":1,"n":49})", R"({"_id":2,"n":47})"}));
}

TEST_F(MergeTest, NumbersOfDifferentTypesAreOneKey) {
  EXPECT_EQ(merge(R"("whenMatched": "replace")",
                  {R"({"_id": 1, "n": 1})", R"({"_id": {"$numberDouble": "1"}, "n": 2})"})
                .size(),
            1u);
}

TEST_F(MergeTest, MoreDocumentsThanACommandTakes) {
  SinkUnderTest sink = make(spec());
  for (int i = 0; i < 2500; ++i) sink.encode(R"({"_id": )" + std::to_string(i) + "}");
  ASSERT_TRUE(sink.send().ok());
  EXPECT_EQ(command("d", R"({"count": "c"})").get("n").integer_value(), 2500);
  EXPECT_EQ(sink.stats().substr(0, 73),
            R"({"targetStats":[{"db":"d","coll":"c","outputMessageCount":2500,"outputMes)");
}

TEST_F(MergeTest, MoreBytesThanACommandTakesAndADocumentThatIsTooLarge) {
  SinkUnderTest sink = make(spec(R"("whenMatched": "replace")"));
  std::string megabytes(7 << 20, 'x');
  for (int i = 0; i < 3; ++i)
    sink.encode(R"({"_id": )" + std::to_string(i) + R"(, "t": ")" + megabytes + R"("})");
  std::string largest((16 << 20) - 40, 'x');
  sink.encode(R"({"_id": 3, "t": ")" + largest + R"("})");
  sink.encode(R"({"_id": 4, "t": ")" + largest +
              R"(", "more": "0123456789012345678901234567890123456789"})");
  Status sent = sink.send();
  ASSERT_TRUE(sent.ok()) << sent.message();
  EXPECT_EQ(command("d", R"({"count": "c"})").get("n").integer_value(), 4);
  ASSERT_EQ(sink.letters.letters.size(), 1u);
  EXPECT_TRUE(sink.letters.letters[0].document.starts_with(R"({"_id":4)"));
  EXPECT_NE(sink.letters.letters[0].reason.find("at most 16777216"), std::string::npos);
}

TEST_F(MergeTest, DynamicTargetsAndActions) {
  SinkUnderTest sink = make(
      R"({"into": {"connectionName": "target", "db": "$db", "coll": {"$concat": ["c_", {"$meta": "stream.source.ns.coll"}]}},
      "whenMatched": {"$cond": [{"$eq": ["$op", "delete"]}, "delete", "$how"]},
      "whenNotMatched": {"$cond": [{"$eq": ["$op", "delete"]}, "discard", "insert"]}})");
  ASSERT_TRUE(sink.status.ok()) << sink.status.message();
  ASSERT_TRUE(sink.sink.writer->open().ok());
  std::string_view meta = R"({"source": {"ns": {"coll": "x"}}})";
  sink.encode(R"({"_id": 1, "db": "d", "how": "replace"})", meta);
  sink.encode(R"({"_id": 2, "db": "d", "how": "replace"})", meta);
  sink.encode(R"({"_id": 1, "db": "d", "op": "delete"})", meta);
  sink.encode(R"({"_id": 3, "db": "d", "op": "delete"})", meta);
  sink.encode(R"({"_id": 4, "db": "d2", "how": "merge"})", meta);
  sink.encode(R"({"_id": 5, "db": 7, "how": "merge"})", meta);
  sink.encode(R"({"_id": 6, "db": "d", "how": "fail"})", meta);
  sink.encode(R"({"_id": 7, "db": "bad.name", "how": "merge"})", meta);
  ASSERT_TRUE(sink.send().ok());
  EXPECT_EQ(documents("c_x"), (Strings{R"({"_id":2,"db":"d","how":"replace"})"}));
  EXPECT_EQ(documents("c_x", "_id", "d2"), (Strings{R"({"_id":4,"db":"d2","how":"merge"})"}));
  ASSERT_EQ(sink.encoder_letters.size(), 2u);
  EXPECT_EQ(sink.encoder_letters[0],
            "$merge.into.db must give a string that is not empty, not int");
  EXPECT_EQ(sink.encoder_letters[1],
            "$merge.whenMatched must give replace, keepExisting, merge or delete, not 'fail'");
  ASSERT_EQ(sink.letters.letters.size(), 1u);
  EXPECT_EQ(sink.letters.letters[0].document, R"({"_id":7,"db":"bad.name","how":"merge"})");
  command("d2", R"({"dropDatabase": 1})");
}

TEST_F(MergeTest, OneTargetTooMany) {
  SinkUnderTest sink = make(
      R"({"into": {"connectionName": "target", "db": "d", "coll": "$c"}, "whenNotMatched": "discard"})");
  for (int i = 0; i <= 1000; ++i)
    sink.encode(R"({"_id": 1, "c": "c)" + std::to_string(i) + R"("})");
  Status status = sink.send();
  EXPECT_EQ(status.code(), 420);
  EXPECT_EQ(status.message(),
            "$merge has reached 1000 different targets and may not write to another (d.c1000)");
}

TEST_F(MergeTest, WhatADocumentIsToBlameForGoesToTheDeadLetters) {
  unique(R"({"email": 1})");
  insert(R"({"_id": 1, "email": "a", "n": "text"})");
  SinkUnderTest sink = make(spec(R"("whenMatched": [{"$set": {"n": {"$add": ["$n", 1]}}}])"));
  sink.encode(R"({"_id": 2, "email": "a"})");
  sink.encode(R"({"_id": 1, "email": "b"})");
  sink.encode(R"({"_id": 3, "email": "c"})");
  ASSERT_TRUE(sink.send().ok());
  EXPECT_EQ(documents("c", "_id", "d", R"({"email": 1})"),
            (Strings{R"({"_id":1,"email":"a"})", R"({"_id":3,"email":"c"})"}));
  ASSERT_EQ(sink.letters.letters.size(), 2u);
  EXPECT_EQ(sink.letters.operator_names[0], "MergeOperator");
  EXPECT_EQ(sink.letters.letters[0].document, R"({"_id":1,"email":"b"})");
  EXPECT_NE(sink.letters.letters[0].reason.find("$add only supports numeric"), std::string::npos)
      << sink.letters.letters[0].reason;
  EXPECT_EQ(sink.letters.letters[1].document, R"({"_id":2,"email":"a"})");
  EXPECT_NE(sink.letters.letters[1].reason.find("E11000 duplicate key error"), std::string::npos);
  EXPECT_EQ(sink.stats().substr(0, 71),
            R"({"targetStats":[{"db":"d","coll":"c","outputMessageCount":1,"outputMess)");
}

TEST_F(MergeTest, ValidationAndTheImmutableId) {
  command("d", R"({"create": "c", "validator": {"v": {"$type": "int"}}})");
  unique(R"({"k": 1})");
  insert(R"({"_id": 1, "k": 1, "v": 1})");
  SinkUnderTest sink = make(spec(R"("on": "k")"));
  sink.encode(R"({"k": 2, "v": "text"})");
  sink.encode(R"({"_id": 9, "k": 1, "v": 2})");
  sink.encode(R"({"k": 1, "v": 3})");
  ASSERT_TRUE(sink.send().ok());
  EXPECT_EQ(documents(), (Strings{R"({"_id":1,"k":1,"v":3})"}));
  ASSERT_EQ(sink.letters.letters.size(), 2u);
  EXPECT_EQ(sink.letters.letters[0].document, R"({"k":2,"v":"text"})");
  EXPECT_EQ(sink.letters.letters[0].reason, "Document failed validation");
  EXPECT_EQ(sink.letters.letters[1].document, R"({"_id":9,"k":1,"v":2})");
  EXPECT_NE(sink.letters.letters[1].reason.find("(immutable) field '_id'"), std::string::npos)
      << sink.letters.letters[1].reason;
}

TEST_F(MergeTest, OnFieldsThatIdentifyNothing) {
  SinkUnderTest sink = make(spec(R"("on": ["k.l"])"));
  for (auto text :
       {R"({"_id": 1})", R"({"k": {"l": null}})", R"({"k": {"l": [1]}})", R"({"k": [{"l": 1}]})"})
    sink.encode(text);
  ASSERT_EQ(sink.encoder_letters.size(), 4u);
  EXPECT_EQ(sink.encoder_letters[0],
            "$merge write error: 'on' field 'k.l' cannot be missing, null, undefined or an array");
  EXPECT_EQ(sink.encoder_letters[2], "$merge write error: 'on' field 'k.l' is an array");
  EXPECT_TRUE(sink.batch.items.empty());
  SinkUnderTest by_id = make(spec());
  by_id.encode(R"({"_id": [1]})");
  EXPECT_EQ(by_id.encoder_letters.size(), 1u);
}

TEST_F(MergeTest, TheGroupOfEverythingHasNullForItsId) {
  for (auto on : {"", R"("on": "_id")"}) {
    EXPECT_EQ(merge(on, {R"({"_id": null, "n": 1})", R"({"_id": null, "m": 2})"}),
              (Strings{R"({"_id":null,"n":1,"m":2})"}));
  }
}

TEST_F(MergeTest, ValuesThatLookLikeConditionsAreCompared) {
  EXPECT_EQ(merge(R"("whenMatched": "replace")",
                  {R"({"_id": {"a": 1}, "n": 1})", R"({"_id": {"a": 1}, "n": 2})"}),
            (Strings{R"({"_id":{"a":1},"n":2})"}));
}

TEST_F(MergeTest, OnNeedsAUniqueIndex) {
  SinkUnderTest sink = make(spec(R"("on": "k")"));
  Status status = sink.sink.writer->open();
  EXPECT_EQ(status.code(), 420);
  EXPECT_TRUE(
      status.message().starts_with("Cannot find index to verify that join fields will be unique"))
      << status.message();
  command(
      "d",
      R"({"createIndexes": "c", "indexes": [{"name": "k", "key": {"k": 1}}, {"name": "p", "unique": true, "key": {"k": 1, "l": 1}},
      {"name": "q", "unique": true, "key": {"k": -1}, "partialFilterExpression": {"k": {"$gt": 1}}}]})");
  EXPECT_EQ(sink.sink.writer->open().code(), 420);
  unique(R"({"k": 1})");
  EXPECT_TRUE(sink.sink.writer->open().ok());
}

TEST_F(MergeTest, OptionsThatAreRefused) {
  struct Case {
    std::string options;
    std::string text;
  };
  for (const Case& c : {
           Case{R"("when": 1)", "$merge has an unknown field 'when'"},
           Case{R"("on": [])", "$merge.on must not be empty"},
           Case{R"("on": [1])", "$merge.on must be a string or an array of strings"},
           Case{R"("on": ["a", "a"])", "$merge.on names the field 'a' twice"},
           Case{R"("whenMatched": "fail")",
                "$merge.whenMatched must be replace, keepExisting, merge, delete or a pipeline: "
                "'fail' is not available in a stream processor"},
           Case{R"("whenMatched": "x")",
                "$merge.whenMatched must be replace, keepExisting, merge, delete or a pipeline, "
                "not 'x'"},
           Case{R"("whenMatched": 1)",
                "$merge.whenMatched must be a string or an expression, not int"},
           Case{R"("whenNotMatched": "fail")",
                "$merge.whenNotMatched must be insert or discard: 'fail' is not available in a "
                "stream processor"},
           Case{R"("whenMatched": "keepExisting", "whenNotMatched": "discard")",
                "$merge with whenMatched 'keepExisting' and whenNotMatched 'discard' would never "
                "write anything"},
           Case{R"("let": {"a": 1})", "$merge.let is only allowed beside a whenMatched pipeline"},
           Case{R"("let": {"new": 1}, "whenMatched": [])",
                "$merge.let must not give another value to the reserved variable 'new'"},
           Case{R"("whenMatched": [{"$match": {}}])",
                "$match is not allowed inside an update pipeline"},
           Case{R"("parallelism": 2)",
                "$merge.parallelism above 1 is not supported by Millrace yet"},
       }) {
    Status status = refused(spec(c.options));
    EXPECT_EQ(status.code(), 420) << c.options;
    EXPECT_EQ(status.message(), c.text) << c.options;
  }
  EXPECT_NE(refused(spec(R"("whenMatched": [{"$set": {"a": "$$unknown"}}])")).code(), 0);
  EXPECT_EQ(refused(R"({"into": "c"})").message(), "$merge.into must be an object, not string");
  EXPECT_EQ(refused(R"({"into": {"connectionName": "target", "db": "d"}})").message(),
            "$merge.into.coll is required");
  EXPECT_EQ(refused(R"({"into": {"connectionName": "target", "db": "d", "coll": {"$literal": 1}}})")
                .message(),
            "$merge.into.coll must give a string, not int");
}

// Last: the server goes away and comes back.
TEST_F(MergeTest, ZAServerThatWasKilledTakesTheSameBatchAfterItsReturn) {
  SinkUnderTest sink = make(spec());
  ASSERT_TRUE(sink.sink.writer->open().ok());
  sink.encode(R"({"_id": 1, "a": 1})");
  ASSERT_TRUE(sink.send().ok());
  ASSERT_TRUE(mongod->kill());
  sink.encode(R"({"_id": 1, "a": 2})");
  sink.encode(R"({"_id": 2, "a": 3})");
  Status status = sink.send();
  EXPECT_TRUE(status.code() == 6 || status.code() == 89)
      << status.code() << " " << status.message();
  EXPECT_TRUE(status.message().starts_with("$merge into d.c of connection 'target' failed: "))
      << status.message();
  Status opened = make(spec()).sink.writer->open();
  EXPECT_TRUE(opened.code() == 6 || opened.code() == 89) << opened.message();
  ASSERT_TRUE(mongod->start());
  for (int attempt = 0; attempt < 20 && !status.ok(); ++attempt) status = sink.send();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(documents(), (Strings{R"({"_id":1,"a":2})", R"({"_id":2,"a":3})"}));
  EXPECT_TRUE(sink.letters.letters.empty());
}

}  // namespace
}  // namespace millrace::engine
