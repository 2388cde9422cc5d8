#include "engine/match/regex_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

namespace millrace::engine {
namespace {

// Steps and backtracking depth of one search: patterns that run away end as "not found" after some milliseconds instead of hanging the
// pipeline.
constexpr uint32_t kMatchLimit = 1'000'000;
constexpr uint32_t kDepthLimit = 10'000;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;

class Pcre2Matcher final : public RegexMatcher {
 public:
  explicit Pcre2Matcher(Code code)
      : code_(std::move(code)),
        data_(pcre2_match_data_create_from_pattern(code_.get(), nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    pcre2_set_match_limit(context_.get(), kMatchLimit);
    pcre2_set_depth_limit(context_.get(), kDepthLimit);
  }
  bool found_in(std::string_view text) const override {
    auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    return pcre2_match(code_.get(), subject, text.size(), 0, 0, data_.get(), context_.get()) >= 0;
  }

 private:
  Code code_;
  MatchData data_;
  MatchContext context_;
};

}  // namespace

Result<std::unique_ptr<RegexMatcher>> compile_match_regex(std::string_view pattern, std::string_view options) {
  uint32_t flags = PCRE2_UTF;
  if (pattern.find('\0') != std::string_view::npos || options.find('\0') != std::string_view::npos) {
    return Status(ErrorCode::kBadValue, "a regular expression and its options may not contain a NUL byte");
  }
  for (char option : options) {
    switch (option) {
      case 'i': flags |= PCRE2_CASELESS; break;
      case 'm': flags |= PCRE2_MULTILINE; break;
      case 's': flags |= PCRE2_DOTALL; break;
      case 'x': flags |= PCRE2_EXTENDED; break;
      case 'u': break;  // UTF-8 is always on
      default: return Status(51108, "invalid flag in regex options: " + std::string(1, option));
    }
  }
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), flags, &error, &offset, nullptr));
  if (code == nullptr) {
    unsigned char text[256];
    pcre2_get_error_message(error, text, sizeof text);
    return Status(51091, std::string("Regular expression is invalid: ") + reinterpret_cast<const char*>(text));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT the interpreter serves
  return std::unique_ptr<RegexMatcher>(std::make_unique<Pcre2Matcher>(std::move(code)));
}

}  // namespace millrace::engine
