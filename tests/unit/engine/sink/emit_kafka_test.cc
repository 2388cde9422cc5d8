// $emit to Kafka against librdkafka's mock cluster, in this process.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "engine/sink/sinks.h"
#include "tests/unit/engine/sink/sink_fixture.h"

namespace millrace::engine {
namespace {

struct Received {
  std::string topic;
  int32_t partition = 0;
  std::optional<std::string> value;
  std::optional<std::string> key;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

// Brokers, and a consumer of everything on them.
class Cluster {
 public:
  Cluster() {
    char text[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr);
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    mock_ = rd_kafka_mock_cluster_new(handle_, 1);
  }
  ~Cluster() {
    rd_kafka_mock_cluster_destroy(mock_);
    rd_kafka_destroy(handle_);
  }
  rd_kafka_mock_cluster_t* mock() { return mock_; }
  std::string bootstrap() const { return rd_kafka_mock_cluster_bootstraps(mock_); }
  void create(const char* topic, int partitions = 1) {
    rd_kafka_mock_topic_create(mock_, topic, partitions, 1);
  }

  // All messages of a topic of one partition, in order.
  std::vector<Received> read(const char* topic, size_t count) {
    char text[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap().c_str(), text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "test", text, sizeof text);
    rd_kafka_conf_set_log_cb(conf, nullptr);
    rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    std::vector<Received> all;
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    auto quiet = deadline;  // a little longer, to see messages that should not be there
    while (std::chrono::steady_clock::now() < std::min(deadline, quiet)) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 50);
      if (message != nullptr) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) all.push_back(received(message));
        rd_kafka_message_destroy(message);
      }
      if (all.size() >= count && quiet == deadline)
        quiet = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return all;
  }

 private:
  static Received received(rd_kafka_message_t* message) {
    Received r;
    r.topic = rd_kafka_topic_name(message->rkt);
    r.partition = message->partition;
    if (message->payload != nullptr)
      r.value = std::string(static_cast<char*>(message->payload), message->len);
    if (message->key != nullptr)
      r.key = std::string(static_cast<char*>(message->key), message->key_len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name;
      const void* value;
      size_t size;
      for (size_t i = 0;
           rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
           ++i) {
        r.headers.emplace_back(
            name, value == nullptr
                      ? std::nullopt
                      : std::optional(std::string(static_cast<const char*>(value), size)));
      }
    }
    return r;
  }

  rd_kafka_t* handle_;
  rd_kafka_mock_cluster_t* mock_;
};

ConnectionPtr connection(const std::string& bootstrap, std::string_view config = "{}") {
  BsonWriter definition;
  definition.begin_document();
  definition.append("bootstrapServers", bootstrap);
  Document given = json(config);
  definition.append("config", given.value());
  definition.end();
  auto made = std::make_shared<Connection>();
  made->name = "k";
  made->definition = Document(definition.bytes());
  return made;
}

std::string spec(std::string_view config, std::string_view topic = R"("t")") {
  return R"({"connectionName": "k", "topic": )" + std::string(topic) + R"(, "config": )" +
         std::string(config) + "}";
}

using Strings = std::vector<std::string>;

// The values that `documents` become on their way through a topic.
Strings values(std::string_view config, const Strings& documents) {
  Cluster cluster;
  cluster.create("t");
  SinkUnderTest sink(parse_kafka_emit_sink, spec(config), connection(cluster.bootstrap()), nullptr);
  EXPECT_TRUE(sink.status.ok()) << sink.status.message();
  if (!sink.status.ok()) return {};
  EXPECT_TRUE(sink.sink.writer->open().ok());
  for (const std::string& document : documents) sink.encode(document);
  EXPECT_TRUE(sink.send().ok());
  EXPECT_TRUE(sink.flush().ok());
  Strings found;
  for (const Received& message : cluster.read("t", documents.size()))
    found.push_back(message.value.value_or("(null)"));
  return found;
}

const char* const kDocument =
    R"({"_id": {"$oid": "0123456789abcdef01234567"}, "n": 1, "l": {"$numberLong": "2"}, "d": {"$date": "2024-10-24T18:07:29.636Z"}})";

TEST(EmitKafka, RelaxedJsonByDefault) {
  EXPECT_EQ(
      values("{}", {kDocument, R"({"n":2})"}),
      (Strings{
          R"({"_id":{"$oid":"0123456789abcdef01234567"},"n":1,"l":2,"d":{"$date":"2024-10-24T18:07:29.636Z"}})",
          R"({"n":2})"}));
}

TEST(EmitKafka, OutputAndDateFormats) {
  EXPECT_EQ(values(R"({"outputFormat": "canonicalJson"})", {R"({"n": 1})"}),
            (Strings{R"({"n":{"$numberInt":"1"}})"}));
  EXPECT_EQ(values(R"({"outputFormat": "basicJson"})", {kDocument}),
            (Strings{R"({"_id":"0123456789abcdef01234567","n":1,"l":2,"d":1729793249636})"}));
  EXPECT_EQ(values(R"({"dateFormat": "ISO8601", "acks": "1", "compression_type": "zstd"})",
                   {R"({"d": {"$date": "2024-10-24T18:07:29.636Z"}})"}),
            (Strings{R"({"d":"2024-10-24T18:07:29.636Z"})"}));
}

// The key that `document`.k becomes; "(none)" without one, the reason if it is refused.
std::string key(std::string_view format, const std::string& document) {
  SinkUnderTest sink(parse_kafka_emit_sink,
                     spec(R"({"key": "$k", "keyFormat": ")" + std::string(format) + R"("})"),
                     connection("localhost:1"), nullptr);
  EXPECT_TRUE(sink.status.ok()) << sink.status.message();
  sink.encode(document);
  if (!sink.encoder_letters.empty()) return sink.encoder_letters[0];
  Value key =
      Value::bson_object(sink.batch.route(sink.batch.items[0]).data()).as_object().get("key");
  return key.is_missing() ? "(none)" : std::string(key.as_string());
}

TEST(EmitKafka, KeysAsBytes) {
  using namespace std::string_literals;
  EXPECT_EQ(key("string", R"({"k": "ä"})"), "ä");
  EXPECT_EQ(key("string", R"({"k": ""})"), "");
  EXPECT_EQ(key("string", R"({})"), "(none)");
  EXPECT_EQ(key("string", R"({"k": null})"), "(none)");
  EXPECT_EQ(key("string", R"({"k": 1})"),
            "$emit.config.key gives a value of type int, which does not fit keyFormat 'string'");
  EXPECT_EQ(key("binData", R"({"k": {"$binary": {"base64": "AAH/", "subType": "00"}}})"),
            "\0\1\xff"s);
  EXPECT_EQ(key("binData", R"({"k": "text"})"), "text");
  EXPECT_EQ(key("binData", R"({"k": 1})"),
            "$emit.config.key gives a value of type int, which does not fit keyFormat 'binData'");
  EXPECT_EQ(key("json", R"({"k": {"a": {"$numberLong": "1"}}})"), R"({"a":1})");
  EXPECT_EQ(key("json", R"({"k": "text"})"),
            "$emit.config.key gives a value of type string, which does not fit keyFormat 'json'");
  EXPECT_EQ(key("int", R"({"k": -2})"), "\xff\xff\xff\xfe"s);
  EXPECT_EQ(key("int", R"({"k": {"$numberLong": "258"}})"), "\0\0\1\2"s);
  EXPECT_EQ(key("int", R"({"k": {"$numberLong": "2147483648"}})"),
            "$emit.config.key gives a value of type long, which does not fit keyFormat 'int'");
  EXPECT_EQ(key("int", R"({"k": 1.5})"),
            "$emit.config.key gives a value of type double, which does not fit keyFormat 'int'");
  EXPECT_EQ(key("long", R"({"k": 258})"), "\0\0\0\0\0\0\1\2"s);
  EXPECT_EQ(key("long", R"({"k": {"$numberDouble": "9223372036854775808"}})"),
            "$emit.config.key gives a value of type double, which does not fit keyFormat 'long'");
  EXPECT_EQ(key("double", R"({"k": 1.5})"), "\x3f\xf8\0\0\0\0\0\0"s);
  EXPECT_EQ(
      key("double", R"({"k": {"$numberDecimal": "1"}})"),
      "$emit.config.key gives a value of type decimal, which does not fit keyFormat 'double'");
}

TEST(EmitKafka, KeysHeadersAndTombstonesArrive) {
  using namespace std::string_literals;
  Cluster cluster;
  cluster.create("t");
  SinkUnderTest sink(
      parse_kafka_emit_sink,
      spec(
          R"({"key": {"id": "$id"}, "keyFormat": "json", "tombstoneWhen": {"$eq": ["$op", "delete"]},
                           "headers": {"src": "asp", "n": "$n", "l": {"$toLong": "$n"}, "d": 0.5, "o": {"a": "$n"}, "none": null}})"),
      connection(cluster.bootstrap()), nullptr);
  ASSERT_TRUE(sink.status.ok()) << sink.status.message();
  ASSERT_TRUE(sink.sink.writer->open().ok());
  sink.encode(R"({"id": 1, "n": 2})");
  sink.encode(R"({"id": 1, "n": 3, "op": "delete"})");
  ASSERT_TRUE(sink.send().ok());
  ASSERT_TRUE(sink.flush().ok());
  auto all = cluster.read("t", 2);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].key, R"({"id":1})");
  EXPECT_EQ(all[0].value, R"({"id":1,"n":2})");
  ASSERT_EQ(all[0].headers.size(), 6u);
  using Header = std::pair<std::string, std::optional<std::string>>;
  EXPECT_EQ(all[0].headers[0], (Header{"src", "asp"}));
  EXPECT_EQ(all[0].headers[1], (Header{"n", "\0\0\0\2"s}));
  EXPECT_EQ(all[0].headers[2], (Header{"l", "\0\0\0\0\0\0\0\2"s}));
  EXPECT_EQ(all[0].headers[3], (Header{"d", "\x3f\xe0\0\0\0\0\0\0"s}));
  EXPECT_EQ(all[0].headers[4], (Header{"o", R"({"a":2})"}));
  EXPECT_EQ(all[0].headers[5], (Header{"none", std::nullopt}));
  EXPECT_EQ(all[1].key, R"({"id":1})");
  EXPECT_EQ(all[1].value, std::nullopt);
  EXPECT_EQ(sink.stats(),
            R"({"targetStats":[{"topic":"t","outputMessageCount":2,"outputMessageSize":14}]})");
}

TEST(EmitKafka, HeadersAsAnArrayMayRepeat) {
  Cluster cluster;
  cluster.create("t");
  SinkUnderTest sink(parse_kafka_emit_sink, spec(R"({"headers": "$h"})"),
                     connection(cluster.bootstrap()), nullptr);
  sink.encode(R"({"h": [{"k": "a", "v": "1"}, {"k": "a", "v": "2"}]})");
  sink.encode(R"({"x": 1})");
  ASSERT_TRUE(sink.send().ok());
  ASSERT_TRUE(sink.flush().ok());
  auto all = cluster.read("t", 2);
  ASSERT_EQ(all.size(), 2u);
  ASSERT_EQ(all[0].headers.size(), 2u);
  EXPECT_EQ(all[0].headers[1].second, "2");
  EXPECT_TRUE(all[1].headers.empty());
}

TEST(EmitKafka, WhatCannotBeEvaluatedGoesToTheDeadLetters) {
  SinkUnderTest sink(parse_kafka_emit_sink,
                     spec(R"({"headers": "$h", "tombstoneWhen": "$t"})", R"("$to")"),
                     connection("localhost:1"), nullptr);
  ASSERT_TRUE(sink.status.ok()) << sink.status.message();
  sink.encode(R"({"to": "a", "t": false})");
  sink.encode(R"({"t": false})");
  sink.encode(R"({"to": "no spaces", "t": false})");
  sink.encode(R"({"to": "a", "t": 1})");
  sink.encode(R"({"to": "a", "t": false, "h": 1})");
  sink.encode(R"({"to": "a", "t": false, "h": [{"v": 1}]})");
  sink.encode(R"({"to": "a", "t": false, "h": {"x": true}})");
  EXPECT_EQ(sink.batch.items.size(), 1u);
  EXPECT_EQ(sink.encoder_letters,
            (Strings{
                "$emit.topic must give a string that is not empty, not missing",
                "$emit.topic gives 'no spaces', which no Kafka topic can be called",
                "$emit.config.tombstoneWhen must give a boolean, not int",
                "$emit.config.headers must give an object or an array, not int",
                "$emit.config.headers: each element must be an object with a string 'k' and a 'v'",
                "$emit.config.headers: the header 'x' cannot be of type bool",
            }));
}

TEST(EmitKafka, TopicsPerDocumentAreMadeByTheBroker) {
  Cluster cluster;
  cluster.create("a");
  cluster.create("b");
  SinkUnderTest sink(parse_kafka_emit_sink, spec("{}", R"("$to")"), connection(cluster.bootstrap()),
                     nullptr);
  for (int i = 0; i < 10; ++i)
    sink.encode(R"({"to": ")" + std::string(i % 2 == 0 ? "a" : "b") + R"(", "i": )" +
                std::to_string(i) + "}");
  ASSERT_TRUE(sink.send().ok());
  ASSERT_TRUE(sink.flush().ok());
  auto a = cluster.read("a", 5);
  ASSERT_EQ(a.size(), 5u);
  EXPECT_EQ(a[4].value, R"({"to":"a","i":8})");
  EXPECT_EQ(cluster.read("b", 5).size(), 5u);
}

TEST(EmitKafka, OneTopicTooMany) {
  Cluster cluster;
  SinkUnderTest sink(parse_kafka_emit_sink, spec("{}", R"("$to")"), connection(cluster.bootstrap()),
                     nullptr);
  for (int i = 0; i <= 1000; ++i) sink.encode(R"({"to": "t)" + std::to_string(i) + R"("})");
  Status status = sink.send();
  EXPECT_EQ(status.code(), 420);
  EXPECT_EQ(status.message(),
            "$emit has reached 1000 different topics and may not write to another (t1000)");
}

TEST(EmitKafka, AMessageThatIsTooLargeGoesToTheDeadLetters) {
  Cluster cluster;
  cluster.create("t");
  SinkUnderTest sink(parse_kafka_emit_sink, spec("{}"),
                     connection(cluster.bootstrap(), R"({"message.max.bytes": "2000"})"), nullptr);
  ASSERT_TRUE(sink.sink.writer->open().ok());
  sink.encode(R"({"i": 1})");
  sink.encode(R"({"i": 2, "t": ")" + std::string(3000, 'x') + R"("})");
  sink.encode(R"({"i": 3})");
  ASSERT_TRUE(sink.send().ok());
  ASSERT_TRUE(sink.flush().ok());
  EXPECT_EQ(cluster.read("t", 2).size(), 2u);
  ASSERT_EQ(sink.letters.letters.size(), 1u);
  EXPECT_EQ(sink.letters.operator_names[0], "KafkaEmitOperator");
  EXPECT_TRUE(sink.letters.letters[0].document.starts_with(R"({"i":2,)"));
  EXPECT_EQ(sink.letters.letters[0].reason,
            "Kafka refused the message for topic 't': Broker: Message size too large");
}

// A broker refuses whole sets of messages: only those are to blame that it refuses alone.
TEST(EmitKafka, ASetThatTheBrokerRefusesIsSentOneByOne) {
  Cluster cluster;
  cluster.create("t");
  SinkUnderTest sink(parse_kafka_emit_sink, spec("{}"),
                     connection(cluster.bootstrap(), R"({"linger.ms": "200"})"), nullptr);
  ASSERT_TRUE(sink.sink.writer->open().ok());
  for (int i = 0; i < 5; ++i) sink.encode(R"({"i": )" + std::to_string(i) + "}");
  rd_kafka_mock_push_request_errors(cluster.mock(), 0 /* Produce */, 2,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  ASSERT_TRUE(sink.send().ok());
  Status status = sink.flush();
  ASSERT_TRUE(status.ok()) << status.message();
  auto all = cluster.read("t", 4);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].value, R"({"i":1})");
  EXPECT_EQ(all[3].value, R"({"i":4})");
  ASSERT_EQ(sink.letters.letters.size(), 1u);
  EXPECT_EQ(sink.letters.letters[0].document, R"({"i":0})");
}

TEST(EmitKafka, ABrokerThatGoesAndComesBackLosesNothingAndKeepsTheOrder) {
  Cluster cluster;
  cluster.create("t");
  SinkUnderTest sink(parse_kafka_emit_sink, spec("{}"),
                     connection(cluster.bootstrap(), R"({"delivery.timeout.ms": "1000"})"),
                     nullptr);
  ASSERT_TRUE(sink.sink.writer->open().ok());
  int sent = 0;
  auto send = [&] {
    for (int i = 0; i < 100; ++i) sink.encode(R"({"i": )" + std::to_string(sent++) + "}");
    for (int attempt = 0; attempt < 50; ++attempt) {
      if (sink.send().ok()) return;
    }
    FAIL() << "the batch was not taken";
  };
  send();
  ASSERT_TRUE(sink.flush().ok());
  rd_kafka_mock_broker_set_down(cluster.mock(), 1);
  send();
  Status status = sink.flush();
  EXPECT_TRUE(status.code() == 6 || status.code() == 89)
      << status.code() << " " << status.message();
  EXPECT_TRUE(status.message().starts_with(
      "$emit to connection k has 100 messages that are not delivered: "))
      << status.message();
  send();
  rd_kafka_mock_broker_set_up(cluster.mock(), 1);
  for (int attempt = 0; attempt < 20 && !(status = sink.flush()).ok(); ++attempt) {
  }
  ASSERT_TRUE(status.ok()) << status.message();
  auto all = cluster.read("t", 300);
  std::vector<int> order;
  for (const Received& message : all) {
    int number = std::stoi(message.value->substr(5));
    if (std::find(order.begin(), order.end(), number) == order.end())
      order.push_back(number);  // at least once
  }
  ASSERT_EQ(order.size(), 300u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_TRUE(sink.letters.letters.empty());
}

TEST(EmitKafka, NoBrokerAtTheStart) {
  SinkUnderTest sink(parse_kafka_emit_sink, spec("{}"), connection("127.0.0.1:1"), nullptr);
  Status status = sink.sink.writer->open();
  EXPECT_EQ(status.code(), 77175);
  EXPECT_EQ(status.message(),
            "Could not connect to the Kafka topic with kafka error code: -195, message: Local: "
            "Broker transport failure.");
}

TEST(EmitKafka, OptionsThatAreRefused) {
  struct Case {
    std::string spec;
    std::string text;
  };
  for (const Case& c : {
           Case{R"({"connectionName": "k"})", "$emit.topic is required"},
           Case{R"({"connectionName": "k", "topic": "a b"})",
                "$emit.topic must be the name of a Kafka topic, not 'a b'"},
           Case{R"({"connectionName": "k", "topic": "t", "schemaRegistry": {}})",
                "$emit.schemaRegistry is not supported by Millrace yet"},
           Case{R"({"connectionName": "k", "topic": "t", "x": 1})",
                "$emit has an unknown field 'x'"},
           Case{spec(R"({"x": 1})"), "$emit.config has an unknown field 'x'"},
           Case{spec(R"({"acks": "2"})"), "$emit.config.acks must be -1, 0, 1 or all, not '2'"},
           Case{spec(R"({"compression_type": "brotli"})"),
                "$emit.config.compression_type must be none, gzip, snappy, lz4 or zstd, not "
                "'brotli'"},
           Case{spec(R"({"keyFormat": "avro"})"),
                "$emit.config.keyFormat must be binData, string, json, int, long or double, not "
                "'avro'"},
           Case{spec(R"({"outputFormat": "json"})"),
                "$emit.config.outputFormat must be relaxedJson, canonicalJson or basicJson, not "
                "'json'"},
           Case{spec(R"({"key": 1})"),
                "$emit.config.key must be a string or an expression, not int"},
       }) {
    Status status =
        SinkUnderTest(parse_kafka_emit_sink, c.spec, connection("localhost:1"), nullptr).status;
    EXPECT_EQ(status.code(), 420) << c.spec;
    EXPECT_EQ(status.message(), c.text) << c.spec;
  }
  EXPECT_EQ(SinkUnderTest(parse_kafka_emit_sink, spec("{}"),
                          connection("localhost:1", R"({"transactional.id": "x"})"), nullptr)
                .status.message(),
            "connection k: config.transactional.id is not supported by Millrace yet");
}

TEST(EmitKafka, OptionsOfTheConnectionThatDoNotGoWithIdempotence) {
  for (auto config : {R"({"acks": "1"})", R"({"retries": "0"})",
                      R"({"max.in.flight.requests.per.connection": "20"})", "{}"}) {
    Cluster cluster;
    SinkUnderTest sink(parse_kafka_emit_sink, spec("{}"), connection(cluster.bootstrap(), config),
                       nullptr);
    Status status = sink.sink.writer->open();
    EXPECT_TRUE(status.ok()) << config << ": " << status.message();
  }
  SinkUnderTest sink(parse_kafka_emit_sink, spec(R"({"acks": "0"})"),
                     connection("localhost:1", R"({"enable.idempotence": "true"})"), nullptr);
  EXPECT_EQ(sink.sink.writer->open().code(), 420);
}

}  // namespace
}  // namespace millrace::engine
