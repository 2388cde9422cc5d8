#include "commands/cursor_reply.h"

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/local/local_database.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr int64_t kDocumentsPerStep = 1000;

class ListStream final : public DocumentStream {
 public:
  explicit ListStream(const std::vector<engine::Document>& documents) : documents_(documents) {}
  Status next(storage::Store&, size_t wanted, std::deque<std::string>& out) override {
    for (; wanted > 0 && at_ < documents_.size(); --wanted)
      out.emplace_back(documents_[at_++].bytes());
    return {};
  }
  bool ended() const override { return at_ == documents_.size(); }

 private:
  std::vector<engine::Document> documents_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<DocumentStream> stream_of(const std::vector<engine::Document>& documents) {
  return std::make_unique<ListStream>(documents);
}

Result<int64_t> fill_batch(storage::Store& store, LocalCursor& cursor, int64_t count,
                           BsonWriter& reply) {
  int64_t sent = 0;
  size_t bytes = 0;
  while (sent < count) {
    if (cursor.pending.empty()) {
      if (cursor.stream->ended()) break;
      MR_RETURN_IF_ERROR(cursor.stream->next(
          store, static_cast<size_t>(std::min(count - sent, kDocumentsPerStep)), cursor.pending));
      if (cursor.pending.empty() && cursor.tailable) break;
      continue;
    }
    const std::string& document = cursor.pending.front();
    if (sent > 0 && bytes + document.size() > kMaxBatchBytes) break;
    bytes += document.size();
    reply.append_element(static_cast<size_t>(sent++), Value::bson_object(document.data()));
    cursor.pending.pop_front();
  }
  return sent;
}

Result<bool> is_exhausted(storage::Store& store, LocalCursor& cursor) {
  while (cursor.pending.empty() && !cursor.stream->ended() && !cursor.tailable) {
    MR_RETURN_IF_ERROR(cursor.stream->next(store, 1, cursor.pending));
  }
  return cursor.pending.empty() && cursor.stream->ended();
}

Status write_first_batch(Request& request, std::unique_ptr<DocumentStream> stream, std::string ns,
                         const CursorOptions& options, BsonWriter& reply) {
  LocalDatabase& local = *request.services.database;
  auto cursor = std::make_unique<LocalCursor>();
  cursor->ns = ns;
  cursor->session = std::string(session_id(request));
  cursor->stream = std::move(stream);
  cursor->no_timeout = options.no_cursor_timeout;
  cursor->tailable = options.tailable;
  cursor->await_data = options.await_data;
  int64_t count = options.batch_size.value_or(kDefaultFirstBatch);
  reply.begin_object("cursor");
  reply.begin_array("firstBatch");
  MR_RETURN_IF_ERROR(fill_batch(local.store(), *cursor, count, reply).status());
  reply.end();
  bool exhausted = options.single_batch;
  if (!exhausted && count > 0) {
    MR_ASSIGN_OR_RETURN(exhausted, is_exhausted(local.store(), *cursor));
  }
  int64_t id = exhausted ? 0 : local.cursors().add(std::move(cursor), local.clock().monotonic_ns());
  reply.append("id", id);
  reply.append("ns", ns);
  reply.end();
  return {};
}

Result<CursorOptions> read_cursor_options(const Request& request) {
  CursorOptions options;
  Value cursor = request.get("cursor");
  if (cursor.is_nullish()) return options;
  if (!cursor.is_object())
    return Status(ErrorCode::kTypeMismatch, "cursor field must be missing or an object");
  for (const auto& field : cursor.as_object()) {
    if (!field.has_name("batchSize"))
      return Status(40415,
                    "BSON field 'cursor." + std::string(field.name()) + "' is an unknown field.");
  }
  MR_ASSIGN_OR_RETURN(options.batch_size, Arguments("cursor", cursor).count("batchSize"));
  return options;
}

}  // namespace millrace::commands
