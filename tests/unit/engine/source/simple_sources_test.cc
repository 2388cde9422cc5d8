// The sources that need nothing outside: documents, sample; and the spellings that are made one.
#include <gtest/gtest.h>

#include <set>

#include "engine/document/extended_json.h"
#include "engine/source/normalize.h"
#include "engine/source/sources.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

Document json(std::string_view text) {
  auto document = parse_extended_json(text);
  EXPECT_TRUE(document.ok()) << document.status().message();
  return document.ok() ? *document : Document();
}

struct Made {
  Document spec;
  ManualClock clock{1'700'000'000'000};
  ConnectionPtr connection;
  Result<SourcePtr> make(std::string_view text, SourceFunction parse) {
    spec = json(text);
    return parse(SourceContext{spec.value(), connection, nullptr, &clock, "", Value()});
  }
};

Value payload(const SourceBatch& batch, size_t index) {
  return Value::bson_object(batch.payload(batch.records[index]).data());
}

TEST(DocumentsSource, GivesEachDocumentOnceAndEnds) {
  Made made;
  auto source =
      made.make(R"({"documents": [{"a": 1}, {"a": 2}, {"a": 3}]})", parse_documents_source);
  ASSERT_TRUE(source.ok()) << source.status().message();
  ASSERT_TRUE((*source)->open(Value()).ok());
  SourceBatch batch;
  ASSERT_TRUE((*source)->read(batch, 2, milliseconds(0)).ok());
  ASSERT_EQ(batch.records.size(), 2u);
  EXPECT_EQ(to_json(payload(batch, 1)), R"({"a":2})");
  EXPECT_EQ(batch.records[1].timestamp_ms, made.clock.now_ms());
  EXPECT_FALSE(batch.end_of_input);
  Document position = batch.position;
  batch.clear();
  ASSERT_TRUE((*source)->read(batch, 2, milliseconds(0)).ok());
  EXPECT_EQ(batch.records.size(), 1u);
  EXPECT_TRUE(batch.end_of_input);

  // From a checkpoint: what was consumed before it does not come again.
  ASSERT_TRUE((*source)->open(position.value()).ok());
  batch.clear();
  ASSERT_TRUE((*source)->read(batch, 10, milliseconds(0)).ok());
  ASSERT_EQ(batch.records.size(), 1u);
  EXPECT_EQ(to_json(payload(batch, 0)), R"({"a":3})");
}

TEST(DocumentsSource, NoDocumentsEndAtOnce) {
  Made made;
  auto source = made.make(R"({"documents": []})", parse_documents_source);
  ASSERT_TRUE(source.ok());
  ASSERT_TRUE((*source)->open(Value()).ok());
  SourceBatch batch;
  ASSERT_TRUE((*source)->read(batch, 10, milliseconds(0)).ok());
  EXPECT_TRUE(batch.end_of_input);
}

TEST(DocumentsSource, RefusesWhatIsNoDocument) {
  Made made;
  auto source = made.make(R"({"documents": [{"a": 1}, 5]})", parse_documents_source);
  EXPECT_EQ(source.status().code(), 420);
  EXPECT_EQ(source.status().message(),
            "$source.documents must hold documents, but element 1 is of type int");
  EXPECT_EQ(made.make(R"({"documents": "x"})", parse_documents_source).status().code(), 420);
  EXPECT_EQ(made.make(R"({"documents": [], "nope": 1})", parse_documents_source).status().message(),
            "$source has an unknown field 'nope'");
}

ConnectionPtr sample(std::string name) {
  auto connection = std::make_shared<Connection>();
  connection->name = std::move(name);
  return connection;
}

TEST(SampleSource, SolarDocumentsHaveTheDocumentedShape) {
  Made made;
  made.connection = sample("sample_stream_solar");
  auto source = made.make(R"({"connectionName": "sample_stream_solar"})", parse_sample_source);
  ASSERT_TRUE(source.ok());
  ASSERT_TRUE((*source)->open(Value()).ok());
  SourceBatch batch;
  int abnormal = 0, total = 0;
  std::set<std::string> devices;
  for (int second = 0; second < 2000; ++second) {
    batch.clear();
    ASSERT_TRUE((*source)->read(batch, 100, milliseconds(0)).ok());
    ASSERT_GE(batch.records.size(), 1u) << "at once, and each second";
    ASSERT_LE(batch.records.size(), 3u);
    for (size_t i = 0; i < batch.records.size(); ++i) {
      ObjectView event = payload(batch, i).as_object();
      std::string names;
      for (const Field& field : event) names += std::string(field.name()) + " ";
      bool odd = event.get("event_type").as_int32() == 1;
      EXPECT_EQ(names, odd ? "device_id group_id timestamp max_watts event_type event_details "
                           : "device_id group_id timestamp max_watts event_type obs ");
      EXPECT_EQ(event.get("timestamp").as_string().substr(23), "+00:00");
      EXPECT_EQ(event.get("timestamp").as_string().size(), 29u);
      EXPECT_TRUE(event.get("group_id").is(Type::kInt32));
      EXPECT_EQ(event.get("max_watts").as_int32(), 450);
      if (!odd) {
        EXPECT_TRUE(event.get("obs").as_object().get("watts").is(Type::kInt32));
      }
      devices.insert(std::string(event.get("device_id").as_string()));
      abnormal += odd;
      ++total;
    }
    made.clock.advance_ms(1000);
  }
  EXPECT_EQ(devices.size(), 11u);
  EXPECT_GT(abnormal, total * 4 / 100);
  EXPECT_LT(abnormal, total * 12 / 100);
}

TEST(SampleSource, NothingBetweenTheSeconds) {
  Made made;
  made.connection = sample("sample_stream_solar");
  auto source = made.make(R"({"connectionName": "sample_stream_solar"})", parse_sample_source);
  ASSERT_TRUE((*source)->open(Value()).ok());
  SourceBatch batch;
  ASSERT_TRUE((*source)->read(batch, 100, milliseconds(0)).ok());
  batch.clear();
  made.clock.advance_ms(500);
  ASSERT_TRUE((*source)->read(batch, 100, milliseconds(0)).ok());
  EXPECT_TRUE(batch.empty());
}

TEST(SampleSource, OtherSamplesAreRefusedByName) {
  Made made;
  made.connection = sample("samplestock");
  auto source = made.make(R"({"connectionName": "samplestock"})", parse_sample_source);
  EXPECT_EQ(source.status().code(), 420);
  EXPECT_NE(source.status().message().find("'samplestock' is not supported by Millrace yet"),
            std::string::npos);
}

std::string normalized(std::string_view text) {
  auto document = normalize_source(json(text).value());
  return document.ok() ? to_json(document->value()) : document.status().message();
}

TEST(NormalizeSource, OlderSpellingsBecomeTheNewest) {
  EXPECT_EQ(
      normalized(
          R"({"connectionName": "c", "db": "d", "collection": "x", "fullDocument": "required"})"),
      R"({"connectionName":"c","db":"d","coll":"x","config":{"fullDocument":"required"}})");
  EXPECT_EQ(
      normalized(
          R"({"topic": "t", "auto_offset_reset": "earliest", "config": {"keyFormat": "binary"}, "partitionCount": 4})"),
      R"({"topic":"t","config":{"keyFormat":"binData","auto_offset_reset":"earliest"}})");
  EXPECT_EQ(
      normalized(
          R"({"topic": "t", "group_id": "a", "config": {"group_id": "b", "maxAwaitTimeMS": 5}})"),
      R"({"topic":"t","config":{"group_id":"b"}})");
  EXPECT_EQ(
      normalized(
          R"({"db": "d", "readPreference": {"mode": "secondary"}, "config": {"maxAwaitTimeMS": 5}})"),
      R"({"db":"d","readPreference":"secondary","config":{"maxAwaitTimeMS":5}})");
}

TEST(NormalizeSource, LeavesAWrongConfigToBeRefused) {
  EXPECT_EQ(normalized(R"({"topic": "t", "group_id": "a", "config": 5})"),
            R"({"topic":"t","group_id":"a","config":5})");
}

}  // namespace
}  // namespace millrace::engine
