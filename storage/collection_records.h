// The layouts of the small records of local collections, for collections.cc and salvage.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/collections.h"

namespace millrace::storage {

inline constexpr std::string_view kCatalogCounterKey =
    "lastCatalogId";  // in "meta": the last id that was given (8, little-endian)
inline constexpr std::string_view kIndexesLostKey =
    "indexesLost";  // in "meta": there after a salvage, until they are made anew (1)

std::string encode_counter(uint64_t counter);
uint64_t decode_counter(std::string_view payload);

// records (8) bytes (8) last record id (8), little-endian.
std::string encode_statistics(const CollectionStatistics& statistics);
// All zero for a payload of another size (there is none yet).
CollectionStatistics decode_statistics(std::string_view payload);

}  // namespace millrace::storage
