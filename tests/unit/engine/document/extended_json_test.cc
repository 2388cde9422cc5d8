#include "engine/document/extended_json.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "engine/document/base64.h"
#include "engine/document/decimal.h"

namespace millrace::engine {
namespace {

std::string canonical(std::string_view text) {
  Arena arena;
  auto value = parse_extended_json_value(text, arena);
  if (!value.ok()) return std::to_string(value.status().code());
  return to_json(*value, JsonFormat::kCanonical);
}

TEST(ExtendedJson, PlainNumbersTakeTheNarrowestType) {
  const std::pair<const char*, const char*> cases[] = {
      {"0", R"({"$numberInt":"0"})"},
      {"-0", R"({"$numberInt":"0"})"},
      {"2147483647", R"({"$numberInt":"2147483647"})"},
      {"-2147483648", R"({"$numberInt":"-2147483648"})"},
      {"2147483648", R"({"$numberLong":"2147483648"})"},
      {"9223372036854775807", R"({"$numberLong":"9223372036854775807"})"},
      {"-9223372036854775808", R"({"$numberLong":"-9223372036854775808"})"},
      {"9223372036854775808", R"({"$numberDouble":"9.223372036854776e+18"})"},
      {"123456789012345678901234567890", R"({"$numberDouble":"1.2345678901234568e+29"})"},
      {"1.0", R"({"$numberDouble":"1.0"})"},
      {"1e2", R"({"$numberDouble":"100.0"})"},
      {"-0.0", R"({"$numberDouble":"-0.0"})"},
      {"1E-400", R"({"$numberDouble":"0.0"})"},
      {"-1E-400", R"({"$numberDouble":"-0.0"})"},
      {"5e-324", R"({"$numberDouble":"5e-324"})"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(canonical(text), expected) << text;
  for (const char* text : {"1e400", "-1e400", "01", "-", "1.", ".5", "+1", "1e", "1e+", "0x1",
                           "1_0", "NaN", "Infinity", "- 1"}) {
    EXPECT_EQ(canonical(text), "9") << text;
    EXPECT_EQ(canonical("[" + std::string(text) + "]"), "9") << text;
    EXPECT_EQ(canonical("{\"a\":" + std::string(text) + "}"), "9") << text;
  }
}

TEST(ExtendedJson, LegacySpellingsAreRead) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"$date": 1500})", R"({"$date":{"$numberLong":"1500"}})"},
      {R"({"$date": -62135596800000})", R"({"$date":{"$numberLong":"-62135596800000"}})"},
      {R"({"$date": "2012-12-24T12:15:30.501Z"})", R"({"$date":{"$numberLong":"1356351330501"}})"},
      {R"({"$binary": "//8=", "$type": "80"})", R"({"$binary":{"base64":"//8=","subType":"80"}})"},
      {R"({"$type": "0", "$binary": "//8="})", R"({"$binary":{"base64":"//8=","subType":"00"}})"},
      {R"({"$type": "ffffff80", "$binary": "/w=="})",
       R"({"$binary":{"base64":"/w==","subType":"80"}})"},
      {R"({"$regex": "^a", "$options": "xi"})",
       R"({"$regularExpression":{"pattern":"^a","options":"ix"}})"},
      {R"({"$options": "", "$regex": "^a"})",
       R"({"$regularExpression":{"pattern":"^a","options":""}})"},
      {R"({"$scope": {"a": 1}, "$code": "f"})",
       R"({"$code":"f","$scope":{"a":{"$numberInt":"1"}}})"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(canonical(text), expected) << text;
}

TEST(ExtendedJson, OperatorsThatLookLikeWrappersStayObjects) {
  for (const char* text :
       {R"({"$regex":"^a"})",
        R"({"$regex":{"$regularExpression":{"pattern":"a","options":""}},"$options":"i"})",
        R"({"$type":"string"})", R"({"$options":"i"})", R"({"$scope":{}})",
        R"({"$match":{"a":null}})", R"({"$regex":"a","$options":"i","$not":null})",
        R"({"a":null,"$oid":"x"})"}) {
    EXPECT_EQ(canonical(text), text);
  }
}

TEST(ExtendedJson, MalformedWrappersAreErrors) {
  for (const char* text : {R"({"$oid": "56e1fc72e0c917e9c471416"})",
                           R"({"$oid": "56e1fc72e0c917e9c471416g"})",
                           R"({"$numberInt": "2147483648"})",
                           R"({"$numberInt": " 1"})",
                           R"({"$numberLong": "1.5"})",
                           R"({"$numberLong": ""})",
                           R"({"$numberDouble": "inf"})",
                           R"({"$numberDouble": "1x"})",
                           R"({"$numberDouble": ""})",
                           R"({"$numberDecimal": "1x"})",
                           R"({"$date": "yesterday"})",
                           R"({"$date": 1.5})",
                           R"({"$date": {"$numberLong": "x"}})",
                           R"({"$date": {}})",
                           R"({"$binary": "//8="})",
                           R"({"$binary": {"base64": "//8", "subType": "00"}})",
                           R"({"$binary": {"base64": "//8=", "subType": "g0"}})",
                           R"({"$binary": {"base64": "//8=", "subType": "000"}})",
                           R"({"$timestamp": {"t": -1, "i": 0}})",
                           R"({"$timestamp": {"t": 4294967296, "i": 0}})",
                           R"({"$undefined": false})",
                           R"({"$symbol": 1})",
                           R"({"$dbPointer": {"$ref": "a", "$id": "b"}})",
                           R"({"$minKey": 1.0})"}) {
    EXPECT_EQ(canonical(text), "9") << text;
    EXPECT_EQ(canonical("{\"a\": [" + std::string(text) + "]}"), "9") << text;
  }
}

TEST(ExtendedJson, FieldsKeepTheirOrderAndMayRepeat) {
  auto document = parse_extended_json(" {\"b\":1,\"a\":2,\"b\":3,\"\":4}\n");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(to_json(document->value()), R"({"b":1,"a":2,"b":3,"":4})");
}

TEST(ExtendedJson, TextThatIsNotOneValueIsRefused) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "[",
                           "]",
                           "{]",
                           "[}",
                           "{}{}",
                           "{} x",
                           "{},",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{'a':1}",
                           "{\"a\":1 \"b\":2}",
                           "\"a",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"a\tb\"",
                           "tru",
                           "nul",
                           "truex",
                           "[nulll]",
                           "1,2",
                           "][",
                           "1]",
                           "[\"\xff\"]",
                           "{\"\xc0\x80\":1}",
                           "{\"a\\u0000\":1}",
                           "// c\n1",
                           "\xef\xbb\xbf{} {}"}) {
    EXPECT_EQ(canonical(text), "9") << text;
  }
  EXPECT_TRUE(parse_extended_json("[]").status().is(ErrorCode::kFailedToParse));
  EXPECT_TRUE(parse_extended_json("1").status().is(ErrorCode::kFailedToParse));
  EXPECT_TRUE(parse_extended_json(R"({"$oid":"56e1fc72e0c917e9c4714161"})")
                  .status()
                  .is(ErrorCode::kFailedToParse));
}

TEST(ExtendedJson, ArraysOfDocumentsAreRead) {
  auto documents = parse_extended_json_array(R"([{"a":1},{"$key":2}, {}])");
  ASSERT_TRUE(documents.ok());
  ASSERT_EQ(documents->size(), 3u);
  EXPECT_EQ((*documents)[0].get("a").as_int32(), 1);
  EXPECT_EQ((*documents)[1].get("$key").as_int32(), 2);
  EXPECT_TRUE(parse_extended_json_array("[{}, 1]").status().is(ErrorCode::kFailedToParse));
  EXPECT_TRUE(parse_extended_json_array("{}").status().is(ErrorCode::kFailedToParse));
  EXPECT_TRUE(parse_extended_json_array("[]")->empty());
}

TEST(ExtendedJson, NestingIsLimited) {
  auto nested = [](int levels, std::string open, std::string close) {
    std::string text;
    for (int i = 0; i < levels; ++i) text += open;
    text += "1";
    for (int i = 0; i < levels; ++i) text += close;
    return text;
  };
  auto deepest = parse_extended_json(nested(200, "{\"a\":", "}"));
  ASSERT_TRUE(deepest.ok());
  EXPECT_TRUE(validate_bson(deepest->bytes()).ok());
  EXPECT_EQ(canonical(nested(201, "{\"a\":", "}")), "9");
  EXPECT_EQ(canonical(nested(201, "[", "]")), "9");
  EXPECT_EQ(canonical(nested(100000, "[", "]")), "9");
  EXPECT_EQ(canonical(std::string(1000000, '[')), "9");
}

TEST(ExtendedJson, ThousandsOfDamagedTextsAreReadAsAnotherParserReadsThem) {
  const std::string seed =
      R"({"a":[1,-2.5e3,true,false,null,"x\n\u00e9"],"b":{"c":{},"d":[]},"$e":"","f":12345678901234567890.5})";
  std::srand(11);
  simdjson::dom::parser dom;
  size_t accepted = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string text = seed;
    for (int n = 1 + std::rand() % 3; n > 0; --n) {
      size_t at = std::rand() % text.size();
      switch (std::rand() % 3) {
        case 0:
          text.erase(at, 1);
          break;
        case 1:
          text.insert(at, 1, R"({}[],:"0a .-e\)"[std::rand() % 14]);
          break;
        default:
          text[at] = R"({}[],:"0a .-e\)"[std::rand() % 14];
      }
    }
    Arena arena;
    bool ours = parse_extended_json_value(text, arena).ok();
    simdjson::dom::element element;
    auto error = dom.parse(text).get(element);
    if (error == simdjson::NUMBER_ERROR)
      continue;  // integers beyond 64 bits are numbers for us alone
    EXPECT_EQ(ours, error == simdjson::SUCCESS) << text;
    accepted += ours;
  }
  EXPECT_GT(accepted, 1000u);
}

TEST(ExtendedJson, ValuesDoNotReferToTheText) {
  Arena arena;
  std::string text =
      R"({"name":"value","r":{"$regex":"p","$options":"i"},"s":{"$symbol":"sym"},"o":{"$oid":"56e1fc72e0c917e9c4714161"}})";
  std::string expected = text;
  auto value = parse_extended_json_value(text, arena);
  ASSERT_TRUE(value.ok());
  text.assign(text.size(), '#');
  Arena other;
  ASSERT_TRUE(parse_extended_json_value("[\"another text in the same workspace\"]", other).ok());
  EXPECT_EQ(
      to_json(*value),
      R"({"name":"value","r":{"$regularExpression":{"pattern":"p","options":"i"}},"s":{"$symbol":"sym"},"o":{"$oid":"56e1fc72e0c917e9c4714161"}})");
}

TEST(IsoDate, IsRead) {
  const std::pair<const char*, int64_t> cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"2024-10-24T18:07:29.636Z", 1729793249636},
      {"2012-12-24T12:15:30.501+00:00", 1356351330501},
      {"2012-12-24T13:45:30.501+0130", 1356351330501},
      {"2012-12-24T07:15:30.501-05", 1356351330501},
      {"2012-12-24T12:15:30.5Z", 1356351330500},
      {"2012-12-24T12:15:30.501999Z", 1356351330501},
      {"2012-12-24T12:15:30", 1356351330000},
      {"2012-12-24 12:15:30Z", 1356351330000},
      {"2012-12-24T12:15Z", 1356351300000},
      {"2012-12-24", 1356307200000},
      {"2000-02-29T00:00:00Z", 951782400000},
      {"1969-12-31T23:59:59.999Z", -1},
      {"0001-01-01T00:00:00Z", -62135596800000},
      {"0000-01-01T00:00:00Z", -62167219200000},
      {"9999-12-31T23:59:59.999Z", 253402300799999},
  };
  for (const auto& [text, expected] : cases)
    EXPECT_EQ(parse_iso_date(text).value_or(7777), expected) << text;
  for (const char* text : {"",
                           "2012",
                           "2012-13-01",
                           "2012-00-01",
                           "2012-02-30",
                           "2011-02-29",
                           "1900-02-29",
                           "2012-1-01",
                           "2012-12-24T24:00:00Z",
                           "2012-12-24T12:60:00Z",
                           "2012-12-24T12:15:60Z",
                           "2012-12-24T12:15:30.Z",
                           "2012-12-24T12:15:30X",
                           "2012-12-24T12:15:30Z ",
                           "2012-12-24T12:15:30+1",
                           "2012-12-24T12:15:30+01:0",
                           "2012-12-24T12:15:30+24:00",
                           "2012-12-24T",
                           "2012-12-24T1:00",
                           "+2012-12-24",
                           "2012/12/24",
                           "2012-12-24T12:15:30+",
                           "a012-12-24"}) {
    EXPECT_FALSE(parse_iso_date(text)) << text;
  }
}

TEST(IsoDate, EveryDayReadsBack) {
  for (int64_t day = -719528; day <= 2932896; day += 3) {  // 0000-01-01 to 9999-12-31
    int64_t ms = day * 86'400'000 + (day * 7919 % 86'400'000 + 86'400'000) % 86'400'000;
    std::string text;
    append_iso_date(ms, text);
    ASSERT_EQ(text.size(), 24u);
    ASSERT_EQ(parse_iso_date(text).value_or(7777), ms) << text;
  }
  std::string text;
  append_iso_date(253402300800000, text);
  append_iso_date(-62167219200001, text);
  EXPECT_EQ(text, "+010000-01-01T00:00:00.000Z-000001-12-31T23:59:59.999Z");
  text.clear();
  append_iso_date(INT64_MIN, text);
  append_iso_date(INT64_MAX, text);
  EXPECT_EQ(text, "-292275055-05-16T16:47:04.192Z+292278994-08-17T07:12:55.807Z");
}

// The table of `config.outputFormat` in the documentation of $emit.
TEST(JsonFormats, EachTypeHasItsForm) {
  Arena arena;
  const char uuid[] = "\x73\xff\xd2\x64\x44\xb3\x4c\x69\x90\xe8\xe7\xd1\xdf\xc0\x35\xd4";
  ObjectId id{};
  id.bytes[11] = 0xab;
  const double infinity = std::numeric_limits<double>::infinity();
  const Field scope[] = {Field("d", Value::date(0))};
  struct Case {
    Value value;
    const char* relaxed;
    const char* canonical;
    const char* basic;
  };
  const Case cases[] = {
      {Value::int32(-7), "-7", R"({"$numberInt":"-7"})", "-7"},
      {Value::int64(INT64_MIN), "-9223372036854775808", R"({"$numberLong":"-9223372036854775808"})",
       "-9223372036854775808"},
      {Value::number(1), "1.0", R"({"$numberDouble":"1.0"})", "1.0"},
      {Value::number(0.1), "0.1", R"({"$numberDouble":"0.1"})", "0.1"},
      {Value::number(infinity), R"({"$numberDouble":"Infinity"})",
       R"({"$numberDouble":"Infinity"})", R"("Infinity")"},
      {Value::number(-infinity), R"({"$numberDouble":"-Infinity"})",
       R"({"$numberDouble":"-Infinity"})", R"("-Infinity")"},
      {Value::number(std::nan("")), R"({"$numberDouble":"NaN"})", R"({"$numberDouble":"NaN"})",
       R"("NaN")"},
      {Value::decimal(*decimal::from_string("9.9"), arena), R"({"$numberDecimal":"9.9"})",
       R"({"$numberDecimal":"9.9"})", R"("9.9")"},
      {Value::date(1729793249636), R"({"$date":"2024-10-24T18:07:29.636Z"})",
       R"({"$date":{"$numberLong":"1729793249636"}})", "1729793249636"},
      {Value::date(0), R"({"$date":"1970-01-01T00:00:00Z"})", R"({"$date":{"$numberLong":"0"}})",
       "0"},
      {Value::date(-1), R"({"$date":{"$numberLong":"-1"}})", R"({"$date":{"$numberLong":"-1"}})",
       "-1"},
      {Value::timestamp(4294967295, 2), R"({"$timestamp":{"t":4294967295,"i":2}})",
       R"({"$timestamp":{"t":4294967295,"i":2}})", "4294967295000"},
      {Value::object_id(&id), R"({"$oid":"0000000000000000000000ab"})",
       R"({"$oid":"0000000000000000000000ab"})", R"("0000000000000000000000ab")"},
      {Value::binary(0, "\xff\xff"), R"({"$binary":{"base64":"//8=","subType":"00"}})",
       R"({"$binary":{"base64":"//8=","subType":"00"}})", R"("//8=")"},
      {Value::binary(4, {uuid, 16}),
       R"({"$binary":{"base64":"c//SZESzTGmQ6OfR38A11A==","subType":"04"}})",
       R"({"$binary":{"base64":"c//SZESzTGmQ6OfR38A11A==","subType":"04"}})",
       R"("73ffd264-44b3-4c69-90e8-e7d1dfc035d4")"},
      {Value::regex("a\"b", "xi", arena),
       R"({"$regularExpression":{"pattern":"a\"b","options":"ix"}})",
       R"({"$regularExpression":{"pattern":"a\"b","options":"ix"}})",
       R"({"pattern":"a\"b","options":"ix"})"},
      {Value::string("s"), R"("s")", R"("s")", R"("s")"},
      {Value::boolean(true), "true", "true", "true"},
      {Value::null(), "null", "null", "null"},
      {Value::missing(), "null", "null", "null"},
      {Value::code("f"), R"({"$code":"f"})", R"({"$code":"f"})", R"({"$code":"f"})"},
      {Value::symbol("f"), R"({"$symbol":"f"})", R"({"$symbol":"f"})", R"({"$symbol":"f"})"},
      {Value::undefined(), R"({"$undefined":true})", R"({"$undefined":true})",
       R"({"$undefined":true})"},
      {Value::min_key(), R"({"$minKey":1})", R"({"$minKey":1})", R"({"$minKey":1})"},
      {Value::max_key(), R"({"$maxKey":1})", R"({"$maxKey":1})", R"({"$maxKey":1})"},
      {Value::code_w_scope("f", Value::object(scope), arena),
       R"({"$code":"f","$scope":{"d":{"$date":"1970-01-01T00:00:00Z"}}})",
       R"({"$code":"f","$scope":{"d":{"$date":{"$numberLong":"0"}}}})",
       R"({"$code":"f","$scope":{"d":{"$date":"1970-01-01T00:00:00Z"}}})"},
      {Value::db_pointer("c", id, arena),
       R"({"$dbPointer":{"$ref":"c","$id":{"$oid":"0000000000000000000000ab"}}})",
       R"({"$dbPointer":{"$ref":"c","$id":{"$oid":"0000000000000000000000ab"}}})",
       R"({"$dbPointer":{"$ref":"c","$id":{"$oid":"0000000000000000000000ab"}}})"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(to_json(c.value, JsonFormat::kRelaxed), c.relaxed);
    EXPECT_EQ(to_json(c.value, JsonFormat::kCanonical), c.canonical);
    EXPECT_EQ(to_json(c.value, JsonFormat::kBasic), c.basic);
  }
}

TEST(JsonFormats, Iso8601ReplacesDatesInEveryFormat) {
  for (JsonFormat format : {JsonFormat::kRelaxed, JsonFormat::kCanonical, JsonFormat::kBasic}) {
    EXPECT_EQ(to_json(Value::date(0), format, DateFormat::kIso8601),
              R"("1970-01-01T00:00:00.000Z")");
    EXPECT_EQ(to_json(Value::date(-1), format, DateFormat::kIso8601),
              R"("1969-12-31T23:59:59.999Z")");
  }
  EXPECT_EQ(to_json(Value::timestamp(1, 0), JsonFormat::kBasic, DateFormat::kIso8601), "1000");
}

TEST(JsonFormats, BothFormsOfDocumentsPrintAlikeAndAppend) {
  auto document = parse_extended_json(R"({"a":[1,{"b":[]},[]],"o":{},"s":"x"})");
  ASSERT_TRUE(document.ok());
  Arena arena;
  std::string out = "before ";
  append_json(document->value(), out);
  append_json(deep_copy(document->value(), arena), out);
  EXPECT_EQ(out,
            R"(before {"a":[1,{"b":[]},[]],"o":{},"s":"x"}{"a":[1,{"b":[]},[]],"o":{},"s":"x"})");
  ObjectBuilder builder(arena);
  builder.add("a", Value::null());
  builder.at(0).value = Value::missing();
  EXPECT_EQ(to_json(builder.finish()), "{}");
}

TEST(JsonFormats, StringsAreEscapedWhereverTheSpecialByteStands) {
  EXPECT_EQ(to_json(Value::string({"\0\x1f\"\\\b\t\n\f\r/\x7f", 11})),
            "\"\\u0000\\u001f\\\"\\\\\\b\\t\\n\\f\\r/\x7f\"");
  for (size_t size = 0; size < 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (char special : {'"', '\\', '\n', '\x01', '\x1f', ' ', '!', '#', '[', ']', '\x7f'}) {
        std::string text(size, 'a');
        text[at] = special;
        Arena arena;
        auto again = parse_extended_json_value(to_json(Value::string(text)), arena);
        ASSERT_TRUE(again.ok());
        ASSERT_EQ(again->as_string(), text);
      }
    }
  }
  std::string controls(100000, '\x02');
  std::string out = to_json(Value::string(controls));
  EXPECT_EQ(out.size(), 600002u);
  EXPECT_EQ(to_json(Value::string("naïve ☆ 𝄞 — text of more than eight bytes")),
            "\"naïve ☆ 𝄞 — text of more than eight bytes\"");
}

TEST(JsonFormats, EveryDoubleReadsBack) {
  std::srand(3);
  for (int i = 0; i < 100000; ++i) {
    uint64_t bits = static_cast<uint64_t>(std::rand()) << 42 ^
                    static_cast<uint64_t>(std::rand()) << 21 ^ static_cast<uint64_t>(std::rand());
    if (i % 2)
      bits = std::bit_cast<uint64_t>(static_cast<double>(std::rand() - 1000000000) /
                                     (1 << (std::rand() % 20)));
    auto v = std::bit_cast<double>(bits);
    if (!std::isfinite(v)) continue;
    std::string text = to_json(Value::number(v));
    Value again = parse_json_number(text);
    ASSERT_EQ(again.type(), Type::kDouble) << text;
    ASSERT_EQ(std::bit_cast<uint64_t>(again.as_double()), bits) << text;
  }
  EXPECT_EQ(to_json(Value::number(100000)), "100000.0");
  EXPECT_EQ(to_json(Value::number(1e21)), "1e+21");
  EXPECT_EQ(to_json(Value::number(1e-7)), "1e-07");
  EXPECT_EQ(to_json(Value::number(-0.0)), "-0.0");
}

TEST(JsonFormats, NestingWithoutEndIsAnErrorAndNoCrash) {
  Arena arena;
  Value value = Value::int32(1);
  for (int i = 0; i < 100000; ++i) {
    ArrayBuilder builder(arena, 1);
    builder.add(value);
    value = builder.finish();
  }
  EXPECT_THROW(to_json(value), EvaluationError);
}

TEST(Base64, EveryLengthReadsBackAndJunkIsRefused) {
  Arena arena;
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    std::string text(base64_size(bytes.size()), '\0');
    EXPECT_EQ(base64_encode(bytes, text.data()), text.data() + text.size());
    EXPECT_EQ(base64_decode(text, arena).value_or("refused"), bytes);
    bytes += static_cast<char>(i * 37);
  }
  for (const char* text :
       {"a", "aa", "aaa", "====", "a===", "aa=a", "=aaa", "aa-_", "aa a", "aaaa=", "aa\n="}) {
    EXPECT_FALSE(base64_decode(text, arena)) << text;
  }
}

}  // namespace
}  // namespace millrace::engine
