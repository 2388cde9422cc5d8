// $setWindowFields: for each document a value computed over its neighbours in a sorted partition.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/setWindowFields/
#include <algorithm>
#include <numeric>

#include "commands/local/aggregate_stages.h"
#include "commands/local/field_set.h"
#include "commands/local/window_function.h"
#include "engine/document/compare.h"

namespace millrace::commands {

using engine::Arena;
using engine::Batch;
using engine::Dependencies;
using engine::ErrorCode;
using engine::FieldPath;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::SortPattern;
using engine::StageContext;
using engine::Status;
using engine::StreamDocument;
using engine::Value;

namespace {

class SetWindowFieldsOperator final : public Operator {
 public:
  struct Output {
    FieldPath path;
    WindowFunctionPtr function;
  };
  struct Parts {
    engine::ExpressionPtr partition_by;  // null: all is one
    std::optional<SortPattern> order;
    std::unique_ptr<WindowSort> sort;  // the functions point to it
    std::vector<Output> outputs;
  };
  explicit SetWindowFieldsOperator(Parts parts) : parts_(std::move(parts)) {}

  std::string_view name() const override { return "SetWindowFieldsOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }
  bool stateless() const override { return false; }

  void on_batch(Batch& batch, OperatorContext& context) override {
    context.eval.arena = &arena_;
    for (const StreamDocument& document : batch.documents) {
      Row& row = rows_.emplace_back();
      row.document = engine::deep_copy(document.body, arena_);
      context.eval.root = row.document;
      if (parts_.partition_by != nullptr) row.partition = partition_key(context.eval);
      if (!parts_.order) continue;
      row.key = arena_.allocate_array<Value>(parts_.order->size());
      parts_.order->sort_key(context.eval, row.key);
    }
    batch.documents.clear();
  }

  void on_end(Batch& batch, OperatorContext& context) override {
    if (parts_.partition_by != nullptr || parts_.order) {
      std::stable_sort(rows_.begin(), rows_.end(), [this](const Row& a, const Row& b) {
        int order = engine::compare(a.partition, b.partition);
        if (order == 0 && parts_.order) order = parts_.order->compare(a.key, b.key);
        return order < 0;
      });
    }
    context.eval.arena = &batch.arena;
    for (size_t first = 0; first < rows_.size();) {
      size_t last = first + 1;
      while (last < rows_.size() && engine::equal(rows_[first].partition, rows_[last].partition))
        ++last;
      run_partition(first, last, batch, context);
      first = last;
    }
    reset();
  }

  void reset() override {
    rows_.clear();
    arena_.reset();
  }
  int64_t state_bytes() const override {
    return static_cast<int64_t>(arena_.capacity_bytes() + rows_.capacity() * sizeof(Row));
  }

 private:
  struct Row {
    Value document;
    Value partition = Value::null();
    Value* key = nullptr;
  };

  // A missing key counts as null.
  Value partition_key(engine::EvalContext& eval) const {
    Value key = parts_.partition_by->evaluate(eval);
    if (key.is_array()) {
      engine::fail_evaluation(
          ErrorCode::kTypeMismatch,
          "An expression used to partition cannot evaluate to value of type array");
    }
    return key.is_missing() ? Value::null() : key;
  }

  void run_partition(size_t first, size_t last, Batch& batch, OperatorContext& context) {
    WindowPartition partition;
    for (size_t i = first; i < last; ++i) {
      const Value& document = rows_[i].document;
      partition.documents.push_back(document);
      if (parts_.sort->by == nullptr) continue;
      context.eval.root = document;
      partition.sort_values.push_back(parts_.sort->by->evaluate(context.eval));
    }
    std::vector<std::vector<Value>> columns;
    for (auto& output : parts_.outputs)
      columns.push_back(output.function->run(partition, context.eval));
    for (size_t i = first; i < last; ++i) {
      // The copy: what the batch gives away must not point into this stage's memory.
      Value body = engine::deep_copy(rows_[i].document, batch.arena);
      for (size_t o = 0; o < columns.size(); ++o) {
        Value value = engine::deep_copy(columns[o][i - first], batch.arena);
        body = with_field(body, parts_.outputs[o].path.parts, value, batch.arena);
      }
      batch.documents.emplace_back().body = body;
    }
  }

  Parts parts_;
  Arena arena_;
  std::vector<Row> rows_;
};

Status wrong_type(std::string_view option, const Value& value) {
  return Status(ErrorCode::kTypeMismatch,
                "BSON field '$setWindowFields." + std::string(option) + "' is the wrong type '" +
                    std::string(value.type_name()) + "', expected type 'object'");
}

Status check_options(const Value& spec) {
  if (!spec.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "the $setWindowFields stage specification must be an object, found " +
                      std::string(spec.type_name()));
  }
  for (const auto& field : spec.as_object()) {
    if (field.has_name("partitionBy")) continue;
    if (!field.has_name("sortBy") && !field.has_name("output")) {
      return Status(40415, "BSON field '$setWindowFields." + std::string(field.name()) +
                               "' is an unknown field.");
    }
    bool omitted = field.has_name("sortBy") && field.value.is(engine::Type::kNull);
    if (!field.value.is_object() && !omitted) return wrong_type(field.name(), field.value);
  }
  if (!spec.as_object().has("output")) {
    return Status(40414, "BSON field '$setWindowFields.output' is missing but a required field");
  }
  return {};
}

Status parse_sort(const Value& spec, SetWindowFieldsOperator::Parts& parts,
                  engine::ParseContext& parse) {
  parts.sort = std::make_unique<WindowSort>();
  if (!spec.is_object()) return {};
  WindowSort& sort = *parts.sort;
  sort.given = true;
  sort.fields = spec.as_object().size();
  if (sort.fields == 0) return {};
  MR_ASSIGN_OR_RETURN(parts.order, SortPattern::parse(spec, parse));
  auto first = spec.as_object().begin();
  sort.descending = first->value.is_number() && first->value.to_double() < 0;
  if (!sort.single()) return {};
  MR_ASSIGN_OR_RETURN(auto path, engine::parse_field_path(first->name(), parse.names()));
  sort.by = engine::make_field_path(std::move(path));
  return {};
}

// True when one path is the other or leads to it.
bool conflict(const FieldPath& a, const FieldPath& b) {
  size_t common = std::min(a.size(), b.size());
  return std::equal(a.parts.begin(), a.parts.begin() + static_cast<ptrdiff_t>(common),
                    b.parts.begin());
}

Status parse_outputs(const Value& spec, SetWindowFieldsOperator::Parts& parts,
                     engine::ParseContext& parse) {
  for (const auto& field : spec.as_object()) {
    SetWindowFieldsOperator::Output output;
    MR_ASSIGN_OR_RETURN(output.path, engine::parse_field_path(field.name(), parse.names()));
    for (const auto& other : parts.outputs) {
      if (!conflict(output.path, other.path)) continue;
      return Status(6307900,
                    "$setWindowFields 'output' specification contains two conflicting paths");
    }
    MR_ASSIGN_OR_RETURN(output.function,
                        parse_window_function(field.name(), field.value, *parts.sort, parse));
    parts.outputs.push_back(std::move(output));
  }
  return {};
}

}  // namespace

Result<OperatorPtr> parse_set_window_fields(const Value& spec, StageContext& context,
                                            AggregateBuilder&) {
  MR_RETURN_IF_ERROR(check_options(spec));
  auto fields = spec.as_object();
  SetWindowFieldsOperator::Parts parts;
  if (Value by = fields.get("partitionBy"); !by.is_missing()) {
    MR_ASSIGN_OR_RETURN(parts.partition_by, engine::parse_expression(by, context.parse));
  }
  MR_RETURN_IF_ERROR(parse_sort(fields.get("sortBy"), parts, context.parse));
  if (parts.order && parts.partition_by != nullptr && parts.partition_by->constant() == nullptr)
    parts.order->follow_others();
  MR_RETURN_IF_ERROR(parse_outputs(fields.get("output"), parts, context.parse));
  return OperatorPtr(std::make_unique<SetWindowFieldsOperator>(std::move(parts)));
}

}  // namespace millrace::commands
