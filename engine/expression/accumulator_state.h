// The layouts of the numeric accumulators' states, and the additions that need no call: a plain
// number to a state that holds plain numbers. What these refuse goes through Accumulator::add. All
// states are fresh when their bytes are zero.
#pragma once

#include <bit>
#include <cstdint>

#include "engine/document/value.h"

namespace millrace::engine {

// A sum of two unevaluated doubles, the second the rounding error of the first, so that the order
// and size of the numbers hardly matter. MongoDB's $sum and $avg add this way; the steps are the
// same, so that results agree to the last bit. Source: Boldo, Graillat, Muller, "On the robustness
// of the 2Sum and Fast2Sum algorithms", 2016.
struct CompensatedSum {
  double sum = 0;
  double addend = 0;

  void add(double x) {
    double small = x + addend;  // Fast2Sum(x, addend)
    double rest = addend - (small - x);
    double total = sum + small;  // 2Sum(sum, small)
    double from_sum = total - small;
    double from_small = total - from_sum;
    addend = rest + ((sum - from_sum) + (small - from_small));
    sum = total;
  }
  // In two halves that doubles hold exactly.
  void add(int64_t x) {
    int64_t high = x / (int64_t{1} << 32) * (int64_t{1} << 32);
    add(static_cast<double>(x - high));
    add(static_cast<double>(high));
  }
};

// $sum in 16 bytes. `tag` tells what `bits` is; the two words of a CompensatedSum are (bits, tag ^
// kTagMask), where the mask is the pattern of a NaN that no addition yields, so that small tags and
// addends cannot be confused.
struct SumState {
  static constexpr uint64_t kTagMask = 0xFFF7'4D52'0000'0000;
  static constexpr uint64_t kInt32 =
      0;  // an exact int64 sum of int32 values: shown as an int when it fits
  static constexpr uint64_t kInt64 = 1;  // the same with int64 values among them: shown as a long
  static constexpr uint64_t kSpecial =
      2;  // a plain double: an infinity or NaN has come along, or the sum has overflowed
  static constexpr uint64_t kWide =
      3;  // a pointer to a WideSum (accumulator_numeric.cc): decimals, or integers beyond 64 bits

  uint64_t bits;
  uint64_t tag;

  bool is_integer() const { return tag <= kInt64; }
  bool is_compensated() const { return tag > kWide; }
  int64_t integer() const { return static_cast<int64_t>(bits); }
  CompensatedSum compensated() const {
    return {std::bit_cast<double>(bits), std::bit_cast<double>(tag ^ kTagMask)};
  }

  // False, and nothing changed, if the sum is not finite.
  bool store(const CompensatedSum& s) {
    if (!(s.sum - s.sum == 0)) return false;
    bits = std::bit_cast<uint64_t>(s.sum);
    tag = std::bit_cast<uint64_t>(s.addend) ^ kTagMask;
    return true;
  }

  // False: the value needs SumAccumulator::add. Values that are no numbers are nothing to add.
  bool add_fast(const Value& value) {
    switch (value.type()) {
      case Type::kInt32:
      case Type::kInt64: {
        if (!is_integer()) {
          if (!is_compensated()) return false;
          CompensatedSum s = compensated();
          if (value.is(Type::kInt32)) {
            s.add(static_cast<double>(value.as_int32()));
          } else {
            s.add(value.as_int64());
          }
          return store(s);
        }
        int64_t sum;
        if (__builtin_add_overflow(integer(), value.integer_value(), &sum)) return false;
        bits = static_cast<uint64_t>(sum);
        tag |= value.is(Type::kInt64) ? kInt64 : kInt32;
        return true;
      }
      case Type::kDouble: {
        if (!is_compensated()) return false;
        CompensatedSum s = compensated();
        s.add(value.as_double());
        return store(s);
      }
      case Type::kDecimal:
        return false;
      default:
        return true;
    }
  }

  // False, and nothing changed: the states need SumAccumulator::merge.
  bool merge_fast(const SumState& other) {
    if (is_integer() && other.is_integer()) {
      int64_t sum;
      if (__builtin_add_overflow(integer(), other.integer(), &sum)) return false;
      bits = static_cast<uint64_t>(sum);
      tag |= other.tag;
      return true;
    }
    if (!is_compensated() || !other.is_compensated()) return false;
    CompensatedSum s = compensated();
    CompensatedSum from = other.compensated();
    s.add(from.sum);
    if (!(s.sum - s.sum == 0)) return false;
    s.add(from.addend);
    return store(s);
  }
};
static_assert(sizeof(SumState) == 16);

// $avg.
struct AverageState {
  SumState sum;
  int64_t count;

  bool add_fast(const Value& value) {
    if (!value.is_number()) return true;
    if (!sum.add_fast(value)) return false;
    ++count;
    return true;
  }
  bool merge_fast(const AverageState& other) {
    if (!sum.merge_fast(other.sum)) return false;
    count += other.count;
    return true;
  }
};

// $count, and $sum over a constant int32: how many documents.
struct CountState {
  int64_t count;
};

// $min and $max: the best value so far, owned (owned_value.h); missing as long as there is none.
struct ExtremeState {
  Value best;

  // Numbers are copied by copying the Value.
  bool is_plain() const { return best.is_number() && !best.is(Type::kDecimal); }

  // False: the value needs the accumulator's add.
  template <bool kMin>
  bool add_fast(const Value& value) {
    if (value.type() != best.type()) return false;
    switch (value.type()) {
      case Type::kInt32:
        if (kMin ? value.as_int32() < best.as_int32() : value.as_int32() > best.as_int32())
          best = value;
        return true;
      case Type::kInt64:
      case Type::kDate:
        if (kMin ? value.as_int64() < best.as_int64() : value.as_int64() > best.as_int64())
          best = value;
        return true;
      case Type::kDouble:
        if (value.as_double() != value.as_double() || best.as_double() != best.as_double())
          return false;
        if (kMin ? value.as_double() < best.as_double() : value.as_double() > best.as_double())
          best = value;
        return true;
      default:
        return false;
    }
  }
};
static_assert(sizeof(ExtremeState) == 16);

}  // namespace millrace::engine
