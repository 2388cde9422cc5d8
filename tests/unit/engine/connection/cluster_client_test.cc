#include "engine/connection/cluster_client.h"

#include <chrono>

#include "tests/unit/engine/connection/real_mongod.h"

namespace millrace::engine {
namespace {

ConnectionPtr cluster(std::string_view uri) {
  auto connection = std::make_shared<Connection>();
  connection->name = "c";
  BsonWriter definition;
  definition.begin_document();
  if (!uri.empty()) definition.append("uri", uri);
  definition.end();
  connection->definition = Document(definition.bytes());
  return connection;
}

Document json(std::string_view text) { return *parse_extended_json(text); }

TEST(ClusterClient, CommandsAndTheirErrors) {
  MR_NEEDS_MONGOD(mongod);
  EXPECT_NE(mongod->run("admin", R"({"ping": 1})").find("\"ok\":1"), std::string::npos);
  EXPECT_EQ(mongod->run("admin", R"({"noSuchCommand": 1})").substr(0, 3), "59 ");
}

TEST(ClusterClient, ErrorsOfSingleWritesAreInTheReply) {
  MR_NEEDS_MONGOD(mongod);
  mongod->run("cluster_client", R"({"drop": "t"})");
  std::string reply = mongod->run(
      "cluster_client",
      R"({"insert": "t", "documents": [{"_id": 1}, {"_id": 1}, {"_id": 2}], "ordered": false})");
  EXPECT_NE(reply.find("\"n\":2"), std::string::npos) << reply;
  EXPECT_NE(reply.find("\"code\":11000"), std::string::npos) << reply;
}

TEST(ClusterClient, OneClientKeepsItsSession) {
  MR_NEEDS_MONGOD(mongod);
  mongod->run("cluster_client",
              R"({"insert": "many", "documents": [{"a": 1}, {"a": 2}, {"a": 3}]})");
  auto client = mongod->connector().connect(*mongod->connection());
  ASSERT_TRUE(client.ok());
  auto first =
      (*client)->run("cluster_client", json(R"({"find": "many", "batchSize": 1})").value());
  ASSERT_TRUE(first.ok()) << first.status().message();
  BsonWriter more;
  more.begin_document();
  more.append("getMore", first->get("cursor").as_object().get("id"));
  more.append("collection", "many");
  more.end();
  auto second = (*client)->run("cluster_client", Value::bson_object(more.bytes().data()));
  EXPECT_TRUE(second.ok()) << second.status().message();
}

TEST(ClusterClient, AServerThatIsNotThereIsNoticedSoon) {
  MongoConnector connector(nullptr);
  auto client = connector.connect(*cluster("mongodb://user:topsecret@127.0.0.1:1/"));
  ASSERT_TRUE(client.ok());
  auto started = std::chrono::steady_clock::now();
  auto reply = (*client)->run("admin", json(R"({"ping": 1})").value());
  EXPECT_TRUE(reply.status().is(ErrorCode::kHostUnreachable))
      << reply.status().code() << " " << reply.status().message();
  EXPECT_EQ(reply.status().message().find("topsecret"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(10));
}

TEST(ClusterClient, AWrongUriIsNamedWithoutItsSecret) {
  MongoConnector connector(nullptr);
  auto client = connector.connect(*cluster("mongodb://user:topsecret@host:notaport/"));
  EXPECT_EQ(client.status().message(),
            "connection c: uri is not a valid MongoDB connection string");
}

class LocalDatabase final : public ClusterConnector {
 public:
  Result<std::unique_ptr<ClusterClient>> connect(const Connection&) override {
    return Status(ErrorCode::kIllegalOperation, "local");
  }
};

TEST(MongoConnector, WithoutAUriTheLocalDatabaseIsMeant) {
  LocalDatabase local;
  MongoConnector connector(&local);
  EXPECT_EQ(connector.connect(*cluster("")).status().message(), "local");
  EXPECT_TRUE(connector.connect(*cluster("mongodb://127.0.0.1:1/")).ok());
}

}  // namespace
}  // namespace millrace::engine
