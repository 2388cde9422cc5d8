// $densify: adds documents where a sequence of numbers or dates has gaps.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/densify/ ;
// codes: 6.0.5.
#include <algorithm>

#include "commands/local/aggregate_stages.h"
#include "commands/local/field_set.h"
#include "engine/document/compare.h"
#include "engine/expression/date_arithmetic.h"
#include "engine/expression/number.h"
#include "engine/expression/registry.h"

namespace millrace::commands {

using engine::Arena;
using engine::Batch;
using engine::Dependencies;
using engine::ErrorCode;
using engine::EvalContext;
using engine::FieldPath;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::StreamDocument;
using engine::Type;
using engine::Value;

namespace {

constexpr int64_t kMaxGenerated = 500'000;  // internalQueryMaxAllowedDensifyDocs

class DensifyOperator final : public Operator {
 public:
  enum class Bounds { kFull, kPartition, kExplicit };
  struct Parts {
    FieldPath field;
    std::vector<FieldPath> partition_by;
    Value step;
    std::optional<engine::DateUnit> unit;
    Bounds bounds = Bounds::kFull;
    Value lower;  // kExplicit
    Value upper;
  };
  explicit DensifyOperator(Parts parts) : parts_(std::move(parts)) {}

  std::string_view name() const override { return "DensifyOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }
  bool stateless() const override { return false; }

  void on_batch(Batch& batch, OperatorContext&) override {
    for (const StreamDocument& document : batch.documents) {
      Row& row = rows_.emplace_back();
      row.document = engine::deep_copy(document.body, arena_);
      row.value = at(row.document, parts_.field);
      for (const auto& path : parts_.partition_by) row.key.push_back(at(row.document, path));
    }
    batch.documents.clear();
  }

  void on_end(Batch& batch, OperatorContext& context) override {
    context.eval.arena = &arena_;
    std::stable_sort(rows_.begin(), rows_.end(),
                     [this](const Row& a, const Row& b) { return before(a, b); });
    Value lower = parts_.lower;
    Value upper = parts_.upper;
    if (parts_.bounds == Bounds::kFull) {
      for (const Row& row : rows_) {
        if (row.value.is_nullish()) continue;
        if (lower.is_missing()) lower = row.value;
        upper = row.value;
      }
    }
    for (const Row& row : rows_) {
      if (!row.value.is_nullish()) fill_before(row, lower, upper, batch, context.eval);
      batch.documents.emplace_back().body = engine::deep_copy(row.document, batch.arena);
    }
    if (parts_.bounds == Bounds::kExplicit) {
      // Behind documents a range of no width adds nothing (6.0.5).
      bool nothing = !partitions_.empty() && parts_.partition_by.empty();
      if (partitions_.empty()) partitions_.push_back({{}, lower});
      if (nothing && engine::equal(lower, upper)) partitions_.clear();
    }
    for (Partition& partition : partitions_) finish(partition, lower, upper, batch, context.eval);
    reset();
  }

  void reset() override {
    rows_.clear();
    partitions_.clear();
    generated_ = 0;
    arena_.reset();
  }
  int64_t state_bytes() const override {
    return static_cast<int64_t>(arena_.capacity_bytes() + rows_.capacity() * sizeof(Row));
  }

 private:
  using Key = std::vector<Value>;
  struct Row {
    Value document;
    Value value;
    Key key;
  };
  struct Partition {
    Key key;
    Value next;           // the next value of its sequence
    bool stands = false;  // which cannot be reached: the step changes nothing any more
  };

  // What an array stands before is not seen.
  static Value at(const Value& document, const FieldPath& path) {
    Value found = document;
    for (std::string_view part : path.parts) {
      if (!found.is_object()) return {};
      found = found.as_object().get(part);
    }
    return found;
  }
  // As $sort has it: what is missing is null.
  static int compare_sorted(const Value& a, const Value& b) {
    auto shown = [](const Value& v) { return v.is_missing() ? Value::null() : v; };
    return engine::compare(shown(a), shown(b));
  }
  bool before(const Row& a, const Row& b) const {
    for (size_t i = 0; parts_.bounds != Bounds::kFull && i < a.key.size(); ++i) {
      if (int order = compare_sorted(a.key[i], b.key[i]); order != 0) return order < 0;
    }
    return compare_sorted(a.value, b.value) < 0;
  }
  Partition* find(const Key& key) {
    for (auto partition = partitions_.rbegin(); partition != partitions_.rend(); ++partition) {
      if (std::equal(key.begin(), key.end(), partition->key.begin(), engine::equal))
        return &*partition;
    }
    return nullptr;
  }

  void check(const Value& value) const {
    if (!value.is_number() && !value.is(Type::kDate))
      engine::fail_evaluation(5733201, "Densify field type must be numeric or a date");
    if (value.is(Type::kDate) && !parts_.unit) {
      engine::fail_evaluation(6053600,
                              "Encountered date densify value in collection when step does not "
                              "have a date unit.");
    }
    if (value.is_number() && parts_.unit) {
      engine::fail_evaluation(6053600,
                              "Encountered numeric densify value in collection when step has a "
                              "date unit.");
    }
  }

  Value stepped(const Value& value, EvalContext& eval) const {
    if (parts_.unit) {
      auto amount = engine::whole_int64(parts_.step);
      return Value::date(engine::date_add(value.as_date(), *parts_.unit, amount.value_or(0),
                                          engine::TimeZone::utc()));
    }
    std::array<Value, 2> both = {value, parts_.step};
    // Two numbers are added as decimals at once when one of them is: a double has 15 digits then.
    if (value.is(Type::kDecimal) || parts_.step.is(Type::kDecimal)) {
      for (Value& v : both) v = Value::decimal(engine::to_decimal(v), *eval.arena);
    }
    return engine::find_expression("$add")->evaluate(eval, both);
  }

  void fill_before(const Row& row, const Value& lower, const Value& upper, Batch& batch,
                   EvalContext& eval) {
    check(row.value);
    Partition* partition = find(row.key);
    if (partition == nullptr) {
      bool own = parts_.bounds == Bounds::kPartition;
      partition = &partitions_.emplace_back(Partition{row.key, own ? row.value : lower});
    }
    while (engine::compare(partition->next, row.value) < 0 && within(partition->next, lower, upper))
      generate(*partition, batch, eval);
    // Of equal values the first has its type go on; at the lower bound the last (6.0.5).
    bool at_bound = parts_.bounds == Bounds::kExplicit && engine::equal(row.value, lower);
    if (at_bound || engine::equal(partition->next, row.value)) {
      partition->next = row.value;
      advance(*partition, eval);
    }
  }
  bool within(const Value& value, const Value& lower, const Value& upper) const {
    if (parts_.bounds != Bounds::kExplicit) return true;
    // A range of no width still has its one value (6.0.5).
    return engine::compare(value, upper) < 0 ||
           (engine::equal(lower, upper) && engine::equal(value, lower));
  }
  void finish(Partition& partition, const Value& lower, const Value& upper, Batch& batch,
              EvalContext& eval) {
    if (parts_.bounds == Bounds::kPartition) return;
    auto left = [&] {
      if (parts_.bounds == Bounds::kExplicit) return within(partition.next, lower, upper);
      int order = engine::compare(partition.next, upper);
      return order < 0 || (order == 0 && !partition.stands);
    };
    while (left()) generate(partition, batch, eval);
  }

  void generate(Partition& partition, Batch& batch, EvalContext& eval) {
    if (++generated_ > kMaxGenerated || partition.stands) {  // which would never end
      engine::fail_evaluation(5897900, "$densify generates more documents than the limit of " +
                                           std::to_string(kMaxGenerated));
    }
    Value document = Value::object({});
    for (size_t i = 0; i < partition.key.size(); ++i) {
      const FieldPath& path = parts_.partition_by[i];
      if (contains_field(path)) {
        engine::fail_evaluation(5733306,
                                "DocGenerator cannot include field that is being densified");
      }
      if (partition.key[i].is_missing()) continue;
      document = with_field(document, path.parts, engine::deep_copy(partition.key[i], batch.arena),
                            batch.arena);
    }
    batch.documents.emplace_back().body = with_field(
        document, parts_.field.parts, engine::deep_copy(partition.next, batch.arena), batch.arena);
    advance(partition, eval);
  }
  // The path is the field's, or one leads through the other.
  bool contains_field(const FieldPath& path) const {
    size_t common = std::min(path.size(), parts_.field.size());
    return std::equal(path.parts.begin(), path.parts.begin() + common, parts_.field.parts.begin());
  }
  // The step can be too small for the value: 1E16 + 1.
  void advance(Partition& partition, EvalContext& eval) const {
    Value next = stepped(partition.next, eval);
    partition.stands = engine::equal(next, partition.next);
    partition.next = next;
  }

  Parts parts_;
  Arena arena_;
  std::vector<Row> rows_;
  std::vector<Partition> partitions_;  // in the order in which they were seen
  int64_t generated_ = 0;
};

using Parts = DensifyOperator::Parts;

Status wrong_type(std::string_view option, const Value& value, std::string_view expected) {
  return Status(ErrorCode::kTypeMismatch,
                "BSON field '$densify." + std::string(option) + "' is the wrong type '" +
                    std::string(value.type_name()) + "', expected type" + std::string(expected));
}
Status missing(std::string_view option) {
  return Status(
      40414, "BSON field '$densify." + std::string(option) + "' is missing but a required field");
}
Status unknown(std::string_view option) {
  return Status(40415, "BSON field '$densify." + std::string(option) + "' is an unknown field.");
}

Status parse_explicit(const Value& bounds, Parts& parts, Arena& constants) {
  if (bounds.as_array().size() != 2) {
    return Status(5733403, "A bounding array in a range statement must have exactly two elements");
  }
  Value lower = bounds.as_array().at(0);
  Value upper = bounds.as_array().at(1);
  for (const Value& bound : {lower, upper}) {
    if (!bound.is_number() && !bound.is(Type::kDate))
      return Status(5946800, "Explicit bounds must be numeric or dates");
  }
  if (engine::compare(lower, upper) > 0) {
    return Status(5733402,
                  "A bounding array must be an ascending array of either two dates or two numbers");
  }
  if (lower.is_number() != upper.is_number()) {
    return Status(5733406, "A bounding array must contain either both dates or both numeric types");
  }
  if (lower.is_number()) {
    if (parts.unit) return Status(5733409, "Numeric bounds may not have unit parameter");
    if (lower.type() != upper.type() || lower.type() != parts.step.type())
      return Status(5876900, "Upper bound, lower bound, and step must all have the same type");
  } else if (!parts.unit) {
    return Status(5733410, "A bounding array of dates must specify a unit");
  }
  parts.bounds = DensifyOperator::Bounds::kExplicit;
  parts.lower = engine::deep_copy(lower, constants);
  parts.upper = engine::deep_copy(upper, constants);
  return {};
}

Status parse_bounds(const Value& bounds, bool partitioned, Parts& parts, Arena& constants) {
  if (bounds.is_array()) return parse_explicit(bounds, parts, constants);
  if (!bounds.is_string()) {
    return Status(5733404,
                  "The bounds in a range statement must be the string 'full', 'partition', or an "
                  "ascending array of two numbers or two dates");
  }
  if (bounds.as_string() == "full") return {};
  if (bounds.as_string() != "partition")
    return Status(5946802, "Bounds string must either be 'full' or 'partition'");
  if (!partitioned) {
    return Status(5733408,
                  "One cannot specify the bounds as 'partition' without specifying a non-empty "
                  "array of partitionByFields. You may have meant to specify 'full' bounds.");
  }
  parts.bounds = DensifyOperator::Bounds::kPartition;
  return {};
}

// An option that is null is not given.
Value option(const Value& options, std::string_view name) {
  Value value = options.as_object().get(name);
  return value.is_nullish() ? Value::missing() : value;
}

Status parse_range(const Value& range, bool partitioned, Parts& parts, Arena& constants) {
  for (const auto& field : range.as_object()) {
    if (!field.has_name("step") && !field.has_name("bounds") && !field.has_name("unit"))
      return unknown("range." + std::string(field.name()));
  }
  Value step = option(range, "step");
  if (!step.is_missing() && !step.is_number())
    return wrong_type("range.step", step, "s '[int, decimal, double, long']");
  if (Value unit = option(range, "unit"); !unit.is_missing()) {
    if (!unit.is_string()) return wrong_type("range.unit", unit, " 'string'");
    parts.unit = engine::parse_date_unit(unit.as_string());
    if (!parts.unit) {
      return Status(ErrorCode::kFailedToParse,
                    "unknown time unit value: " + std::string(unit.as_string()));
    }
  }
  if (step.is_missing()) return missing("range.step");
  Value bounds = range.as_object().get("bounds");
  if (bounds.is_missing()) return missing("range.bounds");
  if (!(step.to_double() > 0)) {
    return Status(5733401,
                  "The step parameter in a range statement must be a strictly positive numeric "
                  "value");
  }
  if (parts.unit && !engine::whole_int64(step)) {
    return Status(6586400,
                  "The step parameter in a range statement must be a whole number when densifying "
                  "a date range");
  }
  parts.step = engine::deep_copy(step, constants);
  return parse_bounds(bounds, partitioned, parts, constants);
}

}  // namespace

Result<OperatorPtr> parse_densify(const Value& spec, StageContext& context, AggregateBuilder&) {
  if (!spec.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "The $densify stage specification must be an object, found " +
                      std::string(spec.type_name()));
  }
  for (const auto& field : spec.as_object()) {
    bool text = field.has_name("field");
    bool array = field.has_name("partitionByFields");
    bool object = field.has_name("range");
    if (!text && !array && !object) return unknown(field.name());
    if (field.value.is_nullish()) continue;
    if (text && !field.value.is_string()) return wrong_type("field", field.value, " 'string'");
    if (array && !field.value.is_array())
      return wrong_type("partitionByFields", field.value, " 'array'");
    if (object && !field.value.is_object()) return wrong_type("range", field.value, " 'object'");
  }
  Value name = option(spec, "field");
  Value range = option(spec, "range");
  std::vector<Value> partitions;
  if (Value list = option(spec, "partitionByFields"); list.is_array()) {
    for (const Value& path : list.as_array()) partitions.push_back(path);
  }
  if (name.is_missing()) return missing("field");
  if (range.is_missing()) return missing("range");
  Parts parts;
  auto& names = context.parse.names();
  MR_ASSIGN_OR_RETURN(parts.field, engine::parse_field_path(name.as_string(), names));
  for (const Value& path : partitions) {
    if (!path.is_string()) return wrong_type("partitionByFields", path, " 'string'");
  }
  MR_RETURN_IF_ERROR(parse_range(range, !partitions.empty(), parts, context.parse.constants()));
  for (const Value& path : partitions) {
    MR_ASSIGN_OR_RETURN(auto parsed, engine::parse_field_path(path.as_string(), names));
    parts.partition_by.push_back(std::move(parsed));
  }
  return OperatorPtr(std::make_unique<DensifyOperator>(std::move(parts)));
}

}  // namespace millrace::commands
