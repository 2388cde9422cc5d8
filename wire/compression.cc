#include "wire/compression.h"

#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>

namespace millrace::wire {
namespace {

using engine::ErrorCode;
using engine::Result;
using engine::Status;

constexpr size_t kPrefixBytes = 9;     // original op code, size, compressor
constexpr size_t kWorthPacking = 512;  // below this a reply goes out as it is

Status bad(std::string what) {
  return Status(ErrorCode::kInvalidBson, "OP_COMPRESSED: " + std::move(what));
}

bool inflate_exactly(std::string_view compressed, Buffer& out) {
  uLongf size = out.size;
  return uncompress(reinterpret_cast<Bytef*>(out.data.get()), &size,
                    reinterpret_cast<const Bytef*>(compressed.data()), compressed.size()) == Z_OK &&
         size == out.size;
}

bool snappy_exactly(std::string_view compressed, Buffer& out) {
  size_t size = 0;
  return snappy::GetUncompressedLength(compressed.data(), compressed.size(), &size) &&
         size == out.size &&
         snappy::RawUncompress(compressed.data(), compressed.size(), out.data.get());
}

}  // namespace

Result<Buffer> decompress(Compressor compressor, std::string_view compressed, size_t size) {
  Buffer out(size);
  bool good = false;
  switch (compressor) {
    case Compressor::kNoop:
      good = compressed.size() == size;
      if (good) std::memcpy(out.data.get(), compressed.data(), size);
      break;
    case Compressor::kSnappy:
      good = snappy_exactly(compressed, out);
      break;
    case Compressor::kZlib:
      good = inflate_exactly(compressed, out);
      break;
    case Compressor::kZstd:
      good = ZSTD_decompress(out.data.get(), size, compressed.data(), compressed.size()) == size;
      break;
  }
  if (!good)
    return bad("the bytes do not decompress to the announced " + std::to_string(size) + " bytes");
  return out;
}

Result<std::string> compress(Compressor compressor, std::string_view bytes) {
  std::string out;
  size_t size = 0;
  bool good = true;
  switch (compressor) {
    case Compressor::kNoop:
      return std::string(bytes);
    case Compressor::kSnappy:
      snappy::Compress(bytes.data(), bytes.size(), &out);
      return out;
    case Compressor::kZlib: {
      uLongf bound = compressBound(bytes.size());
      out.resize(bound);
      good = compress2(reinterpret_cast<Bytef*>(out.data()), &bound,
                       reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(),
                       Z_DEFAULT_COMPRESSION) == Z_OK;
      size = bound;
      break;
    }
    case Compressor::kZstd:
      out.resize(ZSTD_compressBound(bytes.size()));
      size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
      good = !ZSTD_isError(size);
      break;
  }
  if (!good) return Status(ErrorCode::kInternalError, "compressing a reply failed");
  out.resize(size);
  return out;
}

Result<Unpacked> unpack(std::string_view message) {
  if (message.size() < kHeaderBytes + kPrefixBytes) return bad("cut off");
  Header header = read_header(message.data());
  int32_t original = 0;
  int32_t size = 0;
  std::memcpy(&original, message.data() + kHeaderBytes, 4);
  std::memcpy(&size, message.data() + kHeaderBytes + 4, 4);
  auto id = static_cast<uint8_t>(message[kHeaderBytes + 8]);
  if (original == kOpCompressed) return bad("a compressed message inside a compressed message");
  if (id > static_cast<uint8_t>(Compressor::kZstd))
    return bad("unknown compressor " + std::to_string(id));
  if (size < 0 || size > kMaxMessageBytes - static_cast<int32_t>(kHeaderBytes))
    return bad("size " + std::to_string(size) + " is not allowed");
  auto compressor = static_cast<Compressor>(id);
  auto compressed = message.substr(kHeaderBytes + kPrefixBytes);
  MR_ASSIGN_OR_RETURN(Buffer body, decompress(compressor, compressed, static_cast<size_t>(size)));
  // The header in front: what decodes an OP_MSG needs no second form for compressed ones.
  Unpacked unpacked{Buffer(kHeaderBytes + body.size), compressor};
  header.message_length = static_cast<int32_t>(unpacked.message.size);
  header.op_code = original;
  write_header(header, unpacked.message.data.get());
  std::memcpy(unpacked.message.data.get() + kHeaderBytes, body.data.get(), body.size);
  return unpacked;
}

std::optional<std::string> pack(Compressor compressor, std::string_view message) {
  if (compressor == Compressor::kNoop || message.size() < kWorthPacking) return std::nullopt;
  auto body = message.substr(kHeaderBytes);
  auto compressed = compress(compressor, body);
  if (!compressed.ok() || compressed->size() + kPrefixBytes >= body.size()) return std::nullopt;
  Header header = read_header(message.data());
  std::string out(kHeaderBytes + kPrefixBytes, '\0');
  int32_t original = header.op_code;
  auto size = static_cast<int32_t>(body.size());
  std::memcpy(out.data() + kHeaderBytes, &original, 4);
  std::memcpy(out.data() + kHeaderBytes + 4, &size, 4);
  out[kHeaderBytes + 8] = static_cast<char>(compressor);
  out += *compressed;
  header.op_code = kOpCompressed;
  header.message_length = static_cast<int32_t>(out.size());
  write_header(header, out.data());
  return out;
}

}  // namespace millrace::wire
