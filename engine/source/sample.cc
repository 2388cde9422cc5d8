// The sample connections: streams that Millrace makes up. Only sample_stream_solar, readings of
// solar panels, exists so far. Shape:
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/quickstart/ and the captures in public
// tours.
#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <thread>

#include "engine/connection/options.h"
#include "engine/document/extended_json.h"
#include "engine/source/sources.h"

namespace millrace::engine {
namespace {

constexpr int64_t kIntervalMs = 1000;
constexpr int kMaxWatts = 450;

// What the client skills name beside the solar stream; their shapes are documented nowhere.
constexpr std::array<std::string_view, 5> kOtherSamples = {
    "samplecommerce", "sampleiot", "samplelog", "samplestock", "sampleweather"};

class SolarSource final : public Source {
 public:
  explicit SolarSource(const Clock* clock) : clock_(clock) {}

  std::string_view name() const override { return "SampleDataSourceOperator"; }
  std::string_view type() const override { return "generated"; }

  // {emitted: <long>}: nothing is replayed, but the count goes on.
  Status open(const Value& position) override {
    Value emitted = position.is_object() ? position.as_object().get("emitted") : Value();
    emitted_ = emitted.is_integer() ? emitted.integer_value() : 0;
    next_due_ms_ = clock_->now_ms();
    return {};
  }

  Status read(SourceBatch& batch, size_t max_records, std::chrono::milliseconds max_wait) override {
    batch.format = PayloadFormat::kBson;
    int64_t now = clock_->now_ms();
    if (now < next_due_ms_) {
      std::this_thread::sleep_for(
          std::min(max_wait, std::chrono::milliseconds(next_due_ms_ - now)));
      now = clock_->now_ms();
    }
    batch.ingest_ms = now;
    if (now >= next_due_ms_) {
      // A stream that was held back does not catch up: it shows the present.
      next_due_ms_ += kIntervalMs;
      if (next_due_ms_ <= now) next_due_ms_ = now + kIntervalMs;
      auto count = std::min<size_t>(static_cast<size_t>(uniform(1, 3)), max_records);
      for (size_t i = 0; i < count; ++i) emit(batch, now);
    }
    BsonWriter position;
    position.begin_document();
    position.append("emitted", emitted_);
    position.end();
    batch.position = Document(position.bytes());
    batch.seal();
    return {};
  }

 private:
  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void emit(SourceBatch& batch, int64_t now) {
    std::string timestamp;
    append_iso_date(now, timestamp);
    timestamp.pop_back();  // the stream spells UTC as +00:00
    timestamp += "+00:00";
    bool abnormal = uniform(1, 100) <= 8;  // with details in place of a reading

    writer_.clear();
    writer_.begin_document();
    writer_.append("device_id", "device_" + std::to_string(uniform(0, 10)));
    writer_.append("group_id", int32_t{uniform(0, 10)});
    writer_.append("timestamp", timestamp);
    writer_.append("max_watts", int32_t{kMaxWatts});
    writer_.append("event_type", int32_t{abnormal ? 1 : 0});
    if (abnormal) {
      writer_.append("event_details", "Network error");
    } else {
      writer_.begin_object("obs");
      writer_.append("watts", int32_t{uniform(0, kMaxWatts)});
      writer_.append("temp", int32_t{uniform(5, 25)});
      writer_.end();
    }
    writer_.end();
    SourceRecord& record = batch.add(writer_.bytes());
    record.offset = emitted_++;
    record.timestamp_ms = now;
  }

  // Configuration.
  const Clock* clock_;
  // State that a checkpoint saves.
  int64_t emitted_ = 0;
  // State that it does not.
  int64_t next_due_ms_ = 0;
  std::minstd_rand random_{std::random_device{}()};
  BsonWriter writer_;
};

}  // namespace

Result<SourcePtr> parse_sample_source(const SourceContext& context) {
  Options options(context.spec, "$source");
  MR_RETURN_IF_ERROR(options.only({"connectionName", "timeField", "tsFieldName"}));
  const std::string& name = context.connection->name;
  if (name == "sample_stream_solar") return SourcePtr(std::make_unique<SolarSource>(context.clock));
  bool known = std::find(kOtherSamples.begin(), kOtherSamples.end(), name) != kOtherSamples.end();
  return Status(ErrorCode::kStreamProcessorInvalidOptions,
                "the sample '" + name +
                    (known ? "' is not supported by Millrace yet" : "' does not exist") +
                    "; sample_stream_solar is the one there is");
}

}  // namespace millrace::engine
