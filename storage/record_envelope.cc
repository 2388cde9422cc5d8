#include "storage/record_envelope.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace millrace::storage {
namespace {

struct Header {
  uint8_t kind;
  uint8_t version;
  uint16_t zero;
  uint32_t payload_bytes;
};
static_assert(sizeof(Header) == 8);

uint64_t checksum_of(const Header& header, std::string_view key, std::string_view payload) {
  uint64_t seed;
  std::memcpy(&seed, &header, sizeof(seed));
  seed = XXH3_64bits_withSeed(key.data(), key.size(), seed);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), seed);
}

bool is_text(std::string_view bytes) {
  for (unsigned char c : bytes)
    if (c < 0x20 || c == 0x7f) return false;
  return true;
}

std::string readable(std::string_view bytes) {
  if (is_text(bytes)) return std::string(bytes);
  std::string hex = "0x";
  for (unsigned char c : bytes.substr(0, 32)) hex += fmt::format("{:02x}", c);
  return bytes.size() > 32 ? hex + "…" : hex;
}

// Layout: checkpoints.cc.
std::string checkpoint_name(std::string_view key) {
  auto end = key.find('\0');
  if (end == std::string_view::npos || key.size() < end + 10) return readable(key);
  auto name = fmt::format("{}, checkpoint {}", readable(key.substr(0, end)),
                          read_big_endian(key.data() + end + 1));
  return key[end + 9] == 0 ? name : fmt::format("{}, {}", name, readable(key.substr(end + 10)));
}

}  // namespace

uint64_t seal_record(Table table, std::string_view key, std::string_view payload, char* out) {
  Header header{static_cast<uint8_t>(table), table_row(table).version, 0,
                static_cast<uint32_t>(payload.size())};
  uint64_t checksum = checksum_of(header, key, payload);
  std::memcpy(out, &header, 8);
  std::memcpy(out + 8, &checksum, 8);
  if (!payload.empty()) std::memcpy(out + kEnvelopeBytes, payload.data(), payload.size());
  return checksum;
}

OpenedRecord open_record_of_any_table(std::string_view key, std::string_view stored) {
  constexpr OpenedRecord kDamaged{Soundness::kDamaged, Table::kMeta, {}};
  if (stored.size() < kEnvelopeBytes) return kDamaged;
  Header header;
  std::memcpy(&header, stored.data(), 8);
  auto payload = stored.substr(kEnvelopeBytes);
  if (header.payload_bytes != payload.size() || header.kind == 0 || header.kind > kTableCount)
    return kDamaged;
  if (checksum_of(header, key, payload) != stored_checksum(stored)) return kDamaged;
  auto table = static_cast<Table>(header.kind);
  if (header.version > table_row(table).version) return {Soundness::kNewer, table, {}};
  return {Soundness::kSound, table, payload};
}

OpenedRecord open_record(Table table, std::string_view key, std::string_view stored) {
  auto record = open_record_of_any_table(key, stored);
  if (record.soundness != Soundness::kDamaged && record.table != table)
    record.soundness = Soundness::kDamaged;
  return record;
}

std::string record_name(Table table, std::string_view key) {
  switch (table) {
    case Table::kRecords:
      if (key.size() != 16) return readable(key);
      return fmt::format("collection {}, record {}", read_big_endian(key.data()),
                         read_big_endian(key.data() + 8));
    case Table::kIndexes:
      if (key.size() < 8) return readable(key);
      return fmt::format("index {}, key {}", read_big_endian(key.data()), readable(key.substr(8)));
    case Table::kCollectionStatistics:
      return key.size() == 8 ? fmt::format("collection {}", read_big_endian(key.data()))
                             : readable(key);
    case Table::kCheckpoints:
      return checkpoint_name(key);
    default:
      return readable(key);
  }
}

Status damaged_record_error(Table table, std::string_view key) {
  return {
      ErrorCode::kDataCorruptionDetected,
      fmt::format("record \"{}\" in table {} is damaged: its checksum does not fit; it is not used",
                  record_name(table, key), table_row(table).name)};
}

Status newer_record_error(Table table, std::string_view key) {
  return {ErrorCode::kUnsupportedFormat,
          fmt::format("record \"{}\" in table {} was written by a newer version of Millrace",
                      record_name(table, key), table_row(table).name)};
}

}  // namespace millrace::storage
