#include "engine/document/arena.h"

#include <algorithm>

namespace millrace::engine {

void* Arena::allocate_slow(size_t size) {
  size_t next =
      chunks_.empty() ? kFirstChunkBytes : std::min(chunks_.back().size * 2, kMaxChunkBytes);
  size_t bytes = std::max(next, size + 16);
  chunks_.push_back({std::unique_ptr<char[]>(new char[bytes]), bytes});
  capacity_ += bytes;
  cursor_ = (reinterpret_cast<uintptr_t>(chunks_.back().data.get()) + 15) & ~uintptr_t{15};
  end_ = reinterpret_cast<uintptr_t>(chunks_.back().data.get()) + bytes;
  void* at = reinterpret_cast<void*>(cursor_);
  cursor_ += size;
  return at;
}

void Arena::reset() {
  if (chunks_.empty()) return;
  auto largest = std::max_element(chunks_.begin(), chunks_.end(),
                                  [](const Chunk& a, const Chunk& b) { return a.size < b.size; });
  Chunk kept = std::move(*largest);
  chunks_.clear();
  capacity_ = kept.size;
  cursor_ = (reinterpret_cast<uintptr_t>(kept.data.get()) + 15) & ~uintptr_t{15};
  end_ = reinterpret_cast<uintptr_t>(kept.data.get()) + kept.size;
  chunks_.push_back(std::move(kept));
}

}  // namespace millrace::engine
