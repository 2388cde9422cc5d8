// $bucketAuto: groups of about equal size.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/bucketAuto/ ; how
// equal values and boundaries fall: 6.0.5.
#include <algorithm>
#include <cmath>

#include "commands/local/aggregate_stages.h"
#include "commands/local/granularity.h"
#include "commands/local/index_keys.h"
#include "engine/document/compare.h"
#include "engine/expression/number.h"
#include "engine/stage/group_table.h"

namespace millrace::commands {

using engine::Arena;
using engine::Batch;
using engine::Dependencies;
using engine::GroupTable;
using engine::ObjectBuilder;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::StreamDocument;
using engine::Value;

namespace {

class BucketAutoOperator final : public Operator {
 public:
  struct Parts {
    engine::ExpressionPtr group_by;
    int64_t buckets = 0;
    std::optional<Granularity> granularity;
    std::unique_ptr<GroupTable> output;  // grouped by a constant
  };
  explicit BucketAutoOperator(Parts parts) : parts_(std::move(parts)) {}

  std::string_view name() const override { return "BucketAutoOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }
  bool stateless() const override { return false; }

  void on_batch(Batch& batch, OperatorContext& context) override {
    context.eval.arena = &arena_;
    for (const StreamDocument& document : batch.documents) {
      Row& row = rows_.emplace_back();
      row.document.body = engine::deep_copy(document.body, arena_);
      context.eval.root = row.document.body;
      row.key = parts_.group_by->evaluate(context.eval);
      if (row.key.is_missing()) row.key = Value::null();
    }
    batch.documents.clear();
  }

  void on_end(Batch& batch, OperatorContext& context) override {
    std::stable_sort(rows_.begin(), rows_.end(),
                     [](const Row& a, const Row& b) { return engine::compare(a.key, b.key) < 0; });
    context.eval.arena = &batch.arena;
    auto size = std::max<int64_t>(
        std::llround(static_cast<double>(rows_.size()) / static_cast<double>(parts_.buckets)), 1);
    std::vector<Bucket> buckets;
    for (size_t first = 0; first < rows_.size();) {
      bool last_one = static_cast<int64_t>(buckets.size()) == parts_.buckets - 1;
      size_t last =
          last_one ? rows_.size() : std::min(first + static_cast<size_t>(size), rows_.size());
      buckets.push_back(bound(first, last, buckets));
      first = buckets.back().last;
    }
    for (const Bucket& bucket : buckets) emit(bucket, batch, context);
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
    StreamDocument document;
    Value key;
  };
  struct Bucket {
    Value min;
    Value max;
    size_t first;
    size_t last;
  };

  // The bucket of [first, last), and of what follows it that belongs to it too.
  Bucket bound(size_t first, size_t last, std::vector<Bucket>& before) {
    Bucket bucket{rows_[first].key, rows_[last - 1].key, first, last};
    if (!parts_.granularity) {
      while (bucket.last < rows_.size() && engine::equal(rows_[bucket.last].key, bucket.max))
        ++bucket.last;
      if (!before.empty()) before.back().max = bucket.min;
      return bucket;
    }
    Value edge = parts_.granularity->above(bucket.max, arena_);
    while (bucket.last < rows_.size() && engine::compare(rows_[bucket.last].key, edge) < 0)
      ++bucket.last;
    // Zeros alone: the series has nothing to end their bucket with, and further ones are not taken
    // in.
    bool zeros = edge.is_number() && edge.to_double() == 0;
    bucket.max = zeros && bucket.last < rows_.size()
                     ? parts_.granularity->below(rows_[bucket.last].key, arena_)
                     : edge;
    bucket.min = before.empty() ? parts_.granularity->below(bucket.min, arena_) : before.back().max;
    return bucket;
  }

  void emit(const Bucket& bucket, Batch& batch, OperatorContext& context) {
    auto groups = parts_.output->make_groups();
    std::vector<StreamDocument> documents;
    for (size_t i = bucket.first; i < bucket.last; ++i) documents.push_back(rows_[i].document);
    parts_.output->add(*groups, documents, context, name());
    std::vector<StreamDocument> made;
    engine::GroupsCursor all(*groups);
    parts_.output->emit(all, groups->count(), batch.arena, StreamDocument(), made);
    ObjectBuilder id(batch.arena, 2);
    id.add("min", engine::deep_copy(bucket.min, batch.arena));
    id.add("max", engine::deep_copy(bucket.max, batch.arena));
    ObjectBuilder result(batch.arena);
    result.add("_id", id.finish());
    for (const auto& field : made.front().body.as_object()) {
      if (!field.has_name("_id"))
        result.add(field.name(), engine::deep_copy(field.value, batch.arena));
    }
    batch.documents.emplace_back().body = result.finish();
  }

  Parts parts_;
  Arena arena_;
  std::vector<Row> rows_;
};

bool is_expression(const Value& value) {
  if (value.is_string()) return value.as_string().starts_with('$');
  return value.is_object() && !value.as_object().empty() &&
         value.as_object().begin()->name().starts_with('$');
}

Result<int64_t> read_buckets(const Value& value) {
  if (!value.is_number()) {
    return Status(40241,
                  "The $bucketAuto 'buckets' field must be a numeric value, but found "
                  "type: " +
                      std::string(value.type_name()));
  }
  auto count = engine::whole_int32(value);
  if (!count) {
    return Status(40242,
                  "The $bucketAuto 'buckets' field must be representable as a 32-bit integer, but "
                  "found " +
                      shell_text(value));
  }
  if (*count <= 0) {
    return Status(40243, "The $bucketAuto 'buckets' field must be greater than 0, but found: " +
                             std::to_string(*count));
  }
  return int64_t{*count};
}

// `n` of {$minN: {input, n}} is the same for all groups here: there is no key that it could name.
Status check_constant_count(const Value& accumulator, StageContext& context) {
  if (!accumulator.is_object() || accumulator.as_object().empty()) return {};
  Value operand = accumulator.as_object().begin()->value;
  if (!operand.is_object() || !operand.as_object().has("n")) return {};
  MR_ASSIGN_OR_RETURN(auto count,
                      engine::parse_expression(operand.as_object().get("n"), context.parse));
  if (count->constant() != nullptr) return {};
  return Status(4544714, "Can't refer to the group key in $bucketAuto");
}

Result<std::unique_ptr<GroupTable>> parse_output(const Value& output, StageContext& context) {
  Arena& arena = context.parse.constants();
  ObjectBuilder group(arena);
  group.add("_id", Value::null());
  if (output.is_missing() || output.as_object().empty()) {
    ObjectBuilder count(arena, 1);
    count.add("$sum", Value::int32(1));
    group.add("count", count.finish());
  } else {
    for (const auto& field : output.as_object()) {
      MR_RETURN_IF_ERROR(check_constant_count(field.value, context));
      group.add(field.name(), field.value);
    }
  }
  return GroupTable::parse(group.finish(), context.parse);
}

Status check_options(const Value& spec) {
  if (!spec.is_object()) {
    return Status(40240, "The argument to $bucketAuto must be an object, but found type: " +
                             std::string(spec.type_name()));
  }
  for (const auto& field : spec.as_object()) {
    if (field.has_name("groupBy") && !is_expression(field.value)) {
      return Status(40239,
                    "The $bucketAuto 'groupBy' field must be defined as a $-prefixed path or an "
                    "expression object, but found: " +
                        shell_text(field.value));
    }
    if (field.has_name("output") && !field.value.is_object()) {
      return Status(40244, "The $bucketAuto 'output' field must be an object, but found type: " +
                               std::string(field.value.type_name()));
    }
    if (field.has_name("granularity") && !field.value.is_string()) {
      return Status(40261,
                    "The $bucketAuto 'granularity' field must be a string, but found type: " +
                        std::string(field.value.type_name()));
    }
    bool known = field.has_name("groupBy") || field.has_name("output") ||
                 field.has_name("granularity") || field.has_name("buckets");
    if (!known)
      return Status(40245, "Unrecognized option to $bucketAuto: " + std::string(field.name()));
  }
  return {};
}

}  // namespace

Result<OperatorPtr> parse_bucket_auto(const Value& spec, StageContext& context, AggregateBuilder&) {
  MR_RETURN_IF_ERROR(check_options(spec));
  auto fields = spec.as_object();
  BucketAutoOperator::Parts parts;
  if (Value buckets = fields.get("buckets"); !buckets.is_missing()) {
    MR_ASSIGN_OR_RETURN(parts.buckets, read_buckets(buckets));
  }
  if (!fields.has("groupBy") || !fields.has("buckets"))
    return Status(40246, "$bucketAuto requires 'groupBy' and 'buckets' to be specified");
  MR_ASSIGN_OR_RETURN(parts.group_by,
                      engine::parse_expression(fields.get("groupBy"), context.parse));
  if (Value granularity = fields.get("granularity"); granularity.is_string()) {
    parts.granularity = Granularity::find(granularity.as_string());
    if (!parts.granularity) {
      return Status(40257,
                    "Unknown rounding granularity '" + std::string(granularity.as_string()) + "'");
    }
  }
  MR_ASSIGN_OR_RETURN(parts.output, parse_output(fields.get("output"), context));
  return OperatorPtr(std::make_unique<BucketAutoOperator>(std::move(parts)));
}

}  // namespace millrace::commands
