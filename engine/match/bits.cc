// $bitsAllClear $bitsAllSet $bitsAnyClear $bitsAnySet.
#include "engine/document/decimal.h"
#include "engine/match/registry.h"

#include <algorithm>
#include <cmath>

namespace millrace::engine {
namespace {

enum class BitsRule { kAllClear, kAllSet, kAnyClear, kAnySet };

// The bits of a number (two's complement, sign extended) or of binary data (byte 0 first, clear
// beyond its end).
class BitsTest final : public ValueTest {
 public:
  BitsTest(BitsRule rule, std::vector<uint32_t> positions)
      : rule_(rule), positions_(std::move(positions)) {}

  bool test(const Value& value, EvalContext&) const override {
    if (value.is(Type::kBinData)) {
      std::string_view bytes = value.as_string();
      return decide([&](uint32_t position) {
        size_t byte = position / 8;
        return byte < bytes.size() &&
               (static_cast<unsigned char>(bytes[byte]) >> (position % 8) & 1) != 0;
      });
    }
    std::optional<int64_t> number = whole_number(value);
    if (!number) return false;
    return decide([&](uint32_t position) { return (*number >> std::min(position, 63u) & 1) != 0; });
  }

 private:
  // Numbers with a fraction or beyond 64 bits match nothing.
  static std::optional<int64_t> whole_number(const Value& value) {
    if (value.is_integer()) return value.integer_value();
    if (value.is(Type::kDecimal)) return decimal::to_int64_exact(value.as_decimal());
    if (!value.is(Type::kDouble)) return std::nullopt;
    double d = value.as_double();
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != std::trunc(d))
      return std::nullopt;
    return static_cast<int64_t>(d);
  }

  template <typename IsSet>
  bool decide(IsSet is_set) const {
    switch (rule_) {
      case BitsRule::kAllClear:
        return std::none_of(positions_.begin(), positions_.end(), is_set);
      case BitsRule::kAllSet:
        return std::all_of(positions_.begin(), positions_.end(), is_set);
      case BitsRule::kAnyClear:
        return !std::all_of(positions_.begin(), positions_.end(), is_set);
      case BitsRule::kAnySet:
        return std::any_of(positions_.begin(), positions_.end(), is_set);
    }
    return false;
  }

  BitsRule rule_;
  std::vector<uint32_t> positions_;
};

Result<std::vector<uint32_t>> parse_positions(const FieldOperator& field) {
  std::vector<uint32_t> positions;
  if (field.operand.is_array()) {
    for (const Value& element : field.operand.as_array()) {
      MR_ASSIGN_OR_RETURN(int64_t position,
                          parse_integer("bit position", element, ErrorCode::kBadValue));
      if (position < 0) return Status(ErrorCode::kBadValue, "a bit position may not be negative");
      if (position > INT32_MAX)
        return Status(ErrorCode::kBadValue, "a bit position must fit an int");
      positions.push_back(static_cast<uint32_t>(position));
    }
  } else if (field.operand.is(Type::kBinData)) {
    std::string_view bytes = field.operand.as_string();
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      if (static_cast<unsigned char>(bytes[bit / 8]) >> (bit % 8) & 1)
        positions.push_back(static_cast<uint32_t>(bit));
    }
  } else if (field.operand.is_number()) {
    MR_ASSIGN_OR_RETURN(int64_t mask,
                        parse_integer(field.name, field.operand, ErrorCode::kFailedToParse));
    if (mask < 0)
      return Status(ErrorCode::kFailedToParse,
                    std::string(field.name) + " takes no negative number");
    for (uint32_t bit = 0; bit < 63; ++bit) {
      if (mask >> bit & 1) positions.push_back(bit);
    }
  } else {
    return Status(
        ErrorCode::kBadValue,
        std::string(field.name) + " takes an array of positions, a number or binary data");
  }
  return positions;
}

template <BitsRule rule>
Result<std::optional<FieldCondition>> parse_bits(const FieldOperator& field, QueryParse&) {
  MR_ASSIGN_OR_RETURN(auto positions, parse_positions(field));
  FieldCondition condition;
  condition.test = std::make_unique<BitsTest>(rule, std::move(positions));
  return std::optional(std::move(condition));
}

// clang-format off
constexpr std::array kBitsQueries = {
    //       name             query    field                            manual page
    QueryRow{"$bitsAllClear", nullptr, parse_bits<BitsRule::kAllClear>, "query/bitsAllClear"},
    QueryRow{"$bitsAllSet",   nullptr, parse_bits<BitsRule::kAllSet>,   "query/bitsAllSet"},
    QueryRow{"$bitsAnyClear", nullptr, parse_bits<BitsRule::kAnyClear>, "query/bitsAnyClear"},
    QueryRow{"$bitsAnySet",   nullptr, parse_bits<BitsRule::kAnySet>,   "query/bitsAnySet"},
};
// clang-format on
static_assert(sorted_and_unique(kBitsQueries));

}  // namespace

std::span<const QueryRow> bits_queries() { return kBitsQueries; }

}  // namespace millrace::engine
