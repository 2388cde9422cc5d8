// OP_COMPRESSED: taking apart and making. https://github.com/mongodb/specifications, "Wire
// Compression in Drivers".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/document/status.h"
#include "wire/message.h"

namespace millrace::wire {

enum class Compressor : uint8_t { kNoop = 0, kSnappy = 1, kZlib = 2, kZstd = 3 };

// What hello may agree on; the client's order decides.
inline constexpr std::array<std::string_view, 3> kCompressorNames = {"snappy", "zlib", "zstd"};

// Requires: `compressed` holds no header. The result has exactly `size` bytes. Errors: 22
// InvalidBSON with the reason; no exception.
engine::Result<Buffer> decompress(Compressor compressor, std::string_view compressed, size_t size);

// Errors: none but a library's own failure (1 InternalError).
engine::Result<std::string> compress(Compressor compressor, std::string_view bytes);

// A whole OP_COMPRESSED message as the message it stands for (header included, original op code,
// same ids) and the compressor it used. Checks before it allocates: known compressor, size up to
// kMaxMessageBytes, not another OP_COMPRESSED inside. Errors: the connection must be closed.
struct Unpacked {
  Buffer message;
  Compressor compressor = Compressor::kNoop;
};
engine::Result<Unpacked> unpack(std::string_view message);

// `message` as an OP_COMPRESSED message; nullopt if compressing fails or does not pay.
std::optional<std::string> pack(Compressor compressor, std::string_view message);

}  // namespace millrace::wire
