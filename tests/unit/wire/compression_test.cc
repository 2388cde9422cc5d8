#include "wire/compression.h"

#include <gtest/gtest.h>

#include <cstring>

namespace millrace::wire {
namespace {

constexpr Compressor kAll[] = {Compressor::kNoop, Compressor::kSnappy, Compressor::kZlib,
                               Compressor::kZstd};

// A message of a little more than `size` bytes that compresses well.
std::string sample_message(size_t size) {
  std::string message(kHeaderBytes, '\0');
  for (size_t i = 0; message.size() < size; ++i) message += "field" + std::to_string(i % 7);
  write_header({static_cast<int32_t>(message.size()), 11, 22, kOpMsg}, message.data());
  return message;
}

std::string packed(Compressor compressor, const std::string& message) {
  auto out = pack(compressor, message);
  EXPECT_TRUE(out.has_value());
  return out.value_or("");
}

void set_int32(std::string& message, size_t at, int32_t value) {
  std::memcpy(message.data() + at, &value, 4);
}

TEST(Compression, WhatIsPackedUnpacksToTheSameBytes) {
  for (auto compressor : {Compressor::kSnappy, Compressor::kZlib, Compressor::kZstd}) {
    for (size_t size : {600, 5000, 3'000'000}) {
      std::string message = sample_message(size);
      std::string small = packed(compressor, message);
      EXPECT_LT(small.size(), message.size());
      Header header = read_header(small.data());
      EXPECT_EQ(header.op_code, kOpCompressed);
      EXPECT_EQ(header.message_length, static_cast<int32_t>(small.size()));
      EXPECT_EQ(header.request_id, 11);
      EXPECT_EQ(header.response_to, 22);
      auto unpacked = unpack(small);
      ASSERT_TRUE(unpacked.ok()) << unpacked.status().message();
      EXPECT_EQ(unpacked->message.view(), message);
      EXPECT_EQ(unpacked->compressor, compressor);
    }
  }
}

TEST(Compression, WhatDoesNotPayIsNotPacked) {
  EXPECT_FALSE(pack(Compressor::kZlib, sample_message(100)));
  EXPECT_FALSE(pack(Compressor::kNoop, sample_message(10'000)));
}

TEST(Compression, AnnouncedSizeMustBeTheRealOne) {
  std::string bytes(1000, 'x');
  for (auto compressor : kAll) {
    auto small = compress(compressor, bytes);
    ASSERT_TRUE(small.ok());
    EXPECT_TRUE(decompress(compressor, *small, 1000).ok());
    for (size_t wrong : {size_t{0}, size_t{1}, size_t{999}, size_t{1001}, size_t{40'000'000}}) {
      EXPECT_FALSE(decompress(compressor, *small, wrong).ok())
          << static_cast<int>(compressor) << " " << wrong;
    }
    for (size_t cut = 0; cut < small->size(); ++cut) {
      EXPECT_FALSE(decompress(compressor, std::string_view(*small).substr(0, cut), 1000).ok())
          << static_cast<int>(compressor) << " " << cut;
    }
  }
}

TEST(Compression, WhatMustNotBeUnpackedIsRefusedBeforeAnythingIsAllocated) {
  std::string good = packed(Compressor::kZlib, sample_message(1000));
  ASSERT_TRUE(unpack(good).ok());
  auto refused = [&](auto change) {
    std::string bad = good;
    change(bad);
    auto result = unpack(bad);
    EXPECT_FALSE(result.ok());
    return result.status().message();
  };
  EXPECT_NE(refused([](std::string& m) { set_int32(m, 16, kOpCompressed); }).find("inside"),
            std::string::npos);
  EXPECT_NE(refused([](std::string& m) { set_int32(m, 20, kMaxMessageBytes); }).find("size"),
            std::string::npos);
  EXPECT_NE(refused([](std::string& m) { set_int32(m, 20, -1); }).find("size"), std::string::npos);
  EXPECT_NE(refused([](std::string& m) { m[24] = 4; }).find("unknown compressor 4"),
            std::string::npos);
  EXPECT_NE(refused([](std::string& m) { m.resize(24); }).find("cut off"), std::string::npos);
}

}  // namespace
}  // namespace millrace::wire
