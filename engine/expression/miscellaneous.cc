// Operators that fit no other family: metadata, generated values, hashes, sizes, timestamps.
#include <openssl/evp.h>
#include <xxhash.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/document/bson.h"
#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/families.h"
#include "engine/expression/limits.h"
#include "engine/expression/named_arguments.h"

namespace millrace::engine {
namespace {

std::string type_text(const Value& value) { return std::string(value.type_name()); }

// ---- Sizes, timestamps

Value eval_binary_size(EvalContext&, std::span<const Value> arguments) {
  const Value& value = arguments[0];
  if (value.is_nullish()) return Value::null();
  if (!value.is_string() && !value.is(Type::kBinData)) {
    fail_evaluation(
        51276, "$binarySize requires a string or BinData argument, found: " + type_text(value));
  }
  return Value::int32(static_cast<int32_t>(value.as_string().size()));
}

Value eval_bson_size(EvalContext&, std::span<const Value> arguments) {
  const Value& value = arguments[0];
  if (value.is_nullish()) return Value::null();
  if (!value.is_object())
    fail_evaluation(31393, "$bsonSize requires a document input, found: " + type_text(value));
  size_t size = bson_size(value);
  if (size > kMaxInternalDocumentBytes)
    fail_evaluation(ErrorCode::kBsonObjectTooLarge, "$bsonSize of a document beyond 16 MB");
  return Value::int32(static_cast<int32_t>(size));
}

Value eval_ts_second(EvalContext&, std::span<const Value> arguments) {
  const Value& value = arguments[0];
  if (value.is_nullish()) return Value::null();
  if (!value.is(Type::kTimestamp))
    fail_evaluation(5687301,
                    " Argument to $tsSecond must be a timestamp, but is " + type_text(value));
  return Value::int64(value.timestamp_seconds());
}

Value eval_ts_increment(EvalContext&, std::span<const Value> arguments) {
  const Value& value = arguments[0];
  if (value.is_nullish()) return Value::null();
  if (!value.is(Type::kTimestamp))
    fail_evaluation(5687302,
                    " Argument to $tsIncrement must be a timestamp, but is " + type_text(value));
  return Value::int64(value.timestamp_increment());
}

// ---- Generated values: evaluated anew for each document

class GeneratorExpression final : public Expression {
 public:
  using Function = Value (*)(EvalContext& context);
  explicit GeneratorExpression(Function function) : function_(function) {}
  Value evaluate(EvalContext& context) const override { return function_(context); }
  void add_dependencies(Dependencies&) const override {}

 private:
  Function function_;
};

Value generate_random(EvalContext& context) {
  return Value::number(std::uniform_real_distribution<double>(0, 1)(context.random));
}

Value generate_date(EvalContext& context) {
  static const SystemClock kSystemClock;
  return Value::date(context.clock != nullptr ? context.clock->now_ms() : kSystemClock.now_ms());
}

// Version 4, variant 1 (RFC 9562), from the system's generator: a stream's keys must not repeat
// after a restart.
Value generate_uuid(EvalContext& context) {
  char* bytes = static_cast<char*>(context.arena->allocate(16, 1));
  std::random_device device;
  for (int i = 0; i < 4; ++i) {
    uint32_t word = device();
    std::memcpy(bytes + i * 4, &word, 4);
  }
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  return Value::binary(4, {bytes, 16});
}

Value generate_object_id(EvalContext& context) {
  return Value::object_id(context.arena->make<ObjectId>(ObjectId::generate()));
}

ExpressionPtr make_generator(GeneratorExpression::Function function) {
  return std::make_unique<GeneratorExpression>(function);
}

Result<ExpressionPtr> parse_rand(std::string_view, const Value& operand, ParseContext&) {
  bool empty_array = operand.is_array() && operand.as_array().empty();
  if (!operand.is_object() && !operand.is_array())
    return Status(10065, "invalid parameter: expected an object ($rand)");
  if (!empty_array && !(operand.is_object() && operand.as_object().empty()))
    return Status(3040501, "$rand does not currently accept arguments");
  return make_generator(generate_random);
}

template <GeneratorExpression::Function kFunction>
Result<ExpressionPtr> parse_generator(std::string_view name, const Value& operand, ParseContext&) {
  if (!operand.is_object() || !operand.as_object().empty()) {
    return Status(ErrorCode::kFailedToParse, std::string(name) + " does not accept arguments.");
  }
  return make_generator(kFunction);
}

// ---- $meta

class StreamMetaExpression final : public Expression {
 public:
  explicit StreamMetaExpression(FieldPath path) : path_(std::move(path)) {}
  Value evaluate(EvalContext& context) const override {
    return path_.size() == 0
               ? context.stream_meta
               : get_path(context.stream_meta, path_.parts.data(), path_.size(), *context.arena);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    dependencies.stream_meta = true;
  }

 private:
  FieldPath path_;
};

// The server's keywords: what they stand for comes from searches and indexes, which documents here
// do not come from.
constexpr std::string_view kMetaKeywords[] = {"geoNearDistance",
                                              "geoNearPoint",
                                              "indexKey",
                                              "randVal",
                                              "recordId",
                                              "score",
                                              "scoreDetails",
                                              "searchHighlights",
                                              "searchScore",
                                              "searchScoreDetails",
                                              "searchSequenceToken",
                                              "sortKey",
                                              "textScore",
                                              "timeseriesBucketMaxTime",
                                              "timeseriesBucketMinTime",
                                              "vectorSearchScore"};

Result<ExpressionPtr> parse_meta(std::string_view, const Value& operand, ParseContext& context) {
  if (!operand.is_string()) return Status(17307, "$meta only supports string arguments");
  std::string_view keyword = operand.as_string();
  if (keyword == "stream")
    return ExpressionPtr(std::make_unique<StreamMetaExpression>(FieldPath()));
  if (keyword.starts_with("stream.")) {
    MR_ASSIGN_OR_RETURN(FieldPath path, parse_field_path(keyword.substr(7), context.names()));
    return ExpressionPtr(std::make_unique<StreamMetaExpression>(std::move(path)));
  }
  if (std::find(std::begin(kMetaKeywords), std::end(kMetaKeywords), keyword) ==
      std::end(kMetaKeywords)) {
    return Status(17308, "Unsupported argument to $meta: " + std::string(keyword));
  }
  return make_constant(Value(), context);
}

// ---- $sampleRate: {$match: {$sampleRate: 0.1}} is {$lt: [{$rand: {}}, 0.1]}

class SampleRateExpression final : public Expression {
 public:
  explicit SampleRateExpression(double rate) : rate_(rate) {}
  Value evaluate(EvalContext& context) const override {
    return Value::boolean(std::uniform_real_distribution<double>(0, 1)(context.random) < rate_);
  }
  void add_dependencies(Dependencies&) const override {}

 private:
  double rate_;
};

Result<ExpressionPtr> parse_sample_rate(std::string_view, const Value& operand, ParseContext&) {
  if (!operand.is_number())
    return Status(ErrorCode::kBadValue, "argument to $sampleRate must be a numeric type");
  double rate = operand.to_double();
  if (!(rate >= 0 && rate <= 1))
    return Status(ErrorCode::kBadValue, "numeric argument to $sampleRate must be in [0, 1]");
  return ExpressionPtr(std::make_unique<SampleRateExpression>(rate));
}

// ---- Digests

std::string digest(const EVP_MD* algorithm, std::string_view bytes) {
  unsigned char result[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), result, &size, algorithm, nullptr) != 1) {
    fail_evaluation(ErrorCode::kInternalError,
                    "the digest is not available in this build of OpenSSL");
  }
  return {reinterpret_cast<char*>(result), size};
}

std::string xxh64(std::string_view bytes) {
  XXH64_canonical_t canonical;
  XXH64_canonicalFromHash(&canonical, XXH64(bytes.data(), bytes.size(), 0));
  return {reinterpret_cast<char*>(canonical.digest), sizeof canonical.digest};
}

// {$hash: {input: …, algorithm: "md5" | "sha256" | "xxh64"}}
class HashExpression final : public Expression {
 public:
  HashExpression(std::string name, NamedArguments arguments)
      : name_(std::move(name)), arguments_(std::move(arguments)) {}
  Value evaluate(EvalContext& context) const override {
    Value input = arguments_.evaluate(0, context);
    Value algorithm = arguments_.evaluate(1, context);
    if (!algorithm.is_string())
      fail_evaluation(10754001, name_ + " requires that 'algorithm' be a string, found: " +
                                    type_text(algorithm));
    if (algorithm.as_string() != "md5" && algorithm.as_string() != "sha256" &&
        algorithm.as_string() != "xxh64") {
      fail_evaluation(10754002,
                      name_ + " requires that 'algorithm' be \"md5\", \"sha256\" or \"xxh64\"");
    }
    if (input.is_nullish()) return Value::null();
    if (!input.is(Type::kBinData) && !(input.is_string() && is_valid_utf8(input.as_string()))) {
      fail_evaluation(10754000, name_ + " requires a UTF-8 string or binData input, found: " +
                                    type_text(input));
    }
    std::string_view bytes = input.as_string();
    std::string_view chosen = algorithm.as_string();
    std::string result = chosen == "md5"
                             ? digest(EVP_md5(), bytes)
                             : (chosen == "sha256" ? digest(EVP_sha256(), bytes) : xxh64(bytes));
    if (name_ == "$hash") return Value::binary(0, context.arena->copy(result));
    std::string hex;
    for (unsigned char c : result) {
      hex += "0123456789ABCDEF"[c >> 4];
      hex += "0123456789ABCDEF"[c & 15];
    }
    return Value::string(context.arena->copy(hex));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  std::string name_;
  NamedArguments arguments_;
};

Result<ExpressionPtr> parse_hash(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  constexpr int kFailedToParse = static_cast<int>(ErrorCode::kFailedToParse);
  std::string text(name);
  const ArgumentRule rules[] = {
      {"input", kFailedToParse, "Missing 'input' parameter to " + text},
      {"algorithm", kFailedToParse, "Missing 'algorithm' parameter to " + text}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {kFailedToParse, text + " only supports an object as its argument",
                                kFailedToParse, "Unrecognized argument to " + text + ": "},
                               context));
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<HashExpression>(std::move(text), std::move(arguments)),
                   constant, context);
}

// ---- $toHashedIndexKey: the first 8 bytes of the MD5 of: int32 seed 0, then the value as
//   value   = rank bytes                  rank: int32, the type's place in the comparison order
//   element = rank name "\0" bytes
//   bytes   = int64 (a number, cut) | element* int32(0) (object, array) | code "\0" element*
//   int32(0) (code with scope) | BSON's payload

int32_t hash_rank(const Value& value) {
  return canonical_type(value.is_missing() ? Type::kNull : value.type());
}

// A number as the hash sees it: doubles are cut, decimals rounded half to even, both kept within 64
// bits; NaN is 0.
int64_t hashed_number(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  if (value.is(Type::kDecimal)) {
    Decimal128 d = value.as_decimal();
    if (decimal::is_nan(d)) return 0;
    if (!decimal::is_infinite(d)) {
      if (auto whole = decimal::to_int64_truncated(decimal::quantize(d, 0, false))) return *whole;
    }
    return decimal::is_negative(d) ? std::numeric_limits<int64_t>::min()
                                   : std::numeric_limits<int64_t>::max();
  }
  double d = value.as_double();
  if (std::isnan(d)) return 0;
  if (d >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (d < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(d);
}

void append_int32(std::string& bytes, int32_t v) {
  bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
}

// `name` is nullptr for the outermost value.
void append_hashed(std::string& bytes, const Value& value, const std::string_view* name,
                   int depth) {
  if (depth > kMaxNestingDepth)
    fail_evaluation(ErrorCode::kOverflow, "$toHashedIndexKey: the value is nested too deeply");
  append_int32(bytes, hash_rank(value));
  if (name != nullptr) bytes.append(*name).append(1, '\0');
  if (value.is_number()) {
    int64_t number = hashed_number(value);
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  } else if (value.is_object() || value.is(Type::kCodeWScope)) {
    if (value.is(Type::kCodeWScope)) bytes.append(value.as_code_w_scope().code).append(1, '\0');
    Value object = value.is_object() ? value : value.as_code_w_scope().scope;
    for (const Field& field : object.as_object()) {
      std::string_view field_name = field.name();
      append_hashed(bytes, field.value, &field_name, depth + 1);
    }
    append_int32(bytes, 0);
  } else if (value.is_array()) {
    size_t index = 0;
    for (const Value& element : value.as_array()) {
      std::string digits = std::to_string(index++);
      std::string_view element_name = digits;
      append_hashed(bytes, element, &element_name, depth + 1);
    }
    append_int32(bytes, 0);
  } else if (!value.is_missing()) {
    BsonWriter writer;
    writer.begin_document();
    writer.append("", value);
    writer.end();
    constexpr size_t kBefore = 6;  // length, type, the name's terminator
    bytes.append(writer.bytes().substr(kBefore, writer.size() - kBefore - 1));
  }
}

Value eval_to_hashed_index_key(EvalContext&, std::span<const Value> arguments) {
  std::string bytes;
  append_int32(bytes, 0);
  append_hashed(bytes, checked_size(arguments[0]), nullptr, 0);
  int64_t key = 0;
  std::memcpy(&key, digest(EVP_md5(), bytes).data(), sizeof key);
  return Value::int64(key);
}

// The operand is one expression: an array is not a list of arguments here.
Result<ExpressionPtr> parse_to_hashed_index_key(std::string_view, const Value& operand,
                                                ParseContext& context) {
  std::vector<ExpressionPtr> arguments(1);
  MR_ASSIGN_OR_RETURN(arguments[0], parse_expression(operand, context));
  return make_call(eval_to_hashed_index_key, std::move(arguments), true, context);
}

// clang-format off
constexpr std::array kMiscellaneousExpressions = {
    //             name                arguments  evaluate                  parse                                manual page
    ExpressionRow{"$binarySize",      {1, 1},    eval_binary_size,         nullptr,                             "aggregation/binarySize"},
    ExpressionRow{"$bsonSize",        {1, 1},    eval_bson_size,           nullptr,                             "aggregation/bsonSize"},
    ExpressionRow{"$createObjectId",  {0, 0},    nullptr,                  parse_generator<generate_object_id>, "aggregation/createObjectId", false},
    ExpressionRow{"$createUUID",      {0, 0},    nullptr,                  parse_generator<generate_uuid>,      "aggregation/createUUID", false},
    ExpressionRow{"$currentDate",     {0, 0},    nullptr,                  parse_generator<generate_date>,      "aggregation/currentDate", false},
    ExpressionRow{"$hash",            {1, 1},    nullptr,                  parse_hash,                          "aggregation/hash"},
    ExpressionRow{"$hexHash",         {1, 1},    nullptr,                  parse_hash,                          "aggregation/hexHash"},
    ExpressionRow{"$meta",            {1, 1},    nullptr,                  parse_meta,                          "aggregation/meta"},
    ExpressionRow{"$rand",            {0, 0},    nullptr,                  parse_rand,                          "aggregation/rand", false},
    ExpressionRow{"$sampleRate",      {1, 1},    nullptr,                  parse_sample_rate,                   "aggregation/sampleRate", false},
    ExpressionRow{"$toHashedIndexKey",{1, 1},    nullptr,                  parse_to_hashed_index_key,           "aggregation/toHashedIndexKey"},
    ExpressionRow{"$tsIncrement",     {1, 1},    eval_ts_increment,        nullptr,                             "aggregation/tsIncrement"},
    ExpressionRow{"$tsSecond",        {1, 1},    eval_ts_second,           nullptr,                             "aggregation/tsSecond"},
};
// clang-format on
static_assert(sorted_and_unique(kMiscellaneousExpressions));

}  // namespace

std::span<const ExpressionRow> miscellaneous_expressions() { return kMiscellaneousExpressions; }

}  // namespace millrace::engine
