// A source that gives what a test case says, when the case says it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/document/clock.h"
#include "engine/source/source.h"

namespace millrace::engine {

// One event as a case writes it, before a source has made a record of it.
struct TestEvent {
  Value document;   // an object, or missing when `raw` is given; outlives the run
  std::string raw;  // the bytes of a Kafka message
  bool has_raw = false;
  bool tombstone = false;  // a Kafka message whose value is null
  std::string topic;       // "": the source's first
  int32_t partition = 0;
  Value key;      // missing: none
  Value headers;  // [{k, v}] or {name: value}; missing: none
  int64_t timestamp_ms = 0;
  bool has_timestamp = false;  // given by the case; else it is the time of arrival
};

// Everything that has arrived at a test's source, whether or not a processor was running. Outlives
// the sources that read it.
class TestInput {
 public:
  void arrive(const TestEvent& event) { events_.push_back(event); }
  size_t size() const { return events_.size(); }
  const TestEvent& at(size_t index) const { return events_[index]; }

 private:
  std::vector<TestEvent> events_;
};

struct TimedSourceOptions {
  const TestInput* input = nullptr;
  int32_t partitions = 1;     // of each topic
  size_t batch_limit = 1000;  // records of one read()
};

// The stand-in for `real`: a reader of `options.input` that behaves like it (name, metadata, where
// it begins). Open it to learn what the case cannot have: errors come from there.
SourcePtr make_timed_source(const SourceContext& context, const Source& real,
                            TimedSourceOptions options);

// A reader of the documents that stand in $source itself, at most `batch_limit` at a time.
SourcePtr make_limited_documents_source(const SourceContext& context, size_t batch_limit);

}  // namespace millrace::engine
