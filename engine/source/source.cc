#include "engine/source/source.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace millrace::engine {

char* SourceBatch::reserve(size_t size) {
  size_t needed = used_ + size + 1 + kPadding;
  if (needed > capacity_) {
    size_t capacity = std::max(needed, capacity_ * 2);
    buffer_ = static_cast<char*>(std::realloc(buffer_, capacity));
    capacity_ = capacity;
  }
  return buffer_ + used_;
}

SourceRecord& SourceBatch::commit(size_t size) {
  SourceRecord& record = add_line(used_, size);
  used_ += size;
  buffer_[used_++] = '\n';
  return record;
}

SourceRecord& SourceBatch::add_line(size_t at, size_t size) {
  SourceRecord& record = records.emplace_back();
  record.payload_at = static_cast<uint32_t>(at);
  record.payload_size = static_cast<uint32_t>(size);
  return record;
}

void SourceBatch::seal() {
  reserve(0);
  std::memset(buffer_ + used_, 0, kPadding);
}

void SourceBatch::clear() {
  records.clear();
  arena.reset();
  used_ = 0;
  position = Document();
  end_of_input = false;
}

}  // namespace millrace::engine
