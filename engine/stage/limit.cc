// $limit: the first n documents of the input; inside a window, of each window.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/limit/
#include "engine/document/decimal.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class LimitOperator final : public Operator {
 public:
  explicit LimitOperator(int64_t limit) : limit_(limit), left_(limit) {}

  std::string_view name() const override { return "LimitOperator"; }
  void dependencies(Dependencies&) const override {}
  bool only_filters() const override { return true; }
  int64_t most_documents() const override { return limit_; }
  bool stateless() const override { return false; }
  void on_batch(Batch& batch, OperatorContext&) override {
    auto count = static_cast<int64_t>(batch.documents.size());
    stats.input_count += count;
    int64_t kept = std::min(count, left_);
    batch.documents.resize(static_cast<size_t>(kept));
    left_ -= kept;
    stats.output_count += kept;
  }
  void reset() override { left_ = limit_; }

 private:
  int64_t limit_;
  int64_t left_;
};

}  // namespace

Result<OperatorPtr> parse_limit_stage(std::string_view, const Value& spec, StageContext&) {
  Status not_a_number(5107201, "invalid argument to $limit stage: Expected a number");
  int64_t limit = 0;
  if (spec.is_integer()) {
    limit = spec.integer_value();
  } else if (spec.is(Type::kDecimal)) {
    auto whole = decimal::to_int64_exact(spec.as_decimal());
    if (!whole) return not_a_number;
    limit = *whole;
  } else if (spec.is(Type::kDouble)) {
    double d = spec.as_double();
    if (!(d > -9.2e18 && d < 9.2e18) || d != static_cast<double>(static_cast<int64_t>(d))) {
      return Status(5107201, "invalid argument to $limit stage: Expected an integer");
    }
    limit = static_cast<int64_t>(d);
  } else {
    return not_a_number;
  }
  if (limit < 0)
    return Status(5107201, "invalid argument to $limit stage: Expected a non-negative number");
  if (limit == 0) return Status(15958, "the limit must be positive");
  return OperatorPtr(std::make_unique<LimitOperator>(limit));
}

}  // namespace millrace::engine
