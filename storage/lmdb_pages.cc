#include "storage/lmdb_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::storage {

std::string LmdbPage::header_problem(uint16_t expected_flags) const {
  if (number_at<uint64_t>(0) != number_)
    return fmt::format("it says that it is page {}", number_at<uint64_t>(0));
  if (flags() != expected_flags)
    return fmt::format("its kind is {:#x} and should be {:#x}", flags(), expected_flags);
  if (number_at<uint16_t>(8) != 0) return "its header is not as LMDB writes it";
  if (expected_flags & kOverflowPage) return {};
  size_t lower = number_at<uint16_t>(12), upper = number_at<uint16_t>(14);
  if (lower <= kPageHeaderBytes || lower % 2 != 0 || lower > upper || upper > bytes_.size()) {
    return "its table of contents is not within the page";
  }
  return {};
}

std::string LmdbPage::layout_problem() const {
  std::vector<std::pair<size_t, size_t>> extents;  // offset, end
  extents.reserve(node_count());
  for (size_t i = 0; i < node_count(); ++i) {
    auto n = node(i);
    if (!n) return fmt::format("entry {} is not within the page", i);
    size_t bytes = kNodeHeaderBytes + n->key.size();
    if (flags() & kLeafPage) bytes += n->flags & kBigValue ? 8 : n->value_bytes;
    extents.emplace_back(node_offset(i), node_offset(i) + bytes + bytes % 2);
  }
  std::sort(extents.begin(), extents.end());
  size_t expected = number_at<uint16_t>(14);
  for (auto [offset, end] : extents) {
    if (offset != expected) return "its entries overlap or leave gaps";
    expected = end;
  }
  return expected == bytes_.size() ? std::string() : "its entries overlap or leave gaps";
}

std::optional<LmdbNode> LmdbPage::node(size_t index) const {
  size_t offset = node_offset(index);
  if (offset < kPageHeaderBytes || offset + kNodeHeaderBytes > bytes_.size()) return std::nullopt;
  auto lo = number_at<uint16_t>(offset), hi = number_at<uint16_t>(offset + 2);
  auto flags = number_at<uint16_t>(offset + 4), key_bytes = number_at<uint16_t>(offset + 6);
  size_t at = offset + kNodeHeaderBytes;
  if (at + key_bytes > bytes_.size()) return std::nullopt;
  LmdbNode node;
  node.key = bytes_.substr(at, key_bytes);
  at += key_bytes;
  if (this->flags() & kBranchPage) {
    node.page = lo | uint64_t{hi} << 16 | uint64_t{flags} << 32;
    return node;
  }
  node.flags = flags;
  node.value_bytes = lo | uint32_t{hi} << 16;
  size_t inline_bytes = flags & kBigValue ? 8 : node.value_bytes;
  if (inline_bytes > bytes_.size() - at) return std::nullopt;
  if (flags & kBigValue) {
    node.page = number_at<uint64_t>(at);
  } else {
    node.value = bytes_.substr(at, inline_bytes);
  }
  return node;
}

}  // namespace millrace::storage
