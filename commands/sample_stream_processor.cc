// startSampleStreamProcessor and getMoreSampleStreamProcessor:
// https://www.mongodb.com/docs/manual/reference/method/sp.processor.sample/ Drivers read
// `firstBatch` and `nextBatch`, mongosh reads `messages`: both are there.
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {
namespace {

constexpr int64_t kDefaultBatch = 5;  // "5 documents by default" (privilege actions page)
constexpr int64_t kLargestBatch = 1000;
constexpr std::chrono::seconds kLongestWait{1};

void append_batch(std::string_view field, const std::vector<engine::Document>& documents,
                  BsonWriter& reply) {
  reply.begin_array(field);
  size_t index = 0;
  for (const engine::Document& document : documents)
    reply.append_element(index++, document.value());
  reply.end();
}

}  // namespace

Result<Progress> cmd_start_sample_stream_processor(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_ASSIGN_OR_RETURN(Options options, Options::read(request, {}, {"limit"}));
  MR_ASSIGN_OR_RETURN(int64_t limit, options.integer("limit", 0));
  if (limit < 0)
    return engine::Status(engine::ErrorCode::kInvalidOptions, "limit must not be negative");
  MR_ASSIGN_OR_RETURN(auto cursor, request.services.processors->start_sample(name, limit));
  reply.append("name", name);
  reply.append("cursorId", cursor->id());
  append_batch("firstBatch", {}, reply);
  return Progress::kDone;
}

Result<Progress> cmd_get_more_sample_stream_processor(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(std::string name, processor_name(request));
  MR_ASSIGN_OR_RETURN(Options options,
                      Options::read(request, {}, {"cursorId", "cursorID", "batchSize"}));
  bool old_spelling = options.get("cursorId").is_missing();
  if (old_spelling && options.get("cursorID").is_missing()) {
    return engine::Status(
        40414,
        "BSON field 'getMoreSampleStreamProcessor.cursorId' is missing but a required field");
  }
  MR_ASSIGN_OR_RETURN(int64_t id, options.integer(old_spelling ? "cursorID" : "cursorId", 0));
  MR_ASSIGN_OR_RETURN(int64_t batch_size, options.integer("batchSize", kDefaultBatch));
  if (batch_size < 0)
    return engine::Status(engine::ErrorCode::kInvalidOptions, "batchSize must not be negative");
  if (batch_size == 0) batch_size = kDefaultBatch;
  auto& processors = *request.services.processors;
  MR_ASSIGN_OR_RETURN(auto cursor, processors.find_cursor(name, id, owner_of(request)));
  auto now_ns = std::chrono::steady_clock::now().time_since_epoch().count();
  auto taken = cursor->take(static_cast<size_t>(std::min(batch_size, kLargestBatch)), now_ns);
  if (!taken) {
    if (std::chrono::steady_clock::now() - request.received < kLongestWait &&
        !request.client.closed.load())
      return Progress::kWait;
    taken.emplace();
  }
  if (!taken->status.ok()) return taken->status;
  reply.append("cursorId", taken->exhausted ? int64_t{0} : id);
  append_batch("messages", taken->documents, reply);
  append_batch("nextBatch", taken->documents, reply);
  return Progress::kDone;
}

}  // namespace millrace::commands
