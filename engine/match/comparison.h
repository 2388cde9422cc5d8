// One comparison with a constant, the condition that most filters are made of.
#pragma once

#include "engine/match/predicate.h"

namespace millrace::engine {

// Which outcomes of compare(value, constant) satisfy it.
enum class CompareOp : uint8_t {
  kLess = 1,
  kEqual = 2,
  kLessOrEqual = 3,
  kGreater = 4,
  kGreaterOrEqual = 6
};

// Compares within the constant's type bracket only: {$lt: 5} is never true of a string. Null also
// equals missing and undefined; NaN equals NaN and is neither less nor greater than any number;
// MinKey and MaxKey compare with everything.
class Comparison final : public ValueTest {
 public:
  // `constant` must outlive this.
  Comparison(CompareOp op, Value constant);

  bool test(const Value& value, EvalContext&) const override {
    if (kind_ == Kind::kInteger) {
      if (value.is(Type::kInt32)) return holds<int64_t>(value.as_int32(), integer_);
      if (value.is(Type::kInt64)) return holds(value.as_int64(), integer_);
      if (value.is(Type::kDouble) && small_integer_) return holds(value.as_double(), number_);
    } else if (kind_ == Kind::kDouble) {
      if (value.is(Type::kDouble)) return holds(value.as_double(), number_);
      if (value.is(Type::kInt32)) return holds(static_cast<double>(value.as_int32()), number_);
    } else if (kind_ == Kind::kEqualString && value.is_string()) {
      return value.as_string() == constant_.as_string();
    }
    return test_slowly(value);
  }

 private:
  enum class Kind : uint8_t { kInteger, kDouble, kEqualString, kOther };

  // No outcome holds for NaN, which is right: the constants here are not NaN.
  template <typename T>
  bool holds(T a, T b) const {
    int outcomes = (a < b ? 1 : 0) | (a == b ? 2 : 0) | (a > b ? 4 : 0);
    return (outcomes & static_cast<int>(op_)) != 0;
  }
  bool test_slowly(const Value& value) const;

  Kind kind_ = Kind::kOther;
  CompareOp op_;
  bool small_integer_ = false;  // a double holds it exactly
  int rank_;
  int64_t integer_ = 0;
  double number_ = 0;
  Value constant_;
};

}  // namespace millrace::engine
