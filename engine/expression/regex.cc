// Regular expression operators, and the cover of PCRE2.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/expression/regex.h"

#include "engine/document/bson.h"

#include <pcre2.h>

#include <string>
#include <unordered_map>

#include "engine/expression/families.h"
#include "engine/expression/named_arguments.h"
#include "engine/expression/utf8.h"

namespace millrace::engine {
namespace {

// Backtracking steps of one match: enough for any honest pattern, and over in some milliseconds for
// a bad one.
constexpr uint32_t kMatchLimit = 1'000'000;
constexpr size_t kJitStackBytesMin = 32 << 10;
constexpr size_t kJitStackBytesMax = 1 << 20;

struct FreeJitStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// One per thread: a JIT stack must not be used by two matches at once.
pcre2_match_context* match_context() {
  thread_local const std::unique_ptr<pcre2_jit_stack, FreeJitStack> stack(
      pcre2_jit_stack_create(kJitStackBytesMin, kJitStackBytesMax, nullptr));
  thread_local const std::unique_ptr<pcre2_match_context, FreeMatchContext> context = [] {
    std::unique_ptr<pcre2_match_context, FreeMatchContext> made(
        pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(made.get(), kMatchLimit);
    pcre2_jit_stack_assign(made.get(), nullptr, stack.get());
    return made;
  }();
  return context.get();
}

std::string pcre2_text(int error) {
  PCRE2_UCHAR text[256];
  int length = pcre2_get_error_message(error, text, sizeof text);
  return length < 0 ? "error " + std::to_string(error)
                    : std::string(reinterpret_cast<char*>(text), length);
}

}  // namespace

std::unique_ptr<Regex> Regex::compile(std::string_view pattern, std::string_view options,
                                      RegexError* error) {
  // Text from the wire may be broken UTF-8; with this option PCRE2 copes and needs no check of each
  // text beforehand.
  uint32_t flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
  for (char option : options) {
    switch (option) {
      case 'i':
        flags |= PCRE2_CASELESS;
        break;
      case 'm':
        flags |= PCRE2_MULTILINE;
        break;
      case 'x':
        flags |= PCRE2_EXTENDED;
        break;
      case 's':
        flags |= PCRE2_DOTALL;
        break;
      case 'u':
        break;
      default:
        *error = {RegexError::Kind::kFlag, std::string(1, option)};
        return nullptr;
    }
  }
  constexpr size_t kMaxPatternBytes = 16384;  // MongoDB's since it uses PCRE2
  if (pattern.size() > kMaxPatternBytes) {
    *error = {RegexError::Kind::kPattern, "pattern string is longer than the limit"};
    return nullptr;
  }
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                       flags, &code, &offset, nullptr);
  if (compiled == nullptr) {
    *error = {RegexError::Kind::kPattern, pcre2_text(code)};
    return nullptr;
  }
  pcre2_jit_compile(
      compiled,
      PCRE2_JIT_COMPLETE);  // without JIT, e.g. forbidden by the system, it is only slower
  uint32_t groups = 0;
  pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &groups);
  return std::unique_ptr<Regex>(
      new Regex(compiled, pcre2_match_data_create_from_pattern(compiled, nullptr), groups));
}

Regex::~Regex() {
  pcre2_match_data_free(match_);
  pcre2_code_free(code_);
}

int Regex::search(std::string_view text, size_t start) const {
  int result = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start, 0,
                           match_, match_context());
  if (result > 0) return 1;
  return result == PCRE2_ERROR_NOMATCH ? 0 : result;
}

std::optional<Regex::Range> Regex::group(size_t i) const {
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(match_);
  if (offsets[2 * i] == PCRE2_UNSET) return std::nullopt;
  // \K inside a look-ahead can put a match's end before its start; such a match is empty.
  return Range{offsets[2 * i], std::max(offsets[2 * i], offsets[2 * i + 1])};
}

namespace {

// A pattern compiled for the operator `name`; the status has the server's codes.
Result<std::unique_ptr<Regex>> compile_for(std::string_view name, std::string_view pattern,
                                           std::string_view options) {
  std::string text(name);
  if (pattern.find('\0') != std::string_view::npos) {
    return Status(51109, text + ": regular expression cannot contain an embedded null byte");
  }
  if (options.find('\0') != std::string_view::npos) {
    return Status(51110,
                  text + ": regular expression options cannot contain an embedded null byte");
  }
  RegexError error;
  auto regex = Regex::compile(pattern, options, &error);
  if (regex != nullptr) return regex;
  if (error.kind == RegexError::Kind::kFlag)
    return Status(51108, text + " invalid flag in regex options: " + error.text);
  return Status(51111, "Invalid Regex in " + text + ": " + error.text);
}

}  // namespace

const Regex& cached_regex(std::string_view name, std::string_view pattern,
                          std::string_view options) {
  thread_local std::unordered_map<std::string, std::unique_ptr<Regex>> cache;
  thread_local std::string key;
  key.assign(options).append(1, '/').append(pattern);
  if (auto found = cache.find(key); found != cache.end()) return *found->second;
  auto compiled = compile_for(name, pattern, options);
  if (!compiled.ok()) throw EvaluationError(compiled.status());
  if (cache.size() >= kRegexCacheSize) cache.clear();
  return *cache.emplace(key, std::move(compiled).value()).first->second;
}

bool search_or_fail(std::string_view name, const Regex& regex, std::string_view text,
                    size_t start) {
  int result = regex.search(text, start);
  if (result < 0) {
    fail_evaluation(51156, "Error occurred while executing the regular expression in " +
                               std::string(name) + ": " + pcre2_text(result));
  }
  return result > 0;
}

void split_by_regex(std::string_view text, const Regex& regex, ArrayBuilder& parts, Arena&) {
  size_t part = 0;
  size_t from = 0;
  while (from <= text.size() && search_or_fail("$split", regex, text, from)) {
    Regex::Range match = *regex.group(0);
    parts.add(Value::string(text.substr(part, match.from - part)));
    for (size_t i = 1; i <= regex.group_count(); ++i) {
      auto group = regex.group(i).value_or(Regex::Range{0, 0});
      parts.add(Value::string(text.substr(group.from, group.to - group.from)));
    }
    part = match.to;
    if (match.to < text.size() && match.from == match.to) {
      from = utf8::skip(text, match.to, 1);
    } else {
      from = match.from == match.to ? text.size() + 1 : match.to;
    }
  }
  parts.add(Value::string(text.substr(part)));
}

std::string_view replace_by_regex(std::string_view text, const Regex& regex, std::string_view with,
                                  bool all, Arena& arena) {
  std::string out;
  size_t copied = 0;
  size_t from = 0;
  const char* name = all ? "$replaceAll" : "$replaceOne";
  while (from <= text.size() && search_or_fail(name, regex, text, from)) {
    Regex::Range match = *regex.group(0);
    out.append(text, copied, match.from - copied).append(with);
    if (out.size() >= kMaxDocumentBytes)
      fail_evaluation(16493, "Tried to create string longer than 16MB");
    copied = match.to;
    if (!all) break;
    from = match.from == match.to
               ? (match.to == text.size() ? text.size() + 1 : utf8::skip(text, match.to, 1))
               : match.to;
  }
  out.append(text, copied);
  return arena.copy(out);
}

namespace {

enum class RegexResult { kMatch, kFind, kFindAll };

class RegexExpression final : public Expression {
 public:
  static constexpr size_t kInput = 0;
  static constexpr size_t kRegex = 1;
  static constexpr size_t kOptions = 2;

  RegexExpression(std::string name, NamedArguments arguments)
      : name_(std::move(name)),
        result_(name_ == "$regexMatch"
                    ? RegexResult::kMatch
                    : (name_ == "$regexFind" ? RegexResult::kFind : RegexResult::kFindAll)),
        arguments_(std::move(arguments)) {}

  // Compiles a constant pattern.
  Status prepare() {
    bool constant = arguments_.constant(kRegex) != nullptr &&
                    (!arguments_.given(kOptions) || arguments_.constant(kOptions) != nullptr);
    if (!constant) return {};
    try {
      auto parts = pattern_and_options(
          *arguments_.constant(kRegex),
          arguments_.given(kOptions) ? *arguments_.constant(kOptions) : Value());
      if (!parts) {
        null_pattern_ = true;
        return {};
      }
      MR_ASSIGN_OR_RETURN(prepared_, compile_for(name_, parts->pattern, parts->options));
    } catch (const EvaluationError& error) {
      return error.status();
    }
    return {};
  }

  Value evaluate(EvalContext& context) const override {
    Value input = arguments_.evaluate(kInput, context);
    if (!input.is_nullish() && !input.is_string())
      fail_evaluation(51104, name_ + " needs 'input' to be of type string");
    const Regex* regex = prepared_.get();
    if (regex == nullptr && !null_pattern_) {
      auto parts = pattern_and_options(arguments_.evaluate(kRegex, context),
                                       arguments_.evaluate(kOptions, context));
      if (parts) regex = &cached_regex(name_, parts->pattern, parts->options);
    }
    bool nothing = input.is_nullish() || regex == nullptr;
    switch (result_) {
      case RegexResult::kMatch:
        return Value::boolean(!nothing && search_or_fail(name_, *regex, input.as_string()));
      case RegexResult::kFind:
        return nothing ? Value::null() : find(*regex, input.as_string(), *context.arena);
      case RegexResult::kFindAll:
        return nothing ? ArrayBuilder(*context.arena, 1).finish()
                       : find_all(*regex, input.as_string(), *context.arena);
    }
    return {};
  }
  void add_dependencies(Dependencies& dependencies) const override {
    arguments_.add_dependencies(dependencies);
  }

 private:
  // nullopt when the pattern is null or missing.
  std::optional<RegexParts> pattern_and_options(const Value& regex, const Value& options) const {
    if (!regex.is_nullish() && !regex.is_string() && !regex.is(Type::kRegex)) {
      fail_evaluation(51105, name_ + " needs 'regex' to be of type string or regex");
    }
    if (!options.is_nullish() && !options.is_string())
      fail_evaluation(51106, name_ + " needs 'options' to be of type string");
    if (regex.is_nullish()) return std::nullopt;
    bool both = regex.is(Type::kRegex) && !regex.as_regex().options.empty() && options.is_string();
    bool null_byte = regex.is_string() && regex.as_string().find('\0') != std::string_view::npos;
    if (options.is_string() && !both && !null_byte) check_flags(options.as_string());
    RegexParts parts = regex.is_string() ? RegexParts{regex.as_string(), ""} : regex.as_regex();
    if (options.is_string()) {  // null counts as not given
      if (!parts.options.empty()) {
        fail_evaluation(
            51107, name_ + ": found regex option(s) specified in both 'regex' and 'option' fields");
      }
      parts.options = options.as_string();
    }
    return parts;
  }

  // A null byte is an error before a wrong flag.
  void check_flags(std::string_view flags) const {
    if (flags.find('\0') != std::string_view::npos) {
      fail_evaluation(51110,
                      name_ + ": regular expression options cannot contain an embedded null byte");
    }
    size_t wrong = flags.find_first_not_of("imsux");
    if (wrong == std::string_view::npos) return;
    fail_evaluation(
        51108, name_ + " invalid flag in regex options: " + std::string(flags.substr(wrong, 1)));
  }

  // {match: …, idx: <code points before it>, captures: […]} of the last match.
  static Value describe(const Regex& regex, std::string_view text, int32_t index, Arena& arena) {
    auto text_of = [&](size_t group) {
      auto range = regex.group(group);
      return range ? Value::string(text.substr(range->from, range->to - range->from))
                   : Value::null();
    };
    ArrayBuilder captures(arena, regex.group_count());
    for (size_t i = 1; i <= regex.group_count(); ++i) captures.add(text_of(i));
    ObjectBuilder found(arena, 3);
    found.add("match", text_of(0));
    found.add("idx", Value::int32(index));
    found.add("captures", captures.finish());
    return found.finish();
  }

  Value find(const Regex& regex, std::string_view text, Arena& arena) const {
    if (!search_or_fail(name_, regex, text)) return Value::null();
    return describe(regex, text,
                    static_cast<int32_t>(utf8::length(text.substr(0, regex.group(0)->from))),
                    arena);
  }

  // The search ends with the text, so that an empty match at its end is only found by a search that
  // starts before it.
  Value find_all(const Regex& regex, std::string_view text, Arena& arena) const {
    ArrayBuilder found(arena);
    size_t from = 0;
    size_t counted = 0;  // bytes whose code points are in `index`
    size_t index = 0;
    do {
      if (!search_or_fail(name_, regex, text, from)) break;
      Regex::Range match = *regex.group(0);
      index += utf8::length(text.substr(counted, match.from - counted));
      counted = match.from;
      found.add(describe(regex, text, static_cast<int32_t>(index), arena));
      from = match.from == match.to ? utf8::skip(text, match.from, 1) : match.to;
    } while (from < text.size());
    return found.finish();
  }

  std::string name_;
  RegexResult result_;
  NamedArguments arguments_;
  std::unique_ptr<Regex> prepared_;
  bool null_pattern_ = false;
};

Result<ExpressionPtr> parse_regex(std::string_view name, const Value& operand,
                                  ParseContext& context) {
  std::string text(name);
  const ArgumentRule rules[] = {{"input", 31022, text + " requires 'input' parameter"},
                                {"regex", 31023, text + " requires 'regex' parameter"},
                                {"options"}};
  MR_ASSIGN_OR_RETURN(
      auto arguments,
      parse_arguments_by_rules(operand, rules,
                               {51103,
                                text + " expects an object of named arguments but found: " +
                                    std::string(operand.type_name()),
                                31024, text + " found an unknown argument: "},
                               context));
  bool constant = arguments.all_constant();
  auto node = std::make_unique<RegexExpression>(std::move(text), std::move(arguments));
  MR_RETURN_IF_ERROR(node->prepare());
  return fold_node(std::move(node), constant, context);
}

// clang-format off
constexpr std::array kRegexExpressions = {
    //             name             arguments  evaluate  parse         manual page
    ExpressionRow{"$regexFind",    {1, 1},    nullptr,  parse_regex,  "aggregation/regexFind"},
    ExpressionRow{"$regexFindAll", {1, 1},    nullptr,  parse_regex,  "aggregation/regexFindAll"},
    ExpressionRow{"$regexMatch",   {1, 1},    nullptr,  parse_regex,  "aggregation/regexMatch"},
};
// clang-format on
static_assert(sorted_and_unique(kRegexExpressions));

}  // namespace

std::span<const ExpressionRow> regex_expressions() { return kRegexExpressions; }

}  // namespace millrace::engine
