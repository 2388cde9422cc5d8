// The record "identity" in the table "meta": what tells a Millrace database from a foreign file,
// and one data directory from another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/store.h"

namespace millrace::storage {

inline constexpr int32_t kFormatVersion = 1;  // of the whole file: tables, keys, envelope
inline constexpr std::string_view kIdentityKey = "identity";

Identity make_identity(const engine::Clock* clock);
std::string encode_identity(const Identity& identity, int32_t format_version = kFormatVersion);
// Errors: 12 UnsupportedFormat for a newer format version or a foreign record.
Result<Identity> decode_identity(std::string_view payload);

}  // namespace millrace::storage
