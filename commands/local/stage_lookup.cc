// $lookup and $unionWith: documents of another collection of the same database.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/lookup/ and
// .../unionWith/
#include <utility>

#include "commands/local/aggregate_stages.h"
#include "commands/local/field_set.h"
#include "commands/local/foreign_collection.h"
#include "commands/local/foreign_field.h"
#include "commands/local/name_check.h"
#include "commands/local/operator_chain.h"
#include "engine/expression/variable_name.h"

namespace millrace::commands {

using engine::Batch;
using engine::Dependencies;
using engine::ErrorCode;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::StreamDocument;
using engine::Value;

namespace {

void throw_if_error(const Status& status) {
  if (!status.ok()) throw engine::EvaluationError(status);
}

class LookupOperator final : public Operator {
 public:
  struct Parts {
    std::unique_ptr<ForeignCollection> foreign;
    std::string_view as;  // interned
    std::vector<std::string_view> as_parts;
    bool equality = false;
    engine::FieldPath local_field;
    std::unique_ptr<ForeignField> foreign_field;
    std::vector<std::pair<size_t, engine::ExpressionPtr>> let;  // slot, value
    OperatorChain pipeline;
    bool has_pipeline = false;
  };
  explicit LookupOperator(Parts parts) : parts_(std::move(parts)) {}

  std::string_view name() const override { return "LookupOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }

  void on_batch(Batch& batch, OperatorContext& context) override {
    std::vector<std::vector<Value>> joined;
    bool by_field = parts_.equality && !parts_.foreign->has_source();
    if (by_field) join(batch, joined);
    for (size_t i = 0; i < batch.documents.size(); ++i) {
      StreamDocument& document = batch.documents[i];
      engine::ArrayBuilder found(batch.arena);
      auto keep = [&](Batch& output) {
        for (const auto& match : output.documents)
          found.add(engine::deep_copy(match.body, batch.arena));
      };
      Value outer = std::exchange(context.eval.root, document.body);
      engine::Arena* arena = std::exchange(context.eval.arena, &let_);
      let_.reset();
      for (const auto& [slot, value] : parts_.let)
        context.eval.variables[slot] = value->evaluate(context.eval);
      work_.clear();
      if (by_field) {
        for (const Value& match : joined[i]) work_.documents.emplace_back().body = match;
      } else {
        throw_if_error(parts_.foreign->read_all(work_, context));
        if (parts_.equality) drop_others(wanted(document.body));
      }
      if (parts_.has_pipeline) {
        parts_.pipeline.reset();
        parts_.pipeline.push(work_, context);
        if (!work_.documents.empty()) keep(work_);
        parts_.pipeline.finish(work_, context, keep);
      } else {
        keep(work_);
      }
      context.eval.root = outer;
      context.eval.arena = arena;
      document.body =
          with_nested_field(document.body, parts_.as_parts, found.finish(), batch.arena);
      document.record = nullptr;
    }
  }

 private:
  ForeignField::Keys wanted(const Value& document) const {
    auto keys = ForeignField::keys_of_field(parts_.local_field, document);
    if (keys.empty()) keys.emplace_back(Value::null());  // 6.0.5, also for an empty array
    return keys;
  }
  void drop_others(const ForeignField::Keys& keys) {
    std::erase_if(work_.documents, [&](const StreamDocument& document) {
      return !parts_.foreign_field->matches(document.body, keys);
    });
  }

  // The matches of all documents of the batch at once: where there is no index, each call may read
  // the other collection.
  void join(const Batch& batch, std::vector<std::vector<Value>>& joined) {
    std::vector<ForeignField::Keys> keys;
    for (const StreamDocument& document : batch.documents) keys.push_back(wanted(document.body));
    throw_if_error(parts_.foreign_field->find(keys, joined));
  }

  Parts parts_;
  Batch work_;
  engine::Arena let_;
};

Status check_lookup_fields(const Value& spec) {
  if (!spec.is_object())
    return Status(ErrorCode::kFailedToParse, "the $lookup specification must be an Object");
  for (const auto& field : spec.as_object()) {
    bool object = field.has_name("let");
    bool array = field.has_name("pipeline");
    bool text = field.has_name("from") || field.has_name("as") || field.has_name("localField") ||
                field.has_name("foreignField");
    if (!object && !array && !text)
      return Status(ErrorCode::kFailedToParse,
                    "unknown argument to $lookup: " + std::string(field.name()));
    bool joins = field.has_name("localField") || field.has_name("foreignField");
    if (joins && field.value.is(engine::Type::kNull)) continue;  // as if it were not there
    if (text && !field.value.is_string()) {
      return Status(ErrorCode::kFailedToParse, "$lookup argument '" + std::string(field.name()) +
                                                   "' must be a string, is type " +
                                                   std::string(field.value.type_name()));
    }
    if (object && !field.value.is_object() && !field.value.is(engine::Type::kNull)) {
      return Status(ErrorCode::kTypeMismatch, "$lookup argument 'let' must be an object, is type " +
                                                  std::string(field.value.type_name()));
    }
    if (array && !field.value.is_array())
      return Status(ErrorCode::kTypeMismatch, "'pipeline' option must be specified as an array");
  }
  return {};
}

class UnionOperator final : public Operator {
 public:
  UnionOperator(std::unique_ptr<ForeignCollection> foreign, OperatorChain pipeline)
      : foreign_(std::move(foreign)), pipeline_(std::move(pipeline)) {}
  std::string_view name() const override { return "UnionWithOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }
  bool stateless() const override { return false; }
  void on_batch(Batch&, OperatorContext&) override {}
  void on_end(Batch& batch, OperatorContext& context) override {
    work_.clear();
    throw_if_error(foreign_->read_all(work_, context));
    auto keep = [&](Batch& output) {
      for (const auto& document : output.documents)
        batch.documents.emplace_back().body = engine::deep_copy(document.body, batch.arena);
    };
    pipeline_.push(work_, context);
    keep(work_);
    pipeline_.finish(work_, context, keep);
  }
  void reset() override { pipeline_.reset(); }

 private:
  std::unique_ptr<ForeignCollection> foreign_;
  OperatorChain pipeline_;
  Batch work_;
};

}  // namespace

Result<OperatorPtr> parse_lookup(const Value& spec, StageContext& context,
                                 AggregateBuilder& builder) {
  if (spec.is_object() && spec.as_object().get("from").is_string())
    MR_RETURN_IF_ERROR(check_foreign_name(spec.as_object().get("from").as_string()));
  MR_RETURN_IF_ERROR(check_lookup_fields(spec));
  auto fields = spec.as_object();
  if (!fields.has("as") || fields.get("as").as_string().empty())
    return Status(ErrorCode::kFailedToParse, "must specify 'as' field for a $lookup");
  if (!fields.has("from") && !fields.has("pipeline"))
    return Status(ErrorCode::kFailedToParse, "must specify 'pipeline' when 'from' is empty");
  std::string from(fields.has("from") ? fields.get("from").as_string() : std::string_view());
  if (fields.has("from") && from.empty()) {
    return Status(ErrorCode::kInvalidNamespace,
                  "invalid $lookup namespace: " + builder.scope().database + ".");
  }
  if (fields.get("let").is_object() && !fields.has("pipeline")) {
    return Status(ErrorCode::kFailedToParse,
                  "$lookup with a 'let' argument must also specify 'pipeline'");
  }
  LookupOperator::Parts parts;
  parts.has_pipeline = fields.has("pipeline");
  auto named = [&](std::string_view field) {  // null and an empty name are none
    Value name = fields.get(field);
    return name.is_string() && !name.as_string().empty();
  };
  parts.equality = named("localField") && named("foreignField");
  if (named("localField") != named("foreignField") || (!parts.equality && !parts.has_pipeline)) {
    return Status(ErrorCode::kFailedToParse,
                  "$lookup requires either 'pipeline' or both 'localField' and 'foreignField' to "
                  "be specified");
  }
  MR_ASSIGN_OR_RETURN(
      auto as, engine::parse_field_path(fields.get("as").as_string(), context.parse.names()));
  parts.as_parts = as.parts;
  if (parts.equality) {
    auto& names = context.parse.names();
    MR_ASSIGN_OR_RETURN(parts.local_field,
                        engine::parse_field_path(fields.get("localField").as_string(), names));
    MR_RETURN_IF_ERROR(
        engine::parse_field_path(fields.get("foreignField").as_string(), names).status());
    parts.foreign_field =
        std::make_unique<ForeignField>(from, fields.get("foreignField").as_string(), builder);
  }
  std::vector<engine::ExpressionPtr> values;
  Value let = fields.get("let");
  if (let.is_object()) {
    for (const auto& variable : let.as_object()) {
      MR_RETURN_IF_ERROR(engine::check_variable_name(variable.name()));
      MR_ASSIGN_OR_RETURN(auto value, engine::parse_expression(variable.value, context.parse));
      values.push_back(std::move(value));
    }
    size_t i = 0;
    for (const auto& variable : let.as_object())
      parts.let.emplace_back(context.parse.define_variable(variable.name()),
                             std::move(values[i++]));
  }
  auto foreign = ForeignCollection::open(from, fields.get("pipeline"), "$lookup", context, builder);
  Result<std::vector<OperatorPtr>> operators = std::vector<OperatorPtr>();
  if (foreign.ok() && parts.has_pipeline)
    operators = context.builder.build((*foreign)->rest(), context.place, context);
  context.parse.end_variables(parts.let.size());
  MR_RETURN_IF_ERROR(foreign.status());
  MR_RETURN_IF_ERROR(operators.status());
  parts.foreign = std::move(foreign).value();
  parts.pipeline = OperatorChain(std::move(operators).value());
  return OperatorPtr(std::make_unique<LookupOperator>(std::move(parts)));
}

Result<OperatorPtr> parse_union_with(const Value& spec, StageContext& context,
                                     AggregateBuilder& builder) {
  Value name = spec;
  Value pipeline;
  if (spec.is_object()) {
    for (const auto& field : spec.as_object()) {
      if (!field.has_name("coll") && !field.has_name("pipeline")) {
        return Status(40415, "BSON field '$unionWith." + std::string(field.name()) +
                                 "' is an unknown field.");
      }
    }
    name = spec.as_object().get("coll");
    pipeline = spec.as_object().get("pipeline");
  }
  if (spec.is_object() && !name.is_missing() && !name.is_string()) {
    return Status(ErrorCode::kTypeMismatch, "BSON field '$unionWith.coll' is the wrong type '" +
                                                std::string(name.type_name()) +
                                                "', expected type 'string'");
  }
  if (name.is_string() && name.as_string().empty()) {
    return Status(ErrorCode::kInvalidNamespace,
                  "Namespace " + builder.scope().database + ". is not a valid collection name");
  }
  if (!name.is_string() && !spec.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "the $unionWith stage specification must be an object or string with the name of "
                  "a collection");
  }
  if (!pipeline.is_missing() && !pipeline.is_array())
    return Status(ErrorCode::kTypeMismatch, "'pipeline' option must be specified as an array");
  std::string collection(name.is_string() ? name.as_string() : std::string_view());
  if (!collection.empty()) MR_RETURN_IF_ERROR(check_foreign_name(collection));
  MR_ASSIGN_OR_RETURN(
      auto foreign, ForeignCollection::open(collection, pipeline, "$unionWith", context, builder));
  MR_ASSIGN_OR_RETURN(auto operators,
                      context.builder.build(foreign->rest(), context.place, context));
  OperatorChain chain(std::move(operators));
  return OperatorPtr(std::make_unique<UnionOperator>(std::move(foreign), std::move(chain)));
}

}  // namespace millrace::commands
