// A case file, read and checked. What may stand in one: FORMAT.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/status.h"
#include "engine/runtime/definition.h"
#include "engine/runtime/pipeline.h"
#include "engine/testing/timed_source.h"

namespace millrace::engine {

// An error that a case expects.
struct ExpectedError {
  std::optional<int64_t> code;
  std::optional<std::string> message;  // a part of it
};

// One element of `input`.
struct CaseStep {
  enum class Kind : uint8_t {
    kWait,  // only time passes
    kEvents,
    kStop,
    kStart,
    kRestart,
    kModify,
  };
  Kind kind = Kind::kWait;
  std::optional<int64_t> at_ms;  // the clock is moved there first
  std::vector<TestEvent> events;
  bool resume = true;                    // of start, restart and modify
  std::optional<Document> pipeline;      // of modify: {pipeline: [...]}
  std::optional<DeadLetterOptions> dlq;  // of modify
  std::optional<ExpectedError> error;    // what start, restart or modify answers
  bool has_output = false;               // `output` is given
  bool has_letters = false;
  std::vector<Value> output;
  std::vector<Value> letters;
};

struct TestCase {
  std::string name;
  ProcessorDefinition definition;
  Value connections;
  int64_t start_ms = 0;
  StreamMetadata metadata = StreamMetadata::kAuto;
  int64_t memory_limit_bytes = int64_t{1} << 30;
  int32_t partitions = 1;
  bool restarts = true;
  std::vector<CaseStep> steps;
  bool by_step = false;  // expectations stand beside the steps
  bool has_events = false;

  // `expect`.
  bool has_expectations = false;  // there is anything at all to compare
  bool any_order = false;
  std::optional<std::vector<Value>> output;
  std::optional<std::vector<std::pair<std::string, std::vector<Value>>>> output_by_target;
  bool ignore_letters = false;
  std::vector<Value> letters;
  Value stats;       // missing: not compared
  Value still_open;  // a number, an array, or missing
  std::optional<ExpectedError> error;
};

// The values in `cases` live as long as `content`.
struct CaseFile {
  std::filesystem::path path;
  std::string text;
  Document content;
  std::vector<std::unique_ptr<Arena>> arenas;  // of the files that it names
  bool single = false;                         // the file is one case and has no `cases`
  std::vector<TestCase> cases;
  std::vector<std::filesystem::path> references;  // files that the cases name
};

// Errors: 9 FailedToParse and 2 BadValue, saying where in the file.
Result<CaseFile> read_case_file(const std::filesystem::path& path);

}  // namespace millrace::engine
