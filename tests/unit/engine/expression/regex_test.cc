// The cover of PCRE2: limits, broken text, the cache.
#include "engine/expression/regex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>

#include "engine/document/status.h"

namespace millrace::engine {
namespace {

std::unique_ptr<Regex> compile(std::string_view pattern, std::string_view options = "") {
  RegexError error;
  auto regex = Regex::compile(pattern, options, &error);
  EXPECT_NE(regex, nullptr) << error.text;
  return regex;
}

TEST(Regex, BadPatternsEndWithinTheLimit) {
  auto start = std::chrono::steady_clock::now();
  for (const char* pattern : {"^(a+)+$", "^(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"}) {
    EXPECT_LE(compile(pattern)->search(std::string(60, 'a') + "!"), 0) << pattern;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Regex, DeepRecursionIsAnErrorOrAMatchNotACrash) {
  std::string open(200'000, '(');
  std::string text = open + std::string(200'000, ')');
  compile("^(\\((?1)*\\))*$")->search(text);
  compile("(?:.|\\n)*x")->search(text);
}

TEST(Regex, TextThatIsNoUtf8IsSearchedAroundWhatIsBroken) {
  EXPECT_EQ(compile("b")->search("a\xFF\xFE"
                                 "b"),
            1);
  EXPECT_EQ(compile("a.b")->search("a\xFF"
                                   "b"),
            0);
  EXPECT_EQ(compile("é")->search("\xC3"), 0);
  std::mt19937 random(1);
  auto regex = compile("(\\w+)@(.)", "i");
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (size_t n = random() % 20; n > 0; --n) text += static_cast<char>(random());
    for (size_t from = 0; from <= text.size() && regex->search(text, from) > 0;) {
      auto match = regex->group(0);
      ASSERT_TRUE(match && match->from <= match->to && match->to <= text.size());
      from = match->to + (match->from == match->to);
    }
  }
}

TEST(Regex, FlagsAndPatternsFailDifferently) {
  RegexError error;
  EXPECT_EQ(Regex::compile("a", "iq", &error), nullptr);
  EXPECT_EQ(error.kind, RegexError::Kind::kFlag);
  EXPECT_EQ(error.text, "q");
  EXPECT_EQ(Regex::compile("(", "", &error), nullptr);
  EXPECT_EQ(error.kind, RegexError::Kind::kPattern);
}

TEST(Regex, TheCacheHoldsItsSizeAndTellsOptionsApart) {
  for (size_t i = 0; i < 3 * kRegexCacheSize; ++i) {
    std::string pattern = "^x" + std::to_string(i) + "$";
    EXPECT_EQ(cached_regex("$regexMatch", pattern, "").search("x" + std::to_string(i)), 1);
    EXPECT_EQ(cached_regex("$regexMatch", pattern, "").search("X" + std::to_string(i)), 0);
    EXPECT_EQ(cached_regex("$regexMatch", pattern, "i").search("X" + std::to_string(i)), 1);
  }
  EXPECT_THROW(cached_regex("$regexMatch", "(", ""), EvaluationError);
}

}  // namespace
}  // namespace millrace::engine
