// A genuine MongoDB for tests: the one of MILLRACE_TEST_MONGODB, else one started with
// compat/servers/mongod and stopped at the end.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "engine/connection/cluster_client.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {

class RealMongod {
 public:
  // Null when it cannot be had; why() then says the reason.
  static RealMongod* get() {
    static RealMongod instance;
    return instance.uri_.empty() ? nullptr : &instance;
  }
  static std::string& why() {
    static std::string reason;
    return reason;
  }

  const std::string& uri() const { return uri_; }
  MongoConnector& connector() { return connector_; }

  ConnectionPtr connection() const {
    auto connection = std::make_shared<Connection>();
    connection->name = "real";
    BsonWriter definition;
    definition.begin_document();
    definition.append("uri", uri_);
    definition.end();
    connection->definition = Document(definition.bytes());
    return connection;
  }

  // Runs a command given as JSON; the reply as relaxed JSON, or "<code> <message>".
  std::string run(std::string_view database, std::string_view command) {
    auto client = connector_.connect(*connection());
    auto parsed = parse_extended_json(command);
    if (!client.ok() || !parsed.ok())
      return client.ok() ? parsed.status().message() : client.status().message();
    auto reply = (*client)->run(database, parsed->value());
    return reply.ok() ? to_json(reply->value())
                      : std::to_string(reply.status().code()) + " " + reply.status().message();
  }

  // All documents of a collection in order of _id, as a JSON array.
  std::string find(std::string_view database, std::string_view collection) {
    auto client = connector_.connect(*connection());
    auto parsed = parse_extended_json(R"({"find": ")" + std::string(collection) +
                                      R"(", "sort": {"_id": 1}, "batchSize": 100000})");
    auto reply = (*client)->run(database, parsed->value());
    return reply.ok() ? to_json(reply->get("cursor").as_object().get("firstBatch"))
                      : reply.status().message();
  }

 private:
  RealMongod() {
    if (const char* given = std::getenv("MILLRACE_TEST_MONGODB")) {
      uri_ = given;
      return;
    }
    dir_ =
        (std::filesystem::temp_directory_path() / ("millrace-mongod-" + std::to_string(::getpid())))
            .string();
    uri_ = last_line(script() + " start --port " + std::to_string(free_port()) + " --dir " + dir_ +
                     " 2>&1");
    if (!uri_.starts_with("mongodb://")) {
      why() = "no real mongod: " + uri_;
      uri_.clear();
    }
  }
  ~RealMongod() {
    if (dir_.empty()) return;
    if (std::system((script() + " stop --dir " + dir_).c_str()) == 0)
      std::filesystem::remove_all(dir_);
  }

  static std::string script() { return MILLRACE_SOURCE_DIR "/compat/servers/mongod"; }

  static std::string last_line(const std::string& command) {
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string line;
    std::array<char, 1024> buffer;
    while (pipe != nullptr && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr)
      line = buffer.data();
    while (!line.empty() && line.back() == '\n') line.pop_back();
    return line;
  }

  static int free_port() {
    int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ntohs(address.sin_port);
  }

  std::string uri_;
  std::string dir_;
  MongoConnector connector_{nullptr};
};

}  // namespace millrace::engine

#define MR_NEEDS_MONGOD(name)           \
  RealMongod* name = RealMongod::get(); \
  if (name == nullptr) GTEST_SKIP() << RealMongod::why()
