#include "wire/message.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace millrace::wire {
namespace {

using engine::BsonWriter;
using engine::Value;

std::string document(const std::function<void(BsonWriter&)>& fill) {
  BsonWriter writer;
  writer.begin_document();
  fill(writer);
  writer.end();
  return std::string(writer.bytes());
}

std::string int32_bytes(int32_t v) { return {reinterpret_cast<const char*>(&v), 4}; }

std::string op_msg(uint32_t flags, const std::string& sections) {
  std::string message(kHeaderBytes, '\0');
  message += int32_bytes(static_cast<int32_t>(flags)) + sections;
  write_header({static_cast<int32_t>(message.size()), 7, 0, kOpMsg}, message.data());
  return message;
}

std::string body(const std::string& doc) { return std::string(1, '\0') + doc; }

std::string sequence(const std::string& identifier, const std::string& documents) {
  std::string content = identifier + '\0' + documents;
  return "\1" + int32_bytes(static_cast<int32_t>(content.size()) + 4) + content;
}

std::string ping() {
  return document([](BsonWriter& w) {
    w.append("ping", int32_t{1});
    w.append("$db", "admin");
  });
}

TEST(Message, ChecksumIsCrc32c) {
  // The check value of CRC-32C (RFC 3720 appendix B.4 uses the same polynomial).
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Message, HeaderIsLittleEndian) {
  char bytes[kHeaderBytes];
  write_header({0x01020304, -1, 5, kOpMsg}, bytes);
  EXPECT_EQ(bytes[0], 4);
  EXPECT_EQ(bytes[3], 1);
  Header header = read_header(bytes);
  EXPECT_EQ(header.message_length, 0x01020304);
  EXPECT_EQ(header.request_id, -1);
  EXPECT_EQ(header.op_code, kOpMsg);
}

TEST(Message, BodyWithoutSequencesIsAViewOnTheMessage) {
  std::string message = op_msg(kExhaustAllowed, body(ping()));
  Command command;
  ASSERT_TRUE(decode_op_msg(message, command).ok());
  EXPECT_EQ(command.body.bson_bytes().data(), message.data() + kHeaderBytes + 5);
  EXPECT_EQ(command.name, "ping");
  EXPECT_EQ(command.database, "admin");
  EXPECT_TRUE(command.exhaust_allowed);
  EXPECT_FALSE(command.more_to_come);
  EXPECT_FALSE(command.merged);
}

TEST(Message, SequencesAreMergedBehindTheBodyWhateverTheirPlace) {
  std::string one = document([](BsonWriter& w) { w.append("a", int32_t{1}); });
  std::string two = document([](BsonWriter& w) { w.append("a", int32_t{2}); });
  std::string message =
      op_msg(kMoreToCome, sequence("ops", one + two) + body(ping()) + sequence("nsInfo", ""));
  Command command;
  auto fault = decode_op_msg(message, command);
  ASSERT_TRUE(fault.ok()) << fault.status.message();
  EXPECT_TRUE(command.more_to_come);
  EXPECT_EQ(command.name, "ping");
  ASSERT_TRUE(engine::validate_bson(command.body.bson_bytes()).ok());
  auto ops = command.body.as_object().get("ops");
  ASSERT_TRUE(ops.is_array());
  EXPECT_EQ(ops.as_array().size(), 2u);
  EXPECT_EQ(ops.as_array().at(1).as_object().get("a").as_int32(), 2);
  EXPECT_TRUE(command.body.as_object().get("nsInfo").as_array().empty());
}

struct Bad {
  const char* name;
  std::string message;
  int32_t code;
  bool close;
};

TEST(Message, WhatIsWrongIsNamed) {
  std::string with_field = document([](BsonWriter& w) {
    w.append("insert", "c");
    w.begin_array("documents"), w.end();
    w.append("$db", "test");
  });
  std::string no_database = document([](BsonWriter& w) { w.append("ping", int32_t{1}); });
  const Bad cases[] = {
      {"no section", op_msg(0, ""), 40587, false},
      {"no body", op_msg(0, sequence("a", "")), 40587, false},
      {"two bodies", op_msg(0, body(ping()) + body(ping())), 40430, false},
      {"a sequence twice", op_msg(0, body(ping()) + sequence("a", "") + sequence("a", "")), 40431,
       false},
      {"a sequence named as a field", op_msg(0, body(with_field) + sequence("documents", "")),
       40433, false},
      {"an unknown kind", op_msg(0, body(ping()) + "\2"), 40432, true},
      {"no database", op_msg(0, body(no_database)), 40571, false},
      {"an empty body", op_msg(0, body(document([](BsonWriter&) {}))), 59, false},
      {"a required flag", op_msg(1 << 4, body(ping())), 223, true},
      {"a body past the end", op_msg(0, body(int32_bytes(100))), 22, true},
      {"a sequence past the end", op_msg(0, body(ping()) + "\1" + int32_bytes(100) + "a"), 22,
       true},
      {"an identifier without end", op_msg(0, body(ping()) + "\1" + int32_bytes(6) + "aa"), 22,
       true},
      {"a document past its sequence", op_msg(0, body(ping()) + sequence("a", int32_bytes(50))), 22,
       true},
  };
  for (const auto& bad : cases) {
    Command command;
    auto fault = decode_op_msg(bad.message, command);
    EXPECT_EQ(fault.status.code(), bad.code) << bad.name << ": " << fault.status.message();
    EXPECT_EQ(fault.close, bad.close) << bad.name;
    EXPECT_FALSE(fault.silent) << bad.name;
  }
}

TEST(Message, ChecksumIsVerifiedAndNoPartOfTheSections) {
  std::string message = op_msg(kChecksumPresent, body(ping()) + "1234");
  uint32_t crc = crc32c(std::string_view(message).substr(0, message.size() - 4));
  std::memcpy(message.data() + message.size() - 4, &crc, 4);
  Command command;
  EXPECT_TRUE(decode_op_msg(message, command).ok());
  message.back() = static_cast<char>(message.back() ^ 1);
  auto fault = decode_op_msg(message, command);
  EXPECT_TRUE(fault.close && fault.silent);
}

TEST(Message, EveryPrefixOfAMessageIsRefused) {
  std::string doc = document([](BsonWriter& w) { w.append("text", "some text"); });
  std::string message = op_msg(0, body(ping()) + sequence("documents", doc + doc));
  for (size_t size = kHeaderBytes; size < message.size(); ++size) {
    // A copy of exactly this size: reading beyond it is what the sanitizer looks for.
    auto cut = std::make_unique<char[]>(size);
    std::memcpy(cut.get(), message.data(), size);
    Command command;
    bool whole_body = size == kHeaderBytes + 4 + body(ping()).size();
    EXPECT_EQ(decode_op_msg({cut.get(), size}, command).ok(), whole_body) << size;
  }
}

TEST(Message, OpQueryTakesTheDatabaseFromTheNamespace) {
  std::string query = int32_bytes(4) + "admin.$cmd" + '\0' + int32_bytes(0) + int32_bytes(-1) +
                      document([](BsonWriter& w) { w.append("isMaster", int32_t{1}); });
  Command command;
  ASSERT_TRUE(decode_op_query(query, command).ok());
  EXPECT_EQ(command.name, "isMaster");
  EXPECT_EQ(command.database, "admin");
  EXPECT_TRUE(command.is_op_query);
  for (size_t size = 0; size < query.size(); ++size) {
    Command cut;
    EXPECT_FALSE(decode_op_query(std::string_view(query).substr(0, size), cut).ok()) << size;
  }
}

TEST(Message, RepliesAreFramedExactly) {
  auto msg = op_msg_reply_prefix(3, 7, kMoreToCome, 100);
  Header header = read_header(msg.data());
  EXPECT_EQ(header.message_length, 16 + 4 + 1 + 100);
  EXPECT_EQ(header.request_id, 3);
  EXPECT_EQ(header.response_to, 7);
  EXPECT_EQ(header.op_code, kOpMsg);
  EXPECT_EQ(msg.substr(16), int32_bytes(2) + std::string(1, '\0'));
  auto reply = op_reply_prefix(4, 8, kAwaitCapable, 100);
  EXPECT_EQ(read_header(reply.data()).message_length, 16 + 20 + 100);
  EXPECT_EQ(reply.substr(16),
            int32_bytes(8) + std::string(8, '\0') + int32_bytes(0) + int32_bytes(1));
}

}  // namespace
}  // namespace millrace::wire
