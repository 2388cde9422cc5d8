// "Kafka" connections: brokers, how to log in, and the client options that pass through.
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/kafka-connection/
#include "engine/connection/kafka.h"

#include <algorithm>
#include <array>

#include "engine/connection/definition.h"
#include "engine/connection/types.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array<std::string_view, 15> kProducerOptions = {
    "acks", "batch.size", "client.dns.lookup", "client.id", "compression.type", "connections.max.idle.ms", "delivery.timeout.ms",
    "enable.idempotence", "linger.ms", "max.in.flight.requests.per.connection", "message.max.bytes", "queue.buffering.max.messages",
    "request.timeout.ms", "retries", "transactional.id",
};
constexpr std::array<std::string_view, 14> kConsumerOptions = {
    "allow.auto.create.topics", "auto.offset.reset", "client.dns.lookup", "client.id", "connections.max.idle.ms", "fetch.max.bytes",
    "fetch.min.bytes", "group.id", "heartbeat.interval.ms", "isolation.level", "max.partition.fetch.bytes", "max.poll.interval.ms",
    "request.timeout.ms", "session.timeout.ms",
};
// Of Kafka's Java client only: librdkafka 2.0 has no such option, or not for this role.
constexpr std::array<std::string_view, 1> kJavaOnly = {"client.dns.lookup"};
// clang-format on

template <typename List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// "SCRAM-SHA-256" is how the user interface spells it.
std::string newest_mechanism(std::string_view mechanism) {
  if (mechanism == "SCRAM-SHA-256") return "SCRAM-256";
  if (mechanism == "SCRAM-SHA-512") return "SCRAM-512";
  return std::string(mechanism);
}

Result<std::string> bootstrap_servers(const Options& options) {
  Value value = options.get("bootstrapServers");
  std::string servers;
  if (value.is_array()) {  // some clients send a list
    for (const Value& server : value.as_array()) {
      if (!server.is_string()) return options.error("bootstrapServers", "must hold strings");
      servers += (servers.empty() ? "" : ",") + std::string(server.as_string());
    }
    if (servers.empty()) return options.error("bootstrapServers", "must not be empty");
    return servers;
  }
  return options.required_string("bootstrapServers");
}

// Writes `authentication`; gives the mechanism, "" for none.
Result<std::string> normalize_authentication(const Options& options, BsonWriter& normalized) {
  Options login = options.sub("authentication");
  MR_RETURN_IF_ERROR(login.only({"mechanism", "username", "password", "method", "tokenEndpointUrl",
                                 "clientId", "clientSecret", "scope", "saslOauthbearerExtensions",
                                 "sslCertificate", "sslKey", "sslKeyPassword", "aws", "links"}));
  if (!options.has("authentication")) return std::string();
  MR_ASSIGN_OR_RETURN(auto mechanism,
                      login.choice("mechanism", {"PLAIN", "SCRAM-256", "SCRAM-512", "OAUTHBEARER",
                                                 "SCRAM-SHA-256", "SCRAM-SHA-512"}));
  MR_ASSIGN_OR_RETURN(auto method, login.choice("method", {"OIDC"}));
  normalized.begin_object("authentication");
  if (mechanism) normalized.append("mechanism", newest_mechanism(*mechanism));
  for (const Field& field : login.value().as_object()) {
    if (field.name() == "mechanism" || field.name() == "links") continue;
    if (field.name() == "aws" ? !field.value.is_object() : !field.value.is_string()) {
      return login.wrong_type(field.name(), field.name() == "aws" ? "an object" : "a string");
    }
    normalized.append(field.name(), field.value);
  }
  normalized.end();
  return mechanism ? newest_mechanism(*mechanism) : std::string();
}

// The protocol in its newest spelling: PLAINTEXT and SSL together with a SASL mechanism are older
// spellings.
Status normalize_security(const Options& options, const std::string& mechanism,
                          BsonWriter& normalized) {
  Options security = options.sub("security");
  MR_RETURN_IF_ERROR(security.only({"protocol", "brokerPublicCertificate", "links"}));
  auto given = security.choice("protocol", {"SASL_PLAINTEXT", "SASL_SSL", "SSL", "PLAINTEXT"});
  if (!given.ok()) return given.status();
  auto certificate = security.string("brokerPublicCertificate");
  if (!certificate.ok()) return certificate.status();
  std::string protocol = (*given).value_or("PLAINTEXT");
  bool client_key = options.sub("authentication").has("sslKey");
  if (protocol == "PLAINTEXT" && !mechanism.empty()) protocol = "SASL_PLAINTEXT";
  if (protocol == "SSL" && !mechanism.empty() && !client_key) protocol = "SASL_SSL";
  if (protocol.starts_with("SASL") && mechanism.empty()) {
    return options.sub("authentication")
        .error("mechanism", "is required with security.protocol " + protocol);
  }
  normalized.begin_object("security");
  normalized.append("protocol", protocol);
  if (*certificate) normalized.append("brokerPublicCertificate", **certificate);
  normalized.end();
  return {};
}

Status normalize_config(const Options& options, BsonWriter& normalized) {
  Options config = options.sub("config");
  MR_RETURN_IF_ERROR(config.check());
  normalized.begin_object("config");
  if (config.value().is_object()) {
    for (const Field& field : config.value().as_object()) {
      // Anything else is dropped without an error, as the service documents it.
      if (!contains(kProducerOptions, field.name()) && !contains(kConsumerOptions, field.name()))
        continue;
      if (field.value.is_string()) {
        normalized.append(field.name(), field.value);
      } else if (field.value.is_integer()) {
        normalized.append(field.name(), std::to_string(field.value.integer_value()));
      } else if (field.value.is(Type::kBool)) {
        normalized.append(field.name(), field.value.as_bool() ? "true" : "false");
      } else {
        return config.wrong_type(field.name(), "a string");
      }
    }
  }
  normalized.end();
  return {};
}

std::string_view text_of(const Value& object, std::string_view name) {
  if (!object.is_object()) return "";
  Value value = object.as_object().get(name);
  return value.is_string() ? value.as_string() : std::string_view();
}

Status add_login(const Connection& connection, std::string_view protocol,
                 KafkaProperties& properties) {
  Value login = connection.definition.get("authentication");
  auto refuse = [&](const std::string& what) {
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  "connection " + connection.name + ": " + what);
  };
  if (protocol.starts_with("SASL")) {
    std::string_view mechanism = text_of(login, "mechanism");
    if (mechanism == "OAUTHBEARER")
      return refuse("authentication.mechanism OAUTHBEARER is not supported by Millrace yet");
    std::string_view username = text_of(login, "username");
    if (username.empty())
      return refuse("authentication.username and authentication.password are required to log in");
    properties.emplace_back("sasl.mechanism", mechanism == "SCRAM-256"   ? "SCRAM-SHA-256"
                                              : mechanism == "SCRAM-512" ? "SCRAM-SHA-512"
                                                                         : "PLAIN");
    properties.emplace_back("sasl.username", username);
    properties.emplace_back("sasl.password", text_of(login, "password"));
  }
  if (login.is_object() && login.as_object().has("aws"))
    return refuse("authentication.aws is not supported by Millrace yet");
  if (protocol.ends_with("SSL")) {
    std::string_view authority =
        text_of(connection.definition.get("security"), "brokerPublicCertificate");
    if (!authority.empty()) properties.emplace_back("ssl.ca.pem", authority);
    for (auto [field, property] :
         {std::pair{"sslCertificate", "ssl.certificate.pem"}, std::pair{"sslKey", "ssl.key.pem"},
          std::pair{"sslKeyPassword", "ssl.key.password"}}) {
      if (!text_of(login, field).empty()) properties.emplace_back(property, text_of(login, field));
    }
  }
  return {};
}

}  // namespace

Result<Document> normalize_kafka_connection(const Value& definition) {
  MR_RETURN_IF_ERROR(only_connection_fields(
      definition, {"bootstrapServers", "authentication", "security", "config", "networking"}));
  Options options = connection_options(definition);
  BsonWriter normalized;
  normalized.begin_document();
  MR_ASSIGN_OR_RETURN(std::string servers, bootstrap_servers(options));
  normalized.append("bootstrapServers", servers);
  MR_ASSIGN_OR_RETURN(std::string mechanism, normalize_authentication(options, normalized));
  MR_RETURN_IF_ERROR(normalize_security(options, mechanism, normalized));
  MR_RETURN_IF_ERROR(normalize_config(options, normalized));
  MR_RETURN_IF_ERROR(check_networking(options, "networking"));
  copy_fields(definition, {"networking"}, normalized);
  normalized.end();
  return Document(normalized.bytes());
}

void list_kafka_connection(const Value& definition, BsonWriter& entry) {
  entry.append("bootstrapServers", definition.as_object().get("bootstrapServers"));
}

Result<KafkaProperties> kafka_properties(const Connection& connection, KafkaRole role) {
  KafkaProperties properties;
  properties.emplace_back("bootstrap.servers",
                          text_of(connection.definition.value(), "bootstrapServers"));
  std::string_view protocol = text_of(connection.definition.get("security"), "protocol");
  if (protocol.empty()) protocol = "PLAINTEXT";
  properties.emplace_back("security.protocol", protocol);
  MR_RETURN_IF_ERROR(add_login(connection, protocol, properties));
  Value config = connection.definition.get("config");
  if (!config.is_object()) return properties;
  for (const Field& field : config.as_object()) {
    bool wanted = role == KafkaRole::kProducer ? contains(kProducerOptions, field.name())
                                               : contains(kConsumerOptions, field.name());
    if (!wanted || contains(kJavaOnly, field.name())) continue;
    if (field.name() == "request.timeout.ms" && role == KafkaRole::kConsumer)
      continue;  // a producer's option in librdkafka
    properties.emplace_back(field.name(), field.value.as_string());
  }
  return properties;
}

}  // namespace millrace::engine
