// $skip and $sample.
#include <algorithm>
#include <cmath>

#include "commands/local/aggregate_stages.h"
#include "commands/local/index_keys.h"
#include "engine/expression/number.h"

namespace millrace::commands {

using engine::Batch;
using engine::Dependencies;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::StreamDocument;
using engine::Value;

namespace {

class SkipOperator final : public Operator {
 public:
  explicit SkipOperator(int64_t skip) : skip_(skip), left_(skip) {}
  std::string_view name() const override { return "SkipOperator"; }
  void dependencies(Dependencies&) const override {}
  bool stateless() const override { return false; }
  void on_batch(Batch& batch, OperatorContext&) override {
    auto gone = std::min<int64_t>(left_, static_cast<int64_t>(batch.documents.size()));
    batch.documents.erase(batch.documents.begin(), batch.documents.begin() + gone);
    left_ -= gone;
  }
  void reset() override { left_ = skip_; }

 private:
  int64_t skip_;
  int64_t left_;
};

// A reservoir: each document of the input is as likely to be among the result as any other.
class SampleOperator final : public Operator {
 public:
  explicit SampleOperator(size_t size) : size_(size) {}
  std::string_view name() const override { return "SampleOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }
  bool stateless() const override { return false; }
  void on_batch(Batch& batch, OperatorContext& context) override {
    for (const StreamDocument& document : batch.documents) {
      if (chosen_.size() < size_) {
        chosen_.emplace_back(document.body);
      } else {
        size_t at = std::uniform_int_distribution<size_t>(0, seen_)(context.eval.random);
        if (at < size_) chosen_[at] = engine::Document(document.body);
      }
      ++seen_;
    }
    batch.documents.clear();
  }
  void on_end(Batch& batch, OperatorContext& context) override {
    std::shuffle(chosen_.begin(), chosen_.end(), context.eval.random);
    for (const auto& document : chosen_)
      batch.documents.emplace_back().body = engine::deep_copy(document.value(), batch.arena);
  }
  void reset() override {
    chosen_.clear();
    seen_ = 0;
  }

 private:
  size_t size_;
  std::vector<engine::Document> chosen_;
  size_t seen_ = 0;
};

}  // namespace

Result<OperatorPtr> parse_skip(const Value& spec, StageContext&, AggregateBuilder&) {
  std::string shown = " in: $skip: " + shell_text(spec);
  if (!spec.is_number())
    return Status(5107200, "invalid argument to $skip stage: Expected a number" + shown);
  auto number = engine::whole_int64(spec);
  if (!number)
    return Status(5107200, "invalid argument to $skip stage: Expected an integer" + shown);
  if (*number < 0)
    return Status(5107200,
                  "invalid argument to $skip stage: Expected a non-negative number" + shown);
  return OperatorPtr(std::make_unique<SkipOperator>(*number));
}

Result<OperatorPtr> parse_sample(const Value& spec, StageContext&, AggregateBuilder&) {
  if (!spec.is_object()) return Status(28745, "the $sample stage specification must be an object");
  Value size;
  for (const auto& field : spec.as_object()) {
    if (!field.has_name("size"))
      return Status(28748, "unrecognized option to $sample: " + std::string(field.name()));
    size = field.value;
    if (!size.is_number()) return Status(28746, "size argument to $sample must be a number");
  }
  if (size.is_missing()) return Status(28749, "$sample stage must specify a size");
  // Decimals are rounded, doubles cut (6.0.5).
  double number =
      size.is(engine::Type::kDecimal)
          ? engine::decimal::to_double(engine::decimal::quantize(size.as_decimal(), 0, false))
          : std::trunc(size.to_double());
  if (!(number > 0)) return Status(28747, "size argument to $sample must be a positive number");
  return OperatorPtr(std::make_unique<SampleOperator>(static_cast<size_t>(std::min(number, 1e12))));
}

}  // namespace millrace::commands
