// The layout of an LMDB 0.9 file (data version 1, 64 bit, little-endian), as far as file_check.h
// needs it to read one without trusting it. Source: lmdb.h and the comments on MDB_page, MDB_node,
// MDB_db and MDB_meta in LMDB's mdb.c.
//
//   file  = page*                      page n starts at n * page size; pages 0 and 1 are metas,
//   written in turn page  = number (8) pad (2) flags (2) lower (2) upper (2) body      overflow
//   pages: count (4) instead of lower and upper leaf, branch body = node offset (2) *, up to lower;
//   free space; nodes, from upper to the end of the page, without gaps node  = lo (2) hi (2) flags
//   (2) key bytes (2) key value            even size
//           leaf: value bytes = lo + hi·2^16; flag 1: the value is the number (8) of its first
//           overflow page; flag 2: a database record branch: no value; child page = lo + hi·2^16 +
//           flags·2^32
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::storage {

inline constexpr size_t kPageHeaderBytes = 16;
inline constexpr size_t kNodeHeaderBytes = 8;
inline constexpr uint64_t kNoPage = ~uint64_t{0};
inline constexpr int kMaxTreeDepth = 32;  // LMDB's cursors go no deeper
inline constexpr size_t kMinPageBytes = 512;
inline constexpr size_t kMaxPageBytes = 32768;

enum PageFlags : uint16_t { kBranchPage = 1, kLeafPage = 2, kOverflowPage = 4, kMetaPage = 8 };
enum NodeFlags : uint16_t { kBigValue = 1, kSubDatabase = 2 };

// MDB_db: one tree.
struct LmdbTree {
  uint32_t pad;
  uint16_t flags;
  uint16_t depth;
  uint64_t branch_pages;
  uint64_t leaf_pages;
  uint64_t overflow_pages;
  uint64_t entries;
  uint64_t root;
};
static_assert(sizeof(LmdbTree) == 48);

// MDB_meta. trees[0]: the free pages (its pad is the page size); trees[1]: the named trees.
struct LmdbMeta {
  uint32_t magic;
  uint32_t version;
  uint64_t address;
  uint64_t map_bytes;
  LmdbTree trees[2];
  uint64_t last_page;
  uint64_t transaction;

  uint32_t page_bytes() const { return trees[0].pad; }
};
static_assert(sizeof(LmdbMeta) == 136);

inline constexpr uint32_t kLmdbMagic = 0xBEEFC0DE;
inline constexpr uint32_t kLmdbDataVersion = 1;

struct LmdbNode {
  std::string_view key;
  std::string_view value;    // leaf without kBigValue
  uint64_t page = 0;         // branch: the child; kBigValue: the first overflow page
  uint32_t value_bytes = 0;  // leaf
  uint16_t flags = 0;        // leaf
};

// One page as read from the file; any bytes whatever.
class LmdbPage {
 public:
  // Requires: bytes.size() is a valid page size.
  LmdbPage(uint64_t number, std::string_view bytes) : number_(number), bytes_(bytes) {}

  uint16_t flags() const { return number_at<uint16_t>(10); }
  uint32_t overflow_count() const { return number_at<uint32_t>(12); }
  size_t node_count() const { return (number_at<uint16_t>(12) - kPageHeaderBytes) / 2; }
  // What is wrong with the header, or with the places of the nodes ("" if nothing).
  std::string header_problem(uint16_t expected_flags) const;
  std::string layout_problem() const;
  // None if it does not lie within the page. Requires: header_problem() is empty.
  std::optional<LmdbNode> node(size_t index) const;

 private:
  template <typename T>
  T number_at(size_t offset) const {
    T number;
    std::memcpy(&number, bytes_.data() + offset, sizeof(T));
    return number;
  }
  size_t node_offset(size_t index) const {
    return number_at<uint16_t>(kPageHeaderBytes + 2 * index);
  }

  uint64_t number_;
  std::string_view bytes_;
};

}  // namespace millrace::storage
