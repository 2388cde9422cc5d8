// String operators. Indexes count bytes (…Bytes) or code points (…CP); upper and lower case are
// ASCII's, as in the server.
#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/document/decimal.h"
#include "engine/expression/convert.h"
#include "engine/expression/families.h"
#include "engine/expression/limits.h"
#include "engine/expression/named_arguments.h"
#include "engine/expression/regex.h"
#include "engine/expression/utf8.h"

namespace millrace::engine {
namespace {

// As text.find(token, from), but never slower than by the sum of the lengths.
size_t find_text(std::string_view text, std::string_view token, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (token.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, token.data(), token.size());
  return found == nullptr ? std::string_view::npos : static_cast<const char*>(found) - text.data();
}

std::string type_text(const Value& value) { return std::string(value.type_name()); }

// ---- $concat, case, comparison

Value eval_concat(EvalContext& context, std::span<const Value> arguments) {
  size_t size = 0;
  for (const Value& part : arguments) {
    if (part.is_nullish()) return Value::null();
    if (!part.is_string())
      fail_evaluation(16702, "$concat only supports strings, not " + type_text(part));
    size += part.as_string().size();
  }
  check_string_size(context, size);
  char* to = static_cast<char*>(context.arena->allocate(size, 1));
  char* at = to;
  for (const Value& part : arguments)
    at = std::copy(part.as_string().begin(), part.as_string().end(), at);
  return Value::string({to, size});
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

template <char (*kCase)(char)>
Value eval_case(EvalContext& context, std::span<const Value> arguments) {
  std::string_view text = coerce_to_string(arguments[0], *context.arena);
  char* to = static_cast<char*>(context.arena->allocate(text.size(), 1));
  std::transform(text.begin(), text.end(), to, kCase);
  return Value::string({to, text.size()});
}

Value eval_strcasecmp(EvalContext& context, std::span<const Value> arguments) {
  std::string_view a = coerce_to_string(arguments[0], *context.arena);
  std::string_view b = coerce_to_string(arguments[1], *context.arena);
  size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    auto left = static_cast<unsigned char>(upper(a[i]));
    auto right = static_cast<unsigned char>(upper(b[i]));
    if (left != right) return Value::int32(left < right ? -1 : 1);
  }
  return Value::int32(a.size() == b.size() ? 0 : (a.size() < b.size() ? -1 : 1));
}

// ---- Lengths and substrings

Value eval_strlen_bytes(EvalContext&, std::span<const Value> arguments) {
  if (!arguments[0].is_string())
    fail_evaluation(34473,
                    "$strLenBytes requires a string argument, found: " + type_text(arguments[0]));
  return Value::int32(static_cast<int32_t>(arguments[0].as_string().size()));
}

Value eval_strlen_cp(EvalContext&, std::span<const Value> arguments) {
  if (!arguments[0].is_string())
    fail_evaluation(34471,
                    "$strLenCP requires a string argument, found: " + type_text(arguments[0]));
  return Value::int32(static_cast<int32_t>(utf8::length(arguments[0].as_string())));
}

// A number as 64 bits, as 6.0.5 has it: a double is cut, and fails with 31109 out of range; a
// decimal is rounded to even, and out of range the smallest long.
int64_t coerce_to_long(const Value& number) {
  if (number.is_integer()) return number.integer_value();
  if (number.is(Type::kDecimal)) {
    auto whole = decimal::to_int64_exact(decimal::quantize(number.as_decimal(), 0, false));
    return whole.value_or(std::numeric_limits<int64_t>::min());
  }
  double d = number.to_double();
  if (!(d >= -0x1p63 && d < 0x1p63))
    fail_evaluation(31109, "Can't coerce out of range value " + value_to_text(number) + " to long");
  return static_cast<int64_t>(d);
}

Value eval_substr_bytes(EvalContext& context, std::span<const Value> arguments) {
  std::string_view text = coerce_to_string(arguments[0], *context.arena);
  if (!arguments[1].is_number()) {
    fail_evaluation(16034, "$substrBytes:  starting index must be a numeric type (is BSON type " +
                               type_text(arguments[1]) + ")");
  }
  if (!arguments[2].is_number()) {
    fail_evaluation(16035, "$substrBytes:  length must be a numeric type (is BSON type " +
                               type_text(arguments[2]) + ")");
  }
  int64_t start = coerce_to_long(arguments[1]);
  if (start < 0)
    fail_evaluation(50752, "$substrBytes:  starting index must be non-negative (got: " +
                               std::to_string(start) + ")");
  int64_t length = coerce_to_long(arguments[2]);
  if (start >= static_cast<int64_t>(text.size())) return Value::string("");
  if (utf8::is_continuation(text[start])) {
    fail_evaluation(28656,
                    "$substrBytes:  Invalid range, starting index is a UTF-8 continuation byte.");
  }
  int64_t rest = static_cast<int64_t>(text.size()) - start;
  if (length < 0 || length > rest) length = rest;
  if (length < rest && utf8::is_continuation(text[start + length])) {
    fail_evaluation(
        28657, "$substrBytes:  Invalid range, ending index is in the middle of a UTF-8 character.");
  }
  return Value::string(text.substr(start, length));
}

// An int32 in any number type; nullopt otherwise.
std::optional<int32_t> exact_int32(const Value& number) {
  if (number.is_integer()) {
    int64_t v = number.integer_value();
    if (v == static_cast<int32_t>(v)) return static_cast<int32_t>(v);
    return std::nullopt;
  }
  if (!number.is_number()) return std::nullopt;
  if (number.is(Type::kDecimal)) {  // which may be too small for a double, and not be zero
    auto whole = decimal::to_int64_exact(number.as_decimal());
    if (!whole || *whole != static_cast<int32_t>(*whole)) return std::nullopt;
    return static_cast<int32_t>(*whole);
  }
  double d = number.to_double();
  if (d >= -2147483648.0 && d <= 2147483647.0 && d == static_cast<int32_t>(d))
    return static_cast<int32_t>(d);
  return std::nullopt;
}

int32_t substr_cp_index(const Value& value, int type_code, int range_code, const char* what) {
  if (!value.is_number()) {
    fail_evaluation(type_code, std::string("$substrCP: ") + what +
                                   " must be a numeric type (is BSON type " + type_text(value) +
                                   ")");
  }
  auto index = exact_int32(value);
  if (!index) {
    fail_evaluation(range_code, std::string("$substrCP: ") + what +
                                    " cannot be represented as a 32-bit integral value: " +
                                    value_to_text(value));
  }
  return *index;
}

Value eval_substr_cp(EvalContext& context, std::span<const Value> arguments) {
  std::string_view text = coerce_to_string(arguments[0], *context.arena);
  int32_t start = substr_cp_index(arguments[1], 34450, 34451, "starting index");
  int32_t length = substr_cp_index(arguments[2], 34452, 34453, "length");
  if (length < 0) fail_evaluation(34454, "$substrCP: length must be a nonnegative integer.");
  if (start < 0)
    fail_evaluation(34455, "$substrCP: the starting index must be nonnegative integer.");
  size_t from = utf8::skip(text, 0, start);
  return Value::string(text.substr(from, utf8::skip(text, from, length) - from));
}

// ---- $indexOfBytes, $indexOfCP

size_t index_bound(const Value& value, std::string_view name, const char* which) {
  auto index = exact_int32(value);
  if (!index) {
    fail_evaluation(40096, std::string(name) + " requires an integral " + which +
                               " index, found a value of type: " + type_text(value) +
                               ", with value: " + value_to_text(value));
  }
  if (*index < 0) {
    fail_evaluation(40097, std::string(name) + " requires a nonnegative " + which +
                               " index, found: " + std::to_string(*index));
  }
  return static_cast<size_t>(*index);
}

struct IndexOfArguments {
  std::string_view text;
  std::string_view token;
  size_t start = 0;
  std::optional<size_t> end;
};
// nullopt when the text is null. Throws the code of the first argument that is wrong.
std::optional<IndexOfArguments> index_of_arguments(std::span<const Value> arguments,
                                                   std::string_view name, int text_code,
                                                   int token_code) {
  if (arguments[0].is_nullish()) return std::nullopt;
  if (!arguments[0].is_string()) {
    fail_evaluation(text_code, std::string(name) +
                                   " requires a string as the first argument, found: " +
                                   type_text(arguments[0]));
  }
  if (arguments.size() == 1) return IndexOfArguments{};  // the others failed: see OrderedCall
  if (!arguments[1].is_string()) {
    fail_evaluation(token_code, std::string(name) +
                                    " requires a string as the second argument, found: " +
                                    type_text(arguments[1]));
  }
  IndexOfArguments parsed{arguments[0].as_string(), arguments[1].as_string()};
  if (arguments.size() > 2) parsed.start = index_bound(arguments[2], name, "starting");
  if (arguments.size() > 3) parsed.end = index_bound(arguments[3], name, "ending");
  return parsed;
}

Value eval_index_of_bytes(EvalContext&, std::span<const Value> arguments) {
  auto parsed = index_of_arguments(arguments, "$indexOfBytes", 40091, 40092);
  if (!parsed) return Value::null();
  size_t end = std::min(parsed->end.value_or(parsed->text.size()), parsed->text.size());
  if (parsed->start > end) return Value::int32(-1);
  size_t at = find_text(parsed->text.substr(0, end), parsed->token, parsed->start);
  return Value::int32(at == std::string_view::npos ? -1 : static_cast<int32_t>(at));
}

// A match may reach beyond the end bound here: only where it starts counts (seen with
// MongoDB 6.0.5, unlike $indexOfBytes).
Value eval_index_of_cp(EvalContext&, std::span<const Value> arguments) {
  auto parsed = index_of_arguments(arguments, "$indexOfCP", 40093, 40094);
  if (!parsed) return Value::null();
  std::string_view text = parsed->text;
  if (text.empty()) return Value::int32(parsed->token.empty() && parsed->start == 0 ? 0 : -1);
  size_t at = utf8::skip(text, 0, parsed->start);
  size_t found = find_text(text, parsed->token, at);
  for (size_t i = parsed->start; at < text.size() && (!parsed->end || i < *parsed->end); ++i) {
    if (found < at) found = find_text(text, parsed->token, at);  // was inside a code point
    if (found == std::string_view::npos) break;
    if (found == at) return Value::int32(static_cast<int32_t>(i));
    at = utf8::skip(text, at, 1);
  }
  return Value::int32(-1);
}

// ---- $split

Value eval_split(EvalContext& context, std::span<const Value> arguments) {
  const Value& input = arguments[0];
  const Value& separator = arguments[1];
  if (input.is_nullish() || separator.is_nullish()) return Value::null();
  if (!input.is_string()) {
    fail_evaluation(
        40085,
        "$split requires an expression that evaluates to a string as a first argument, found: " +
            type_text(input));
  }
  std::string_view text = input.as_string();
  ArrayBuilder parts(*context.arena);
  if (separator.is(Type::kRegex)) {  // since MongoDB 8.3
    split_by_regex(
        text, cached_regex("$split", separator.as_regex().pattern, separator.as_regex().options),
        parts, *context.arena);
    return parts.finish();
  }
  if (!separator.is_string()) {
    fail_evaluation(10503900,
                    "$split requires an expression that evaluates to a string or regex as a second "
                    "argument, found: " +
                        type_text(separator));
  }
  std::string_view token = separator.as_string();
  if (token.empty()) fail_evaluation(40087, "$split requires a non-empty separator");
  for (;;) {
    size_t at = find_text(text, token, 0);
    parts.add(Value::string(text.substr(0, at)));
    if (at == std::string_view::npos) return parts.finish();
    text.remove_prefix(at + token.size());
  }
}

// ---- $trim, $ltrim, $rtrim

// The default set, sorted: NUL and the white space characters that the manual lists.
constexpr std::string_view kWhiteSpace[] = {std::string_view("\0", 1),
                                            "\t",
                                            "\n",
                                            "\v",
                                            "\f",
                                            "\r",
                                            " ",
                                            "\u00a0",
                                            "\u1680",
                                            "\u2000",
                                            "\u2001",
                                            "\u2002",
                                            "\u2003",
                                            "\u2004",
                                            "\u2005",
                                            "\u2006",
                                            "\u2007",
                                            "\u2008",
                                            "\u2009",
                                            "\u200a"};

// The single code points of `chars`, sorted.
std::vector<std::string_view> code_points(std::string_view chars) {
  std::vector<std::string_view> points;
  for (size_t at = 0; at < chars.size();) {
    size_t next = utf8::skip(chars, at, 1);
    points.push_back(chars.substr(at, next - at));
    at = next;
  }
  std::sort(points.begin(), points.end());
  return points;
}

class TrimExpression final : public Expression {
 public:
  TrimExpression(std::string name, NamedArguments arguments)
      : name_(std::move(name)), arguments_(std::move(arguments)) {
    if (const Value* chars = arguments_.constant(kChars); chars != nullptr && chars->is_string())
      set_ = code_points(chars->as_string());
  }
  Value evaluate(EvalContext& context) const override {
    Value input = arguments_.evaluate(kInput, context);
    if (input.is_nullish()) return Value::null();
    if (!input.is_string()) {
      fail_evaluation(50699, name_ + " requires its input to be a string, got " +
                                 value_to_text(input) + " (of type " + type_text(input) +
                                 ") instead.");
    }
    std::string_view text = input.as_string();
    if (!arguments_.given(kChars)) return Value::string(trim(text, kWhiteSpace));
    Value chars = arguments_.evaluate(kChars, context);
    if (chars.is_nullish()) return Value::null();
    if (!chars.is_string()) {
      fail_evaluation(50700, name_ + " requires 'chars' to be a string, got " +
                                 value_to_text(chars) + " (of type " + type_text(chars) +
                                 ") instead.");
    }
    return Value::string(arguments_.constant(kChars) != nullptr
                             ? trim(text, set_)
                             : trim(text, code_points(chars.as_string())));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

  static constexpr size_t kInput = 0;
  static constexpr size_t kChars = 1;

 private:
  // `set` is sorted.
  std::string_view trim(std::string_view text, std::span<const std::string_view> set) const {
    auto in_set = [&](std::string_view point) {
      return std::binary_search(set.begin(), set.end(), point);
    };
    if (name_ != "$rtrim") {
      while (!text.empty()) {
        size_t size = utf8::skip(text, 0, 1);
        if (!in_set(text.substr(0, size))) break;
        text.remove_prefix(size);
      }
    }
    if (name_ != "$ltrim") {
      while (!text.empty()) {
        size_t last = text.size() - 1;
        while (last > 0 && (text[last] & 0xC0) == 0x80) --last;
        if (!in_set(text.substr(last))) break;
        text.remove_suffix(text.size() - last);
      }
    }
    return text;
  }

  std::string name_;
  NamedArguments arguments_;
  std::vector<std::string_view> set_;  // of constant `chars`
};

Result<ExpressionPtr> parse_trim(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  std::string text(name);
  const ArgumentRule rules[] = {{"input", 50695, text + " requires an 'input' field"}, {"chars"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(
          operand, rules,
          {50696, text + " only supports an object as an argument, found " + type_text(operand),
           50694, text + " found an unknown argument: "},
          context));
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<TrimExpression>(std::move(text), std::move(arguments)),
                   constant, context);
}

// ---- $replaceOne, $replaceAll

class ReplaceExpression final : public Expression {
 public:
  ReplaceExpression(std::string name, NamedArguments arguments)
      : name_(std::move(name)), all_(name_ == "$replaceAll"), arguments_(std::move(arguments)) {}
  Value evaluate(EvalContext& context) const override {
    Value input = string_argument(0, 10503904, "input", context);
    Value find = string_argument(1, 10503901, "find", context);
    Value replacement = string_argument(2, 10503902, "replacement", context);
    if (input.is_nullish() || find.is_nullish() || replacement.is_nullish()) return Value::null();
    std::string_view with = replacement.as_string();
    if (find.is(Type::kRegex)) {
      const Regex& regex = cached_regex(name_, find.as_regex().pattern, find.as_regex().options);
      return Value::string(replace_by_regex(input.as_string(), regex, with, all_, *context.arena));
    }
    return Value::string(replace(input.as_string(), find.as_string(), with, context));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  Value string_argument(size_t i, int code, const char* what, EvalContext& context) const {
    Value value = arguments_.evaluate(i, context);
    bool regex = i == 1 && value.is(Type::kRegex);  // since MongoDB 8.3
    if (!value.is_nullish() && !value.is_string() && !regex) {
      fail_evaluation(code, name_ + " requires that '" + what +
                                "' be a string, found: " + value_to_text(value));
    }
    return value;
  }
  // An empty `find` is found before every code point and at the end.
  std::string_view replace(std::string_view text, std::string_view find, std::string_view with,
                           EvalContext& context) const {
    size_t at = find_text(text, find, 0);
    if (at == std::string_view::npos) return text;
    std::string out;
    size_t from = 0;
    while (at != std::string_view::npos) {
      check_string_size(context, out.size());
      out.append(text, from, at - from).append(with);
      from = at + find.size();
      if (!all_) break;
      if (find.empty()) {
        if (at == text.size()) break;
        size_t next = utf8::skip(text, at, 1);
        out.append(text, at, next - at);
        from = at = next;
      } else {
        at = find_text(text, find, from);
      }
    }
    out.append(text, from);
    check_string_size(context, out.size());
    return context.arena->copy(out);
  }

  std::string name_;
  bool all_;
  NamedArguments arguments_;
};

Result<ExpressionPtr> parse_replace(std::string_view name, const Value& operand,
                                    ParseContext& context) {
  std::string text(name);
  const ArgumentRule rules[] = {
      {"input", 51749, text + " requires 'input' to be specified"},
      {"find", 51748, text + " requires 'find' to be specified"},
      {"replacement", 51747, text + " requires 'replacement' to be specified"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(
          operand, rules,
          {51751, text + " requires an object as an argument, found: " + type_text(operand), 51750,
           text + " found an unknown argument: "},
          context));
  bool constant = arguments.all_constant();
  return fold_node(std::make_unique<ReplaceExpression>(std::move(text), std::move(arguments)),
                   constant, context);
}

constexpr std::string_view kNoEncryption = "it works on fields of Queryable Encryption only";

// clang-format off
constexpr std::array kStringExpressions = {
    //             name                   arguments          evaluate             parse          manual page
    ExpressionRow{"$concat",             {0, kAnyNumber},   eval_concat,         nullptr,       "aggregation/concat"},
    ExpressionRow{"$encStrContains",     {1, 1},            nullptr,             nullptr,       "aggregation/encStrContains", true, kNoEncryption},
    ExpressionRow{"$encStrEndsWith",     {1, 1},            nullptr,             nullptr,       "aggregation/encStrEndsWith", true, kNoEncryption},
    ExpressionRow{"$encStrNormalizedEq", {1, 1},            nullptr,             nullptr,       "aggregation/encStrNormalizedEq", true, kNoEncryption},
    ExpressionRow{"$encStrStartsWith",   {1, 1},            nullptr,             nullptr,       "aggregation/encStrStartsWith", true, kNoEncryption},
    ExpressionRow{"$indexOfBytes",       {2, 4},            eval_index_of_bytes, nullptr,       "aggregation/indexOfBytes"},
    ExpressionRow{"$indexOfCP",          {2, 4},            eval_index_of_cp,    nullptr,       "aggregation/indexOfCP"},
    ExpressionRow{"$ltrim",              {1, 1},            nullptr,             parse_trim,    "aggregation/ltrim"},
    ExpressionRow{"$replaceAll",         {1, 1},            nullptr,             parse_replace, "aggregation/replaceAll"},
    ExpressionRow{"$replaceOne",         {1, 1},            nullptr,             parse_replace, "aggregation/replaceOne"},
    ExpressionRow{"$rtrim",              {1, 1},            nullptr,             parse_trim,    "aggregation/rtrim"},
    ExpressionRow{"$split",              {2, 2},            eval_split,          nullptr,       "aggregation/split"},
    ExpressionRow{"$strLenBytes",        {1, 1},            eval_strlen_bytes,   nullptr,       "aggregation/strLenBytes"},
    ExpressionRow{"$strLenCP",           {1, 1},            eval_strlen_cp,      nullptr,       "aggregation/strLenCP"},
    ExpressionRow{"$strcasecmp",         {2, 2},            eval_strcasecmp,     nullptr,       "aggregation/strcasecmp"},
    ExpressionRow{"$substr",             {3, 3},            eval_substr_bytes,   nullptr,       "aggregation/substr"},
    ExpressionRow{"$substrBytes",        {3, 3},            eval_substr_bytes,   nullptr,       "aggregation/substrBytes"},
    ExpressionRow{"$substrCP",           {3, 3},            eval_substr_cp,      nullptr,       "aggregation/substrCP"},
    ExpressionRow{"$toLower",            {1, 1},            eval_case<lower>,    nullptr,       "aggregation/toLower"},
    ExpressionRow{"$toUpper",            {1, 1},            eval_case<upper>,    nullptr,       "aggregation/toUpper"},
    ExpressionRow{"$trim",               {1, 1},            nullptr,             parse_trim,    "aggregation/trim"},
};
// clang-format on
static_assert(sorted_and_unique(kStringExpressions));

}  // namespace

std::span<const ExpressionRow> string_expressions() { return kStringExpressions; }

}  // namespace millrace::engine
