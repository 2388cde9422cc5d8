// A bump allocator: what is made while a batch is processed lives here and dies with it. No
// destructors run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace millrace::engine {

// Single-threaded. Pointers stay valid until reset() or destruction.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // `size` bytes, aligned to `alignment` (a power of two, at most 16).
  void* allocate(size_t size, size_t alignment = 8) {
    uintptr_t at = (cursor_ + alignment - 1) & ~(alignment - 1);
    if (at + size > end_) [[unlikely]]
      return allocate_slow(size);
    cursor_ = at + size;
    return reinterpret_cast<void*>(at);
  }

  // Uninitialised storage for `count` objects of a trivially destructible type.
  template <typename T>
  T* allocate_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
  }

  template <typename T, typename... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T{std::forward<Args>(args)...};
  }

  // Gives back the end of the newest allocation: `last` must be its address, `used` <= its size.
  // Cheap way to trim a writer's reserve.
  void shrink_last(void* last, size_t used) { cursor_ = reinterpret_cast<uintptr_t>(last) + used; }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return "";
    char* to = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  // Drops everything; keeps the largest chunk for reuse.
  void reset();

  // Bytes taken from the system.
  size_t capacity_bytes() const { return capacity_; }

 private:
  void* allocate_slow(size_t size);

  struct Chunk {
    std::unique_ptr<char[]> data;
    size_t size;
  };
  static constexpr size_t kFirstChunkBytes = 16 << 10;
  static constexpr size_t kMaxChunkBytes = 4 << 20;

  uintptr_t cursor_ = 0;
  uintptr_t end_ = 0;
  size_t capacity_ = 0;
  std::vector<Chunk> chunks_;
};

}  // namespace millrace::engine
