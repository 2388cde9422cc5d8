// The envelope around every stored value, and the table of record kinds.
//
//   stored value = header (8) checksum (8) payload
//   header       = kind (1: Table) version (1: of this kind of record) zero (2) payload bytes (4)
//   checksum     = XXH3-64 of the payload, seeded with XXH3-64 of the key, seeded with the header
//
// All numbers little-endian. Because key and kind take part, a value that turns up under another
// key or in another table is noticed.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "storage/store.h"

namespace millrace::storage {

inline constexpr size_t kEnvelopeBytes = 16;

struct TableRow {
  Table table;
  const char* name;  // of the LMDB database
  uint8_t version;   // of the records that this build writes; it reads this one and all before
};

// clang-format off
inline constexpr std::array kTables = {
    TableRow{Table::kMeta,                 "meta",             1},
    TableRow{Table::kProcessors,           "processors",       1},
    TableRow{Table::kConnections,          "connections",      1},
    TableRow{Table::kCheckpoints,          "checkpoints",      1},
    TableRow{Table::kCheckpointHeads,      "checkpointHeads",  1},
    TableRow{Table::kStats,                "stats",            1},
    TableRow{Table::kCatalog,              "catalog",          1},
    TableRow{Table::kRecords,              "records",          1},
    TableRow{Table::kIndexes,              "indexes",          1},
    TableRow{Table::kCollectionStatistics, "collectionStats",  1},
    TableRow{Table::kSummaries,            "summaries",        1},
};
// clang-format on
inline constexpr size_t kTableCount = kTables.size();

inline constexpr size_t table_index(Table table) { return static_cast<size_t>(table) - 1; }
inline constexpr const TableRow& table_row(Table table) { return kTables[table_index(table)]; }
static_assert([] {
  for (size_t i = 0; i < kTableCount; ++i)
    if (table_index(kTables[i].table) != i) return false;
  return true;
}());

// Writes the envelope and the payload to `out`, kEnvelopeBytes + payload.size() bytes of any
// alignment. Returns the checksum.
uint64_t seal_record(Table table, std::string_view key, std::string_view payload, char* out);

enum class Soundness { kSound, kDamaged, kNewer };

struct OpenedRecord {
  Soundness soundness;
  Table table;               // as the envelope says; only when not damaged
  std::string_view payload;  // only when sound
};

// Any bytes whatever. `table` is where they were found: a sound record of another kind is kDamaged.
OpenedRecord open_record(Table table, std::string_view key, std::string_view stored);
// The same, believing the envelope about the table: for a file whose list of tables is damaged.
OpenedRecord open_record_of_any_table(std::string_view key, std::string_view stored);

// The checksum as it stands in the envelope, sound or not. 0 for fewer bytes than an envelope.
inline uint64_t stored_checksum(std::string_view stored) {
  uint64_t checksum = 0;
  if (stored.size() >= kEnvelopeBytes) std::memcpy(&checksum, stored.data() + 8, 8);
  return checksum;
}

// What a person would call the record: "orders", "solarDemo, checkpoint 12, stage 2", "collection
// 3, record 17".
std::string record_name(Table table, std::string_view key);
Status damaged_record_error(Table table, std::string_view key);
Status newer_record_error(Table table, std::string_view key);

// Eight bytes, most significant first: so that memcmp orders numbers in keys.
inline void append_big_endian(std::string& out, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}
inline uint64_t read_big_endian(const char* bytes) {
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

// Payload of a record in the table "summaries": what the records of one table must add up to.
// Additions wrap around.
struct TableSummary {
  uint64_t records = 0;
  uint64_t checksums = 0;
};

}  // namespace millrace::storage
