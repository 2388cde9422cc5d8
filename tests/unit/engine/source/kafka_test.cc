// The Kafka source against librdkafka's mock cluster, in this process.
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <map>
#include <set>

#include "engine/document/extended_json.h"
#include "engine/source/kafka_options.h"
#include "engine/source/sources.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

// Brokers and a producer.
class Cluster {
 public:
  explicit Cluster(int brokers = 1) {
    char text[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "linger.ms", "0", text, sizeof text);
    rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    mock_ = rd_kafka_mock_cluster_new(producer_, brokers);
    rd_kafka_brokers_add(producer_, rd_kafka_mock_cluster_bootstraps(mock_));
  }
  ~Cluster() {
    rd_kafka_mock_cluster_destroy(mock_);
    rd_kafka_destroy(producer_);
  }
  rd_kafka_mock_cluster_t* mock() { return mock_; }
  std::string bootstrap() const { return rd_kafka_mock_cluster_bootstraps(mock_); }
  void create(const char* topic, int partitions) {
    rd_kafka_mock_topic_create(mock_, topic, partitions, 1);
  }

  void produce(const char* topic, int32_t partition, std::string_view value,
               std::string_view key = {}, bool null_value = false) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "h", -1, "v", 1);
    rd_kafka_header_add(headers, "empty", -1, nullptr, 0);
    auto error = rd_kafka_producev(
        producer_, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(const_cast<char*>(null_value ? nullptr : value.data()),
                         null_value ? 0 : value.size()),
        RD_KAFKA_V_KEY(key.empty() ? nullptr : key.data(), key.size()),
        RD_KAFKA_V_TIMESTAMP(1'700'000'000'123), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    ASSERT_EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void flush() { ASSERT_EQ(rd_kafka_flush(producer_, 10'000), RD_KAFKA_RESP_ERR_NO_ERROR); }

 private:
  rd_kafka_t* producer_;
  rd_kafka_mock_cluster_t* mock_;
};

struct Reader {
  SystemClock clock;
  Document spec;
  SourcePtr source;
  std::multiset<std::string> payloads;
  Document position;
  Status status;

  Reader(const std::string& bootstrap, std::string_view text, std::string processor_id = "p1") {
    auto connection = std::make_shared<Connection>();
    connection->name = "k";
    BsonWriter definition;
    definition.begin_document();
    definition.append("bootstrapServers", bootstrap);
    definition.end();
    connection->definition = Document(definition.bytes());
    auto parsed = parse_extended_json(text);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    spec = *parsed;
    auto made = parse_kafka_source(
        SourceContext{spec.value(), connection, nullptr, &clock, std::move(processor_id), Value()});
    status = made.status();
    if (made.ok()) source = std::move(*made);
  }

  // Reads until `count` records came in all, or `limit` has passed.
  void read(size_t count, std::chrono::seconds limit = std::chrono::seconds(10)) {
    auto until = std::chrono::steady_clock::now() + limit;
    while (payloads.size() < count && std::chrono::steady_clock::now() < until) {
      SourceBatch batch;
      status = source->read(batch, 100, milliseconds(50));
      ASSERT_TRUE(status.ok()) << status.message();
      for (const SourceRecord& record : batch.records)
        payloads.insert(std::string(batch.payload(record)));
      position = batch.position;
    }
    EXPECT_EQ(payloads.size(), count);
  }
};

TEST(KafkaSource, ReadsAllPartitionsOfAllTopicsFromTheBeginning) {
  Cluster cluster;
  cluster.create("a", 3);
  cluster.create("b", 1);
  for (int i = 0; i < 30; ++i) cluster.produce("a", i % 3, "{\"a\":" + std::to_string(i) + "}");
  for (int i = 0; i < 10; ++i) cluster.produce("b", 0, "{\"b\":" + std::to_string(i) + "}");
  cluster.flush();
  Reader reader(
      cluster.bootstrap(),
      R"({"connectionName": "k", "topic": ["a", "b"], "config": {"auto_offset_reset": "smallest"}})");
  ASSERT_TRUE(reader.source->open(Value()).ok());
  EXPECT_EQ(reader.source->partitions().size(), 4u);
  reader.read(40);
  EXPECT_EQ(
      to_json(reader.position.value()),
      R"({"partitions":[{"topic":"a","partition":0,"offset":10},{"topic":"a","partition":1,"offset":10},)"
      R"({"topic":"a","partition":2,"offset":10},{"topic":"b","partition":0,"offset":10}]})");

  // What a checkpoint saves is where another run goes on.
  Document saved = reader.position;
  reader.source->close();
  cluster.produce("a", 1, R"({"later":1})");
  cluster.flush();
  Reader next(
      cluster.bootstrap(),
      R"({"connectionName": "k", "topic": ["a", "b"], "config": {"auto_offset_reset": "earliest"}})");
  ASSERT_TRUE(next.source->open(saved.value()).ok());
  next.read(1);
  EXPECT_EQ(*next.payloads.begin(), R"({"later":1})");
}

TEST(KafkaSource, FromTheEndMeansFromTheMomentOfTheStart) {
  Cluster cluster;
  cluster.create("t", 2);
  cluster.produce("t", 0, R"({"old":1})");
  cluster.flush();
  Reader reader(cluster.bootstrap(), R"({"connectionName": "k", "topic": "t"})");
  ASSERT_TRUE(reader.source->open(Value()).ok());
  cluster.produce("t", 0, R"({"new":1})");  // before the first fetch
  cluster.flush();
  reader.read(1);
  EXPECT_EQ(*reader.payloads.begin(), R"({"new":1})");
}

TEST(KafkaSource, DescribesEachRecord) {
  Cluster cluster;
  cluster.create("t", 2);
  cluster.produce("t", 1, R"({"a":1})", "key");
  cluster.flush();
  Reader reader(
      cluster.bootstrap(),
      R"({"connectionName": "k", "topic": "t", "config": {"auto_offset_reset": "earliest", "keyFormat": "string"}})");
  ASSERT_TRUE(reader.source->open(Value()).ok());
  SourceBatch batch;
  for (int i = 0; i < 100 && batch.empty(); ++i)
    ASSERT_TRUE(reader.source->read(batch, 10, milliseconds(100)).ok());
  ASSERT_EQ(batch.records.size(), 1u);
  Arena arena;
  ObjectBuilder source(arena);
  reader.source->describe(batch.records[0], Value(), arena, source);
  EXPECT_EQ(
      to_json(source.finish(), JsonFormat::kCanonical),
      R"({"topic":"t","partition":{"$numberInt":"1"},"offset":{"$numberLong":"0"},"key":"key",)"
      R"("headers":[{"k":"h","v":{"$binary":{"base64":"dg==","subType":"00"}}},{"k":"empty","v":null}]})");
  EXPECT_EQ(batch.records[0].timestamp_ms, 1'700'000'000'123);
}

TEST(KafkaSource, NullValuesFramesAndKeysThatDoNotFit) {
  Cluster cluster;
  cluster.create("t", 1);
  cluster.produce("t", 0, "", "1234", true);
  cluster.produce("t", 0, std::string_view("\0\0\0\0\7{\"framed\":1}", 17), "1234");
  cluster.produce("t", 0, R"({"a":1})", "too long");
  cluster.flush();
  Reader reader(
      cluster.bootstrap(),
      R"({"connectionName": "k", "topic": "t", "config": {"auto_offset_reset": "earliest", "keyFormat": "int"}})");
  ASSERT_TRUE(reader.source->open(Value()).ok());
  SourceBatch batch;
  for (int i = 0; i < 100 && batch.records.size() < 3; ++i)
    ASSERT_TRUE(reader.source->read(batch, 10, milliseconds(100)).ok());
  ASSERT_EQ(batch.records.size(), 3u);
  EXPECT_EQ(batch.payload(batch.records[0]), "{}");
  EXPECT_EQ(batch.payload(batch.records[1]), "{\"framed\":1}");
  EXPECT_EQ(batch.records[1].fault, nullptr);
  EXPECT_STREQ(batch.records[2].fault, "the Kafka key does not fit config.keyFormat");
}

TEST(KafkaSource, KeysInEachFormat) {
  Arena arena;
  using enum KafkaKeyFormat;
  EXPECT_EQ(decode_kafka_key("ab", kBinData, arena).as_string(), "ab");
  EXPECT_EQ(decode_kafka_key(std::string_view("\0\0\1\0", 4), kInt, arena).as_int32(), 256);
  EXPECT_EQ(decode_kafka_key("\xff\xff\xff\xff\xff\xff\xff\xfe", kLong, arena).as_int64(), -2);
  EXPECT_EQ(
      decode_kafka_key(std::string_view("\x3f\xf8\0\0\0\0\0\0", 8), kDouble, arena).as_double(),
      1.5);
  EXPECT_EQ(to_json(decode_kafka_key(R"({"a": 1})", kJson, arena)), R"({"a":1})");
  EXPECT_TRUE(decode_kafka_key("[1]", kJson, arena).is_missing());
  EXPECT_TRUE(decode_kafka_key("\xff", kString, arena).is_missing());
  EXPECT_TRUE(decode_kafka_key("123", kInt, arena).is_missing());
}

TEST(KafkaSource, AMissingTopicIsTheUsersMistake) {
  Cluster cluster;
  // The mock cluster would make the topic; a real broker does not, because consumers do not ask for
  // it.
  rd_kafka_mock_topic_set_error(cluster.mock(), "nothere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  Reader reader(cluster.bootstrap(), R"({"connectionName": "k", "topic": "nothere"})");
  Status status = reader.source->open(Value());
  EXPECT_EQ(status.code(), 419) << status.message();
  EXPECT_NE(status.message().find("no partitions found"), std::string::npos) << status.message();
}

TEST(KafkaSource, ABrokerThatIsNotThereFailsTheStart) {
  Reader reader("127.0.0.1:1", R"({"connectionName": "k", "topic": "t"})");
  Status status = reader.source->open(Value());
  EXPECT_EQ(status.code(), 77175);
  EXPECT_EQ(status.message(),
            "Could not connect to the Kafka topic with kafka error code: -195, message: Local: "
            "Broker transport failure.");
}

TEST(KafkaSource, ABrokerThatGoesAwayForAWhileLosesNothing) {
  Cluster cluster;
  cluster.create("t", 1);
  cluster.produce("t", 0, R"({"n":1})");
  cluster.flush();
  Reader reader(
      cluster.bootstrap(),
      R"({"connectionName": "k", "topic": "t", "config": {"auto_offset_reset": "earliest"}})");
  ASSERT_TRUE(reader.source->open(Value()).ok());
  reader.read(1);
  rd_kafka_mock_broker_set_down(cluster.mock(), -1);
  for (int i = 0; i < 10; ++i) {
    SourceBatch batch;
    ASSERT_TRUE(reader.source->read(batch, 10, milliseconds(100)).ok());
    EXPECT_TRUE(batch.empty());
  }
  rd_kafka_mock_broker_set_up(cluster.mock(), -1);
  cluster.produce("t", 0, R"({"n":2})");
  cluster.flush();
  reader.read(2);
}

TEST(KafkaSource, CommitsOffsetsWithTheCheckpointAndStartsFromThem) {
  Cluster cluster;
  cluster.create("t", 1);
  for (int i = 0; i < 5; ++i) cluster.produce("t", 0, R"({"n":1})");
  cluster.flush();
  constexpr std::string_view kSpec =
      R"({"connectionName": "k", "topic": "t", "config": {"group_id": "g", "auto_offset_reset": "earliest"}})";
  {
    Reader reader(cluster.bootstrap(), kSpec);
    ASSERT_TRUE(reader.source->open(Value()).ok());
    reader.read(5);
    reader.source->close();  // without a checkpoint nothing is committed
  }
  Reader reader(cluster.bootstrap(), kSpec);
  ASSERT_TRUE(reader.source->open(Value()).ok());
  reader.read(5);
  auto saved = parse_extended_json(
      R"({"partitions": [{"topic": "t", "partition": 0, "offset": {"$numberLong": "3"}}]})");
  reader.source->on_committed(saved->value());
  BsonWriter stats;
  stats.begin_document();
  reader.source->add_stats(reader.position.value(), saved->value(), stats);
  stats.end();
  EXPECT_EQ(
      to_json(Value::bson_object(stats.bytes().data())),
      R"({"kafkaPartitions":[{"partition":0,"currentOffset":5,"checkpointOffset":3,"partitionOffsetLag":0,"isIdle":false}],)"
      R"("kafkaTotalOffsetLag":0})");
  reader.source->close();
  Reader fresh(cluster.bootstrap(), kSpec);
  ASSERT_TRUE(fresh.source->open(Value()).ok());
  fresh.read(2);
}

// Needs a real broker: MILLRACE_TEST_KAFKA=host:port (compat/servers/kafka start). The mock cluster
// cannot add partitions.
TEST(KafkaSource, ReadsAPartitionThatIsAddedWhileItRuns) {
  const char* bootstrap = std::getenv("MILLRACE_TEST_KAFKA");
  if (bootstrap == nullptr) GTEST_SKIP() << "no real Kafka broker (MILLRACE_TEST_KAFKA is not set)";
  char text[256];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof text);
  rd_kafka_t* rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(rk);
  std::string topic = "grows" + ObjectId::generate().to_hex();
  Reader missing(bootstrap, R"({"connectionName": "k", "topic": ")" + topic + R"("})");
  EXPECT_EQ(missing.source->open(Value()).code(), 419);
  auto wait = [&] { rd_kafka_event_destroy(rd_kafka_queue_poll(queue, 10'000)); };
  rd_kafka_NewTopic_t* create = rd_kafka_NewTopic_new(topic.c_str(), 1, 1, text, sizeof text);
  rd_kafka_CreateTopics(rk, &create, 1, nullptr, queue);
  wait();
  rd_kafka_NewTopic_destroy(create);
  Reader reader(bootstrap, R"({"connectionName": "k", "topic": ")" + topic +
                               R"(", "config": {"auto_offset_reset": "earliest"}})");
  Status opened = reader.source->open(Value());
  ASSERT_TRUE(opened.ok()) << opened.message();
  rd_kafka_NewPartitions_t* grow = rd_kafka_NewPartitions_new(topic.c_str(), 2, text, sizeof text);
  rd_kafka_CreatePartitions(rk, &grow, 1, nullptr, queue);
  wait();
  rd_kafka_NewPartitions_destroy(grow);
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
  for (int i = 0; i < 100 && error != RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    error = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(1),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_VALUE(const_cast<char*>("{}"), 2), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = rd_kafka_flush(rk, 10'000);
    rd_kafka_poll(rk, 100);
  }
  reader.read(1, std::chrono::seconds(30));  // it is noticed within ten seconds
  EXPECT_EQ(reader.source->partitions().size(), 2u);
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(rk);
}

std::string refused(std::string_view spec, std::string processor = "p1") {
  Reader reader("h:1", spec, std::move(processor));
  return std::to_string(reader.status.code()) + " " + reader.status.message();
}

TEST(KafkaSource, OptionsAreCheckedByName) {
  EXPECT_EQ(refused(R"({"connectionName": "k"})"), "420 $source.topic is required");
  EXPECT_EQ(refused(R"({"connectionName": "k", "topic": ["a", "a"]})"),
            "420 $source.topic names 'a' twice");
  EXPECT_EQ(refused(R"({"connectionName": "k", "topic": "t", "partitions": {"min": 1}})"),
            "420 $source.partitions is not supported by Millrace yet");
  EXPECT_EQ(refused(R"({"connectionName": "k", "topic": "t", "schemaRegistry": {}})"),
            "420 $source.schemaRegistry is not supported by Millrace yet");
  EXPECT_EQ(refused(R"({"connectionName": "k", "topic": "t", "db": "x"})"),
            "420 $source has an unknown field 'db'");
  EXPECT_EQ(
      refused(R"({"connectionName": "k", "topic": "t", "config": {"auto_offset_reset": "first"}})"),
      "420 $source.config.auto_offset_reset must be earliest, beginning, smallest, latest, end or "
      "largest, not 'first'");
  EXPECT_EQ(refused(R"({"connectionName": "k", "topic": "t", "config": {"keyFormat": "avro"}})"),
            "420 $source.config.keyFormat must be binData, string, json, int, long or double, not "
            "'avro'");
  EXPECT_EQ(
      refused(R"({"connectionName": "k", "topic": "t", "config": {"enable_auto_commit": true}})",
              ""),
      "420 $source.config.enable_auto_commit needs group_id here");
  EXPECT_EQ(
      refused(
          R"({"connectionName": "k", "topic": "t", "partitionIdleTimeout": {"size": 0, "unit": "seconds"}})")
          .substr(0, 67),
      "420 $source.partitionIdleTimeout.size must be between 1 and 9223372");
  EXPECT_EQ(
      refused(
          R"({"connectionName": "k", "topic": "t", "partitionIdleTimeout": {"size": 5, "unit": "seconds"}})"),
      "0 ");
}

}  // namespace
}  // namespace millrace::engine
