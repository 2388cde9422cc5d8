#include "engine/connection/connections_file.h"

#include <gtest/gtest.h>

#include <array>

#include "engine/connection/kafka.h"
#include "engine/connection/registry.h"
#include "engine/connection/types.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

constexpr std::array kTypes = {
    ConnectionType{"Cluster", "atlas", 15, true, normalize_cluster_connection,
                   list_cluster_connection},
    ConnectionType{"Kafka", "kafka", 3, true, normalize_kafka_connection, list_kafka_connection},
    ConnectionType{"Sample", "inmemory", 1, true, normalize_sample_connection, list_nothing},
};

ConnectionsFile parse(std::string_view text) {
  auto file = parse_connections(text, "file", kTypes);
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? *file : ConnectionsFile();
}

std::string error_of(std::string_view text) {
  auto file = parse_connections(text, "file", kTypes);
  return file.ok() ? "" : file.status().message();
}

std::string definition(const ConnectionsFile& file, size_t index) {
  return index < file.connections.size() ? to_json(file.connections[index]->definition.value())
                                         : "none";
}

TEST(ConnectionsFile, AnArrayInJsonAndInYamlIsTheSame) {
  auto json = parse(R"([{"name": "c", "type": "Cluster", "clusterName": "c0"},
                        {"name": "k", "type": "Kafka", "bootstrapServers": "h:1"}])");
  auto yaml = parse(
      "- name: c\n  type: Cluster\n  clusterName: c0\n- {name: k, type: Kafka, bootstrapServers: "
      "'h:1'}\n");
  ASSERT_EQ(json.connections.size(), 2u);
  EXPECT_EQ(definition(json, 0), definition(yaml, 0));
  EXPECT_EQ(definition(json, 1), definition(yaml, 1));
}

TEST(ConnectionsFile, TheAdminApisListAnswer) {
  auto file = parse(
      R"({"links": [], "totalCount": 1, "results": [{"name": "sample_stream_solar", "type": "Sample", "state": "READY"}]})");
  ASSERT_EQ(file.connections.size(), 1u);
  EXPECT_EQ(file.connections[0]->name, "sample_stream_solar");
}

TEST(ConnectionsFile, ErrorsNameFileEntryAndField) {
  EXPECT_EQ(error_of(R"([{"name": "a", "type": "Sample"}, {"name": "k", "type": "Kafka"}])"),
            "file: connection 2 (k): connection.bootstrapServers is required");
  EXPECT_EQ(error_of(R"([{"name": "a", "type": "Sample"}, {"name": "a", "type": "Sample"}])"),
            "file: connection 2 (a): connection.name stands twice in the file");
  EXPECT_EQ(error_of("[5]"), "file: connection 1: connection must be an object");
  EXPECT_NE(error_of("a: [1, 2\nb: 3").find("file: line 2"), std::string::npos)
      << error_of("a: [1, 2\nb: 3");
  EXPECT_EQ(error_of("  \n "), "file: the file is empty");
  EXPECT_NE(error_of("just text").find("expected an array of connections"), std::string::npos);
  EXPECT_NE(error_of("{\"a\": ").find("file: "), std::string::npos);
  EXPECT_EQ(read_connections_file("/no/such/file", kTypes).status().message(),
            "/no/such/file: cannot be read");
}

TEST(ConnectionsFile, HostileYamlIsAnErrorAndNotACrash) {
  EXPECT_NE(error_of(std::string(100'000, '[')), "");
  EXPECT_NE(error_of("- &a [x,x,x,x,x,x,x,x,x]\n- &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n- &c "
                     "[*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                     "- &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n- &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n- "
                     "[*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"),
            "");
  EXPECT_NE(error_of("\xff\xfe\x00"), "");
}

// The resources of the operator's manual page "Manage Atlas Stream Processing", each as typed
// there.
TEST(Kubernetes, TheManualsExamples) {
  EXPECT_TRUE(parse("apiVersion: atlas.mongodb.com/v1\nkind: AtlasStreamInstance\nmetadata:\n  "
                    "name: my-stream-instance\nspec:\n"
                    "  name: my-stream-instance\n  clusterConfig:\n    provider: AWS\n    region: "
                    "VIRGINIA_USA\n    tier: SP30\n"
                    "  projectRef:\n    name: my-project\n")
                  .connections.empty());
  auto sample = parse(
      "apiVersion: atlas.mongodb.com/v1\nkind: AtlasStreamConnection\nmetadata:\n  name: "
      "my-stream-connection\nspec:\n"
      "  name: sample_stream_solar\n  type: Sample\n");
  EXPECT_EQ(definition(sample, 0), R"({"name":"sample_stream_solar","type":"Sample"})");
  auto cluster = parse(
      "apiVersion: atlas.mongodb.com/v1\nkind: AtlasStreamConnection\nmetadata:\n  name: "
      "my-stream-connection\nspec:\n"
      "  name: my-stream-connection\n  type: Cluster\n  clusterConfig:\n    name: my-cluster\n  "
      "role:\n"
      "    name: my-db-role\n    type: CUSTOM \n");
  EXPECT_EQ(definition(cluster, 0),
            R"({"name":"my-stream-connection","type":"Cluster","clusterName":"my-cluster",)"
            R"("dbRoleToExecute":{"role":"my-db-role","type":"CUSTOM"}})");
  auto kafka = parse(
      "apiVersion: atlas.mongodb.com/v1\nkind: AtlasStreamConnection\nmetadata:\n  name: "
      "my-stream-connection\nspec:\n"
      "  name: my-stream-connection\n  type: Kafka\n  kafkaConfig:\n"
      "    bootstrapServers: \"comma,separated,list,of,server,addresses\"\n    authentication:\n"
      "      mechanism: SCRAM-512\n      credentials:\n        name: ref-to-creds-secret\n        "
      "namespace: default\n"
      "    security:\n      protocol: SSL\n      certificate:\n        name: "
      "ref-to-certificate-secret\n"
      "        namespace: default\n");
  EXPECT_EQ(
      definition(kafka, 0),
      R"({"name":"my-stream-connection","type":"Kafka","bootstrapServers":"comma,separated,list,of,server,addresses",)"
      R"("authentication":{"mechanism":"SCRAM-512"},"security":{"protocol":"SASL_SSL"},"config":{}})");
  EXPECT_EQ(kafka.warnings.size(), 2u);
}

constexpr std::string_view kWhole = R"(
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {username: alice, password: "12345"}
---
apiVersion: v1
kind: Secret
metadata: {name: authority, namespace: other}
data: {certificate: UEVN}
---
apiVersion: atlas.mongodb.com/v1
kind: AtlasStreamConnection
metadata: {name: orders}
spec:
  name: orders-kafka
  type: Kafka
  kafkaConfig:
    bootstrapServers: h:1
    authentication: {mechanism: SCRAM-512, credentials: {name: login}}
    security: {protocol: SSL, certificate: {name: authority, namespace: other}}
    config: {auto.offset.reset: earliest}
---
apiVersion: atlas.mongodb.com/v1
kind: AtlasStreamConnection
metadata: {name: unused}
spec: {name: unused, type: Cluster, clusterConfig: {name: c0, role: {name: atlasAdmin, type: BUILT_IN}}}
)";

TEST(Kubernetes, SecretsInTheSameFileGiveTheCredentials) {
  auto file = parse(kWhole);
  EXPECT_EQ(
      definition(file, 0),
      R"({"name":"orders-kafka","type":"Kafka","bootstrapServers":"h:1",)"
      R"("authentication":{"mechanism":"SCRAM-512","username":"alice","password":"12345"},)"
      R"("security":{"protocol":"SASL_SSL","brokerPublicCertificate":"PEM"},"config":{"auto.offset.reset":"earliest"}})");
  EXPECT_EQ(file.connections.size(), 2u);
  EXPECT_TRUE(file.warnings.empty());
}

TEST(Kubernetes, AnInstancesListIsAuthoritative) {
  auto file = parse(std::string(kWhole) + R"(---
apiVersion: atlas.mongodb.com/v1
kind: AtlasStreamInstance
metadata: {name: i}
spec: {name: i, connectionRegistry: [{name: orders}, {name: elsewhere, namespace: n}]}
)");
  ASSERT_EQ(file.connections.size(), 1u);
  EXPECT_EQ(file.connections[0]->name, "orders-kafka");
  EXPECT_EQ(file.warnings.size(), 2u);  // one left out, one not there
}

TEST(Kubernetes, ErrorsNameResourceAndField) {
  EXPECT_EQ(error_of("apiVersion: v1\nkind: AtlasStreamConnection\nmetadata: {name: x}\nspec: "
                     "{name: x, type: S3}\n"),
            "file: AtlasStreamConnection default/x: spec.type must be Kafka, Cluster or Sample, "
            "not 'S3'");
  EXPECT_EQ(error_of("apiVersion: v1\nkind: AtlasStreamConnection\nmetadata: {name: x}\nspec: "
                     "{name: x, type: Kafka}\n"),
            "file: AtlasStreamConnection default/x: spec.kafkaConfig.bootstrapServers is required");
}

TEST(Registry, TwoConnectionsAreAlwaysThere) {
  ConnectionRegistry registry(kTypes);
  EXPECT_TRUE(registry.find("sample_stream_solar").ok());
  EXPECT_EQ((*registry.find("local"))->type->name, "Cluster");
  registry.replace_all({});
  EXPECT_EQ(registry.list().size(), 2u);
  EXPECT_FALSE(registry.remove("local"));
  EXPECT_TRUE(registry.find("local").ok());
  EXPECT_EQ(
      registry.find("X").status().message(),
      "connection named X does not exist. Check sp.listConnections() for available connections");
}

TEST(Registry, AConnectionInUseOutlivesItsReplacement) {
  ConnectionRegistry registry(kTypes);
  auto k = parse_extended_json(R"({"name": "k", "type": "Kafka", "bootstrapServers": "old:1"})");
  ASSERT_TRUE(registry.upsert(k->value()).ok());
  ConnectionPtr held = *registry.find("k");
  k = parse_extended_json(R"({"name": "k", "type": "Kafka", "bootstrapServers": "new:1"})");
  ASSERT_TRUE(registry.upsert(k->value()).ok());
  EXPECT_EQ(held->definition.get("bootstrapServers").as_string(), "old:1");
  EXPECT_EQ((*registry.find("k"))->definition.get("bootstrapServers").as_string(), "new:1");
  EXPECT_TRUE(registry.remove("k"));
  EXPECT_FALSE(registry.find("k").ok());
}

TEST(KafkaProperties, LoginAndOptionsByRole) {
  auto text = parse_extended_json(R"({"name": "k", "type": "Kafka", "bootstrapServers": "h:1",
    "authentication": {"mechanism": "SCRAM-512", "username": "u", "password": "p"}, "security": {"protocol": "SASL_SSL"},
    "config": {"linger.ms": "7", "fetch.min.bytes": "9", "client.dns.lookup": "x"}})");
  auto connection = make_connection(text->value(), kTypes);
  auto has = [](const KafkaProperties& properties, const char* name, const char* value) {
    return std::find(properties.begin(), properties.end(),
                     std::pair<std::string, std::string>(name, value)) != properties.end();
  };
  auto consumer = kafka_properties(**connection, KafkaRole::kConsumer);
  ASSERT_TRUE(consumer.ok());
  EXPECT_TRUE(has(*consumer, "sasl.mechanism", "SCRAM-SHA-512"));
  EXPECT_TRUE(has(*consumer, "fetch.min.bytes", "9"));
  EXPECT_FALSE(has(*consumer, "linger.ms", "7"));
  auto producer = kafka_properties(**connection, KafkaRole::kProducer);
  EXPECT_TRUE(has(*producer, "linger.ms", "7"));
  EXPECT_FALSE(has(*producer, "client.dns.lookup", "x"));
}

}  // namespace
}  // namespace millrace::engine
