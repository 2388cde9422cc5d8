// $bucket and $sortByCount: short for a $group and a $sort.
#include <array>

#include "commands/local/aggregate_stages.h"
#include "commands/local/index_keys.h"
#include "commands/local/operator_chain.h"
#include "engine/document/compare.h"

namespace millrace::commands {

using engine::Arena;
using engine::ArrayBuilder;
using engine::Batch;
using engine::Dependencies;
using engine::ObjectBuilder;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::Value;

namespace {

// $group and $sort as one stage.
class GroupAndSort final : public Operator {
 public:
  GroupAndSort(std::string_view name, std::vector<OperatorPtr> operators)
      : name_(name), operators_(std::move(operators)) {}
  std::string_view name() const override { return name_; }
  void dependencies(Dependencies& dependencies) const override {
    for (auto op = operators_.rbegin(); op != operators_.rend(); ++op)
      (*op)->dependencies(dependencies);
  }
  bool stateless() const override { return false; }
  void on_batch(Batch& batch, OperatorContext& context) override {
    operators_.front()->on_batch(batch, context);
  }
  void on_end(Batch& batch, OperatorContext& context) override {
    operators_.front()->on_end(batch, context);
    operators_.back()->on_batch(batch, context);
    operators_.back()->on_end(batch, context);
  }
  void reset() override {
    for (auto& op : operators_) op->reset();
  }

 private:
  std::string_view name_;
  std::vector<OperatorPtr> operators_;
};

Value object_of(Arena& arena, std::string_view name, Value value) {
  ObjectBuilder object(arena, 1);
  object.add(name, value);
  return object.finish();
}

Result<OperatorPtr> build_group_and_sort(std::string_view name, Value group, Value sort,
                                         StageContext& context) {
  Arena& arena = context.parse.constants();
  std::array<Value, 2> stages = {object_of(arena, "$group", group),
                                 object_of(arena, "$sort", sort)};
  MR_ASSIGN_OR_RETURN(auto operators,
                      context.builder.build(Value::array(stages), context.place, context));
  return OperatorPtr(std::make_unique<GroupAndSort>(name, std::move(operators)));
}

bool is_expression(const Value& value) {
  if (value.is_string()) return value.as_string().starts_with('$');
  return value.is_object() && !value.as_object().empty() &&
         value.as_object().begin()->name().starts_with('$');
}

Status check_boundaries(const Value& boundaries) {
  if (!boundaries.is_array()) {
    return Status(40200, "The $bucket 'boundaries' field must be an array, but found type: " +
                             std::string(boundaries.type_name()) + ".");
  }
  size_t count = boundaries.as_array().size();
  if (count < 2)
    return Status(40192, "The $bucket 'boundaries' field must have at least 2 values, but found " +
                             std::to_string(count) + " value(s).");
  Value before;
  for (const Value& boundary : boundaries.as_array()) {
    if (!before.is_missing()) {
      if (engine::canonical_type(before.type()) != engine::canonical_type(boundary.type())) {
        return Status(40193,
                      "All values in the 'boundaries' option to $bucket must have the same type. "
                      "Found conflicting types " +
                          std::string(before.type_name()) + " and " +
                          std::string(boundary.type_name()) + ".");
      }
      if (engine::compare(before, boundary) >= 0) {
        return Status(40194,
                      "The 'boundaries' option to $bucket must be sorted, but elements are not in "
                      "ascending order.");
      }
    }
    before = boundary;
  }
  return {};
}

// The value of an expression that does not depend on the document.
Result<Value> constant_of(const Value& spec, int code, std::string_view rule,
                          StageContext& context) {
  MR_ASSIGN_OR_RETURN(auto expression, engine::parse_expression(spec, context.parse));
  if (expression->constant() != nullptr) {
    return engine::deep_copy(*expression->constant(), context.parse.constants());
  }
  return Status(code, std::string(rule) + ", but found: " + shell_text(spec) + ".");
}

Status check_default(const Value& otherwise, const Value& boundaries) {
  if (otherwise.is_missing()) return {};
  Value first = boundaries.as_array().at(0);
  Value last = boundaries.as_array().at(boundaries.as_array().size() - 1);
  if (engine::canonical_type(otherwise.type()) != engine::canonical_type(first.type())) return {};
  if (engine::compare(otherwise, first) < 0 || engine::compare(otherwise, last) >= 0) return {};
  return Status(40199,
                "The $bucket 'default' field must be less than the lowest boundary or greater than "
                "or equal to the highest boundary.");
}

}  // namespace

Result<OperatorPtr> parse_sort_by_count(const Value& spec, StageContext& context,
                                        AggregateBuilder&) {
  if (spec.is_object() && !is_expression(spec)) {
    return Status(40147,
                  "the sortByCount field must be defined as a $-prefixed path or an expression "
                  "inside an object");
  }
  if (spec.is_string() && !is_expression(spec))
    return Status(40148,
                  "the sortByCount field must be defined as a $-prefixed path or an expression "
                  "inside an object");
  if (!spec.is_object() && !spec.is_string())
    return Status(40149, "the sortByCount field must be specified as a string or as an object");
  Arena& arena = context.parse.constants();
  ObjectBuilder group(arena, 2);
  group.add("_id", spec);
  group.add("count", object_of(arena, "$sum", Value::int32(1)));
  return build_group_and_sort("SortByCountOperator", group.finish(),
                              object_of(arena, "count", Value::int32(-1)), context);
}

Result<OperatorPtr> parse_bucket(const Value& spec, StageContext& context, AggregateBuilder&) {
  if (!spec.is_object())
    return Status(40201, "Argument to $bucket stage must be an object, but found type: " +
                             std::string(spec.type_name()) + ".");
  auto fields = spec.as_object();
  for (const auto& field : fields) {
    bool known = field.has_name("groupBy") || field.has_name("boundaries") ||
                 field.has_name("default") || field.has_name("output");
    if (!known)
      return Status(40197, "Unrecognized option to $bucket: " + std::string(field.name()) + ".");
  }
  Value group_by = fields.get("groupBy");
  Value boundaries = fields.get("boundaries");
  Value otherwise = fields.get("default");
  Value output = fields.get("output");
  if (group_by.is_missing() || boundaries.is_missing()) {
    return Status(40198, "$bucket requires 'groupBy' and 'boundaries' to be specified.");
  }
  if (!is_expression(group_by))
    return Status(40202,
                  "The $bucket 'groupBy' field must be defined as a $-prefixed path or an "
                  "expression object.");
  if (!output.is_missing() && !output.is_object())
    return Status(40196, "The $bucket 'output' field must be an object.");
  if (boundaries.is_array()) {
    engine::ArrayBuilder constants(context.parse.constants());
    for (const Value& boundary : boundaries.as_array()) {
      MR_ASSIGN_OR_RETURN(
          auto constant,
          constant_of(boundary, 40191,
                      "The $bucket 'boundaries' field must be an array of constant values",
                      context));
      constants.add(constant);
    }
    boundaries = constants.finish();
  }
  if (!otherwise.is_missing()) {
    MR_ASSIGN_OR_RETURN(
        otherwise,
        constant_of(otherwise, 40195, "The $bucket 'default' field must be a constant expression",
                    context));
  }
  MR_RETURN_IF_ERROR(check_boundaries(boundaries));
  MR_RETURN_IF_ERROR(check_default(otherwise, boundaries));

  Arena& arena = context.parse.constants();
  auto literal = [&](const Value& value) { return object_of(arena, "$literal", value); };
  auto compare = [&](std::string_view op, const Value& bound) {
    ArrayBuilder both(arena, 2);
    both.add(group_by);
    both.add(literal(bound));
    return object_of(arena, op, both.finish());
  };
  ArrayBuilder branches(arena);
  Value lower;
  for (const Value& upper : boundaries.as_array()) {
    if (!lower.is_missing()) {
      ArrayBuilder both(arena, 2);
      both.add(compare("$gte", lower));
      both.add(compare("$lt", upper));
      ObjectBuilder branch(arena, 2);
      branch.add("case", object_of(arena, "$and", both.finish()));
      branch.add("then", literal(lower));
      branches.add(branch.finish());
    }
    lower = upper;
  }
  ObjectBuilder choice(arena, 2);
  choice.add("branches", branches.finish());
  if (!otherwise.is_missing()) choice.add("default", literal(otherwise));
  ObjectBuilder group(arena);
  group.add("_id", object_of(arena, "$switch", choice.finish()));
  if (output.is_missing()) {
    group.add("count", object_of(arena, "$sum", Value::int32(1)));
  } else {
    for (const auto& field : output.as_object())
      group.add(context.parse.names().intern(field.name()), field.value);
  }
  return build_group_and_sort("BucketOperator", group.finish(),
                              object_of(arena, "_id", Value::int32(1)), context);
}

}  // namespace millrace::commands
