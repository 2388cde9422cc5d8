// Messages of the MongoDB wire protocol as bytes: reading what clients send, framing what they get.
// Knows no command. https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/; what
// clients really send: clients-wire.md section 1.
//
//   message  := header body                       all integers little-endian
//   header   := length:int32 request_id:int32 response_to:int32 op_code:int32      length counts
//   the header OP_MSG   := flags:uint32 section+ [crc32c:uint32] section  := 0 document | 1
//   size:int32 identifier:cstring document*             size counts itself OP_QUERY := flags:int32
//   collection:cstring skip:int32 return:int32 document [document] OP_REPLY := flags:int32
//   cursor:int64 from:int32 returned:int32 document* OP_COMPRESSED := original_op_code:int32
//   uncompressed_size:int32 compressor:uint8 bytes      (compression.h)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/document/bson.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::wire {

inline constexpr size_t kHeaderBytes = 16;
inline constexpr int32_t kMaxMessageBytes = 48'000'000;

enum OpCode : int32_t {
  kOpReply = 1,
  kOpQuery = 2004,
  kOpCompressed = 2012,
  kOpMsg = 2013,
};

enum OpMsgFlags : uint32_t {
  kChecksumPresent = 1u << 0,
  kMoreToCome = 1u << 1,
  kRequiredFlags = 0xffff,  // an unknown one of these is an error, the others are ignored
  kExhaustAllowed = 1u << 16,
};

enum OpReplyFlags : int32_t {
  kQueryFailure = 2,
  kAwaitCapable = 8,
};

struct Header {
  int32_t message_length = 0;
  int32_t request_id = 0;
  int32_t response_to = 0;
  int32_t op_code = 0;
};
Header read_header(const char* bytes);
void write_header(const Header& header, char* bytes);

// Uninitialised memory of a fixed size: a lying length costs address space, not memory.
struct Buffer {
  Buffer() = default;
  explicit Buffer(size_t size) : data(std::make_unique_for_overwrite<char[]>(size)), size(size) {}
  std::string_view view() const { return {data.get(), size}; }
  std::unique_ptr<char[]> data;
  size_t size = 0;
};

// One request, decoded. Views point into the bytes it was decoded from, or into `merged`.
struct Command {
  bool is_op_query = false;
  bool more_to_come = false;     // the client wants no answer
  bool exhaust_allowed = false;  // OP_MSG bit 16
  bool on_collection =
      false;              // OP_QUERY on a real collection: refused with a reply of its own form
  engine::Value body;     // valid BSON, kind-1 sections merged in as arrays
  std::string_view name;  // the first key; empty in an empty body
  std::string_view database;
  std::unique_ptr<engine::BsonWriter> merged;
};

// Why a message is no command. Of `command` only more_to_come, is_op_query and on_collection mean
// something then.
struct Fault {
  engine::Status status;  // ok: there is no fault
  bool close = false;     // the bytes cannot be trusted: end the connection after the answer
  bool silent = false;    // no answer is possible
  bool ok() const { return status.ok(); }
};

// `message`: a whole OP_MSG with its header (the checksum covers it). Errors: clients-wire.md
// section 1.4.
Fault decode_op_msg(std::string_view message, Command& command);

// `body`: an OP_QUERY behind its header.
Fault decode_op_query(std::string_view body, Command& command);

// CRC-32C (Castagnoli), as OP_MSG's checksum.
uint32_t crc32c(std::string_view bytes);

// The bytes of a reply before its one document, the header included.
std::string op_msg_reply_prefix(int32_t request_id, int32_t response_to, uint32_t flags,
                                size_t document_bytes);
std::string op_reply_prefix(int32_t request_id, int32_t response_to, int32_t flags,
                            size_t document_bytes);

}  // namespace millrace::wire
