// The `cursor` field of replies: {firstBatch | nextBatch: […], id: <int64>, ns}.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/command.h"
#include "commands/local/cursor_registry.h"

namespace millrace::commands {

inline constexpr int64_t kDefaultFirstBatch = 101;          // documents
inline constexpr size_t kMaxBatchBytes = size_t{16} << 20;  // of one reply

struct CursorOptions {
  std::optional<int64_t> batch_size;
  bool single_batch = false;
  bool no_cursor_timeout = false;
  bool tailable = false;
  bool await_data = false;
};

// Writes the first batch; what is left waits in the registry for getMore.
engine::Status write_first_batch(Request& request, std::unique_ptr<DocumentStream> stream,
                                 std::string ns, const CursorOptions& options,
                                 engine::BsonWriter& reply);

// Writes documents of `cursor` until `count` or kMaxBatchBytes are reached. Returns how many.
engine::Result<int64_t> fill_batch(storage::Store& store, LocalCursor& cursor, int64_t count,
                                   engine::BsonWriter& reply);
// Nothing is left; looks ahead by one document where that is not known yet.
engine::Result<bool> is_exhausted(storage::Store& store, LocalCursor& cursor);

// Documents that are all there already: lists of collections and indexes.
std::unique_ptr<DocumentStream> stream_of(const std::vector<engine::Document>& documents);

// The `cursor: {batchSize}` of aggregate and of the lists. Errors: 14, 51024.
engine::Result<CursorOptions> read_cursor_options(const Request& request);

}  // namespace millrace::commands
