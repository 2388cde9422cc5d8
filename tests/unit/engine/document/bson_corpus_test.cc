// Runs the BSON and decimal128 test data of the MongoDB specifications (tests/bson-corpus, as
// published there) against the BSON validator and the Extended JSON reader and writer. What is
// asked of each kind of case: "Testing BSON" in the corpus' own README,
// https://github.com/mongodb/specifications/blob/master/source/bson-corpus/bson-corpus.md
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/document/bson.h"
#include "engine/document/decimal.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

namespace dom = simdjson::dom;

// Cases we do not meet on purpose. A case of this list that starts to pass is a failure too: it has
// to go from the list.
constexpr std::string_view kNotMet[] = {
    // Extended JSON v1 wrote dates before 1970 and after 9999 as a plain number of milliseconds;
    // files and tools still do.
    "top: Bad $date (number, not string or hash)",
};

std::string bytes_from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// One spelling for texts that differ only in space, escapes, or the case of a double's exponent.
std::string normal(std::string_view json) {
  dom::parser parser;
  dom::element element;
  if (auto error = parser.parse(simdjson::padded_string(json)).get(element))
    return std::string(simdjson::error_message(error));
  std::string text = simdjson::minify(element);
  for (size_t at = 0; (at = text.find("numberDouble\":\"", at)) != std::string::npos; at += 15) {
    for (size_t i = at + 15; text[i] != '"'; ++i) {
      if (text[i] == 'E') text[i] = 'e';
    }
  }
  return text;
}

std::string print(std::string_view bson, JsonFormat format) {
  return normal(to_json(Value::bson_object(bson.data()), format));
}

// BSON as we would write it: read into a tree, and encoded again.
std::string encoded_again(std::string_view bson) {
  Arena arena;
  return std::string(Document(deep_copy(Value::bson_object(bson.data()), arena)).bytes());
}

std::string text_of(dom::element object, std::string_view key) {
  std::string_view text;
  return object[key].get(text) ? std::string() : std::string(text);
}

void expect_reads_as(const std::string& json, std::string_view bson) {
  auto document = parse_extended_json(json);
  ASSERT_TRUE(document.ok()) << json << ": " << document.status().message();
  EXPECT_EQ(testing::PrintToString(document->bytes()), testing::PrintToString(bson)) << json;
}

void check_valid(dom::element test) {
  SCOPED_TRACE(text_of(test, "description"));
  std::string canonical = bytes_from_hex(text_of(test, "canonical_bson"));
  std::string canonical_json = text_of(test, "canonical_extjson");
  bool lossy = false;
  if (test["lossy"].get(lossy)) lossy = false;
  ASSERT_TRUE(validate_bson(canonical).ok()) << validate_bson(canonical).message();
  EXPECT_EQ(encoded_again(canonical), canonical);
  EXPECT_EQ(bson_size(Value::bson_object(canonical.data())), canonical.size());
  EXPECT_EQ(print(canonical, JsonFormat::kCanonical), normal(canonical_json));
  if (!lossy) expect_reads_as(canonical_json, canonical);
  if (std::string json = text_of(test, "degenerate_extjson"); !json.empty() && !lossy)
    expect_reads_as(json, canonical);
  if (std::string json = text_of(test, "relaxed_extjson"); !json.empty()) {
    EXPECT_EQ(print(canonical, JsonFormat::kRelaxed), normal(json));
    auto document = parse_extended_json(json);
    ASSERT_TRUE(document.ok()) << document.status().message();
    EXPECT_EQ(print(document->bytes(), JsonFormat::kRelaxed), normal(json));
  }
  if (std::string hex = text_of(test, "degenerate_bson"); !hex.empty()) {
    std::string degenerate = bytes_from_hex(hex);
    ASSERT_TRUE(validate_bson(degenerate).ok());
    EXPECT_EQ(print(degenerate, JsonFormat::kCanonical), normal(canonical_json));
    auto document =
        parse_extended_json(to_json(Value::bson_object(degenerate.data()), JsonFormat::kCanonical));
    ASSERT_TRUE(document.ok());
    EXPECT_EQ(document->bytes(), canonical);
  }
}

void check_decode_error(dom::element test) {
  SCOPED_TRACE(text_of(test, "description"));
  std::string bson = bytes_from_hex(text_of(test, "bson"));
  Status status = validate_bson(bson);
  EXPECT_TRUE(status.is(ErrorCode::kInvalidBson)) << status.code() << " " << status.message();
}

void check_parse_error(const std::string& file, dom::element test) {
  std::string name = file + ": " + text_of(test, "description");
  std::string text = text_of(test, "string");
  bool refused = false;
  if (file.starts_with("decimal128")) {
    std::string json = "{\"d\":{\"$numberDecimal\":\"";
    for (char c : text) json += c == '"' ? std::string("\\\"") : std::string(1, c);
    refused = !decimal::from_string_exact(text) &&
              parse_extended_json(json + "\"}}").status().is(ErrorCode::kFailedToParse);
  } else {
    refused = parse_extended_json(text).status().is(ErrorCode::kFailedToParse);
  }
  bool not_met = std::ranges::find(kNotMet, name) != std::end(kNotMet);
  EXPECT_NE(refused, not_met) << name << ": " << text;
}

class BsonCorpus : public testing::TestWithParam<std::string> {};

TEST_P(BsonCorpus, EveryCaseHolds) {
  dom::parser parser;
  dom::element file;
  std::string path =
      std::string(MILLRACE_SOURCE_DIR) + "/tests/bson-corpus/" + GetParam() + ".json";
  ASSERT_FALSE(parser.load(path).get(file)) << path;
  size_t cases = 0;
  dom::array tests;
  if (!file["valid"].get(tests)) {
    for (dom::element test : tests) check_valid(test), ++cases;
  }
  if (!file["decodeErrors"].get(tests)) {
    for (dom::element test : tests) check_decode_error(test), ++cases;
  }
  if (!file["parseErrors"].get(tests)) {
    for (dom::element test : tests) check_parse_error(GetParam(), test), ++cases;
  }
  EXPECT_GT(cases, 0u);
}

std::vector<std::string> corpus_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(MILLRACE_SOURCE_DIR) +
                                                               "/tests/bson-corpus")) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Files, BsonCorpus, testing::ValuesIn(corpus_files()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace millrace::engine
