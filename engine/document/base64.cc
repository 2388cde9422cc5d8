#include "engine/document/base64.h"

#include <array>
#include <cstdint>

namespace millrace::engine {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kInvalid = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kInvalid);
  for (uint8_t i = 0; i < 64; ++i) values[static_cast<uint8_t>(kAlphabet[i])] = i;
  return values;
}();

uint8_t value_of(char c) { return kValues[static_cast<uint8_t>(c)]; }

}  // namespace

char* base64_encode(std::string_view bytes, char* to) {
  auto byte = [&bytes](size_t i) { return uint32_t{static_cast<uint8_t>(bytes[i])}; };
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    *to++ = kAlphabet[group >> 18];
    *to++ = kAlphabet[group >> 12 & 63];
    *to++ = kAlphabet[group >> 6 & 63];
    *to++ = kAlphabet[group & 63];
  }
  if (i == bytes.size()) return to;
  bool two = i + 2 == bytes.size();
  uint32_t group = byte(i) << 16 | (two ? byte(i + 1) << 8 : 0);
  *to++ = kAlphabet[group >> 18];
  *to++ = kAlphabet[group >> 12 & 63];
  *to++ = two ? kAlphabet[group >> 6 & 63] : '=';
  *to++ = '=';
  return to;
}

std::optional<std::string_view> base64_decode(std::string_view text, Arena& arena) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  size_t size = text.size() / 4 * 3 - padding;
  text.remove_suffix(padding);
  char* bytes = arena.allocate_array<char>(size + 1);
  char* at = bytes;
  uint32_t group = 0;
  int bits = 0;
  for (char c : text) {
    uint8_t value = value_of(c);
    if (value == kInvalid) return std::nullopt;
    group = group << 6 | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      *at++ = static_cast<char>(group >> bits);
    }
  }
  return std::string_view(bytes, size);
}

}  // namespace millrace::engine
