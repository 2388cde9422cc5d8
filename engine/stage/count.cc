// $count: {<name>: <how many>}, and nothing for an empty input.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/count/
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

class CountOperator final : public Operator {
 public:
  explicit CountOperator(std::string_view field) : field_(field) {}

  std::string_view name() const override { return "CountOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies = {}; }
  bool stateless() const override { return false; }
  void on_batch(Batch& batch, OperatorContext&) override {
    count_ += static_cast<int64_t>(batch.documents.size());
    stats.input_count += static_cast<int64_t>(batch.documents.size());
    batch.documents.clear();
  }
  void on_end(Batch& batch, OperatorContext&) override {
    if (count_ == 0) return;
    ObjectBuilder object(batch.arena, 1);
    object.add(field_, Value::integer(count_));
    StreamDocument& document = batch.documents.emplace_back();
    document.body = object.finish();
    document.watermark_ms = batch.watermark_ms;
    ++stats.output_count;
  }
  void reset() override { count_ = 0; }

 private:
  std::string_view field_;  // interned
  int64_t count_ = 0;
};

}  // namespace

Result<OperatorPtr> parse_count_stage(std::string_view, const Value& spec, StageContext& context) {
  if (!spec.is_string()) return Status(40156, "the count field must be a non-empty string");
  std::string_view name = spec.as_string();
  if (name.empty()) return Status(40157, "the count field must be a non-empty string");
  if (name[0] == '$') return Status(40158, "the count field cannot be a $-prefixed path");
  if (name.find('\0') != std::string_view::npos)
    return Status(40159, "the count field cannot contain a null byte");
  if (name.find('.') != std::string_view::npos)
    return Status(40160, "the count field cannot contain '.'");
  if (name == "_id") return Status(9039800, "the count field cannot be _id");
  return OperatorPtr(std::make_unique<CountOperator>(context.parse.names().intern(name)));
}

}  // namespace millrace::engine
