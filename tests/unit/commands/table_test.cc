#include "commands/table.h"

#include <gtest/gtest.h>

#include <functional>

#include "commands/dispatch.h"

namespace millrace::commands {
namespace {

engine::Document body(const std::function<void(engine::BsonWriter&)>& fill) {
  engine::BsonWriter writer;
  writer.begin_document();
  fill(writer);
  writer.end();
  return engine::Document(writer.bytes());
}

TEST(CommandTable, EveryRowIsFoundByItsNameAndHasHelp) {
  for (const auto& row : command_table()) {
    EXPECT_EQ(find_command(row.name), &row);
    EXPECT_FALSE(row.help.empty()) << row.name;
  }
  EXPECT_EQ(find_command("PING"), nullptr);
  EXPECT_EQ(find_command(""), nullptr);
  EXPECT_EQ(find_command("atlasVersion"), nullptr)
      << "a success would make shells believe they talk to Atlas";
}

struct Asked {
  engine::Document reply;
  bool ok;
};

Asked ask(Services& services, const engine::Document& request_body, std::string_view database) {
  Client client;
  Request request{services,
                  client,
                  request_body.value(),
                  request_body.view().begin()->name(),
                  database,
                  std::chrono::steady_clock::now()};
  engine::BsonWriter reply;
  auto outcome = run_command(find_command(request.name), request, reply);
  EXPECT_EQ(outcome.progress, Progress::kDone);
  EXPECT_TRUE(engine::validate_bson(reply.bytes()).ok());
  return {engine::Document(reply.bytes()), outcome.ok};
}

TEST(Dispatch, CommandsThatMongoDbHasAndMillraceHasNotSaySo) {
  Services services;
  for (const auto& row : command_table()) {
    if (row.handler != nullptr) continue;
    auto asked = ask(services, body([&](auto& w) { w.append(row.name, int32_t{1}); }), "admin");
    EXPECT_FALSE(asked.ok);
    EXPECT_EQ(asked.reply.get("code").as_int32(), 115) << row.name;
    EXPECT_EQ(asked.reply.get("codeName").as_string(), "CommandNotSupported");
    EXPECT_NE(asked.reply.get("errmsg").as_string().find(row.name), std::string_view::npos);
  }
}

TEST(Dispatch, GlobalArgumentsAreAcceptedByEveryCommandAndOthersNamed) {
  Services services;
  auto request_body = body([](auto& w) {
    w.append("ping", int32_t{1});
    w.append("maxTimeMS", int32_t{5});
    w.append("comment", "x");
    w.append("colour", "red");
    w.append("$db", "admin");
  });
  Client client;
  Request request{services, client, request_body.value(), "ping", "admin", {}};
  constexpr std::string_view kNone[] = {"shape"};
  auto status = refuse_unknown_fields(request, kNone);
  EXPECT_EQ(status.code(), 40415);
  EXPECT_EQ(status.message(), "BSON field 'ping.colour' is an unknown field.");
  constexpr std::string_view kKnown[] = {"colour"};
  EXPECT_TRUE(refuse_unknown_fields(request, kKnown).ok());
}

TEST(Dispatch, EndedSessionsAreToldToWhoKeepsCursors) {
  Services services;
  std::vector<std::string> ended;
  services.on_sessions_ended.push_back([&](const std::vector<std::string>& ids) { ended = ids; });
  auto request_body = body([](auto& w) {
    w.begin_array("endSessions");
    w.begin_object("0");
    w.append("id", engine::Value::binary(4, "0123456789abcdef"));
    w.end(), w.end();
  });
  EXPECT_TRUE(ask(services, request_body, "admin").ok);
  EXPECT_EQ(ended, std::vector<std::string>{"0123456789abcdef"});
}

}  // namespace
}  // namespace millrace::commands
