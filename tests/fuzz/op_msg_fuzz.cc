// A whole message from a client: unpacked, decoded, and what was accepted read as a command is.
#include <cstdlib>
#include <cstring>

#include "wire/compression.h"
#include "wire/message.h"

namespace {

using namespace millrace::wire;

void decode(std::string_view message) {
  Command command;
  Fault fault = read_header(message.data()).op_code == kOpQuery
                    ? decode_op_query(message.substr(kHeaderBytes), command)
                    : decode_op_msg(message, command);
  if (!fault.ok()) return;
  // Accepted means valid: the merged document too, but for the two levels that a sequence adds.
  auto bytes = command.body.bson_bytes();
  auto status = millrace::engine::validate_bson(bytes);
  if (!status.ok() && !status.is(millrace::engine::ErrorCode::kOverflow)) std::abort();
  if (command.name != command.body.as_object().begin()->name()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string message(reinterpret_cast<const char*>(data), size);
  if (size < kHeaderBytes) return 0;
  // The session has read exactly the announced length.
  auto length = static_cast<int32_t>(size);
  std::memcpy(message.data(), &length, 4);
  switch (read_header(message.data()).op_code) {
    case kOpCompressed: {
      auto unpacked = unpack(message);
      if (unpacked.ok() && unpacked->message.size <= (1u << 20)) decode(unpacked->message.view());
      break;
    }
    case kOpQuery:
    case kOpMsg:
      decode(message);
      break;
    default:
      break;
  }
  return 0;
}
