#include "engine/document/array_position.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

TEST(ArrayPosition, IsDigitsOnly) {
  EXPECT_EQ(array_position("0"), 0u);
  EXPECT_EQ(array_position("12"), 12u);
  for (std::string_view text : {"", "a", "1a", "a1", "-1", "+1", " 1", "1.5", "$"})
    EXPECT_EQ(array_position(text), std::nullopt) << text;
}

TEST(ArrayPosition, LeadingZeros) {
  EXPECT_EQ(array_position("01"), std::nullopt);
  EXPECT_EQ(array_position("00"), std::nullopt);
  EXPECT_EQ(array_position("01", LeadingZeros::kAccepted), 1u);
  EXPECT_EQ(array_position("00", LeadingZeros::kAccepted), 0u);
}

TEST(ArrayPosition, HasAtMostEighteenDigits) {
  EXPECT_EQ(array_position("999999999999999999"), 999999999999999999u);
  EXPECT_EQ(array_position("1000000000000000000"), std::nullopt);
  EXPECT_EQ(array_position("99999999999999999999999999"), std::nullopt);
}

}  // namespace
}  // namespace millrace::engine
