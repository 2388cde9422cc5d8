// $facet: several pipelines over the same input; one document with an array for each.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/facet/
#include <algorithm>
#include <array>

#include "commands/local/aggregate_stages.h"
#include "commands/local/foreign_collection.h"
#include "commands/local/index_keys.h"
#include "commands/local/operator_chain.h"

namespace millrace::commands {

using engine::Batch;
using engine::Dependencies;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::Value;

namespace {

class FacetOperator final : public Operator {
 public:
  struct Facet {
    std::string_view name;  // interned
    OperatorChain chain;
    std::vector<engine::Document> results;
  };
  explicit FacetOperator(std::vector<Facet> facets) : facets_(std::move(facets)) {}

  std::string_view name() const override { return "FacetOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }
  bool stateless() const override { return false; }

  void on_batch(Batch& batch, OperatorContext& context) override {
    for (Facet& facet : facets_) {
      work_.clear();
      work_.documents = batch.documents;
      facet.chain.push(work_, context);
      keep(facet, work_);
    }
    batch.documents.clear();
  }

  void on_end(Batch& batch, OperatorContext& context) override {
    engine::ObjectBuilder result(batch.arena, facets_.size());
    for (Facet& facet : facets_) {
      facet.chain.finish(work_, context, [&](Batch& output) { keep(facet, output); });
      engine::ArrayBuilder documents(batch.arena, facet.results.size());
      for (const auto& document : facet.results)
        documents.add(engine::deep_copy(document.value(), batch.arena));
      result.add(facet.name, documents.finish());
    }
    batch.documents.emplace_back().body = result.finish();
  }

  void reset() override {
    for (Facet& facet : facets_) {
      facet.chain.reset();
      facet.results.clear();
    }
  }

 private:
  static void keep(Facet& facet, const Batch& batch) {
    for (const auto& document : batch.documents) facet.results.emplace_back(document.body);
  }
  std::vector<Facet> facets_;
  Batch work_;
};

Status check_facet_name(std::string_view name) {
  if (name.empty()) return Status(15998, "FieldPath field names may not be empty strings.");
  if (name.starts_with('$')) {
    return Status(16410,
                  "FieldPath field names may not start with '$'. Consider using $getField or "
                  "$setField.");
  }
  if (name.find('.') != name.npos) {
    return Status(16412,
                  "FieldPath field names may not contain '.'. Consider using $getField or "
                  "$setField.");
  }
  return {};
}

Status refused(std::string_view stage) {
  return Status(40600, std::string(stage) + " is not allowed to be used within a $facet stage");
}

Status check_facet_stage(const Value& element, std::string_view database) {
  if (!element.is_object()) {
    return Status(40171,
                  "elements of arrays in $facet spec must be objects, but one is of "
                  "type " +
                      std::string(element.type_name()));
  }
  MR_ASSIGN_OR_RETURN(auto stage, pipeline_stage(element));
  if (stage.has_name("$listSessions") && database != "config") {
    return Status(engine::ErrorCode::kInvalidNamespace,
                  "$listSessions may only be run against config.system.sessions");
  }
  return {};
}

// A stage that makes or writes documents: no operator can be built of it.
bool is_end_of_pipeline(std::string_view stage) {
  // Sources that the server has and Millrace has not.
  constexpr std::array<std::string_view, 4> kSources = {"$changeStreamSplitLargeEvent", "$geoNear",
                                                        "$listCatalog", "$querySettings"};
  if (std::find(kSources.begin(), kSources.end(), stage) != kSources.end()) return true;
  const AggregateStageRow* row = find_aggregate_stage(stage);
  return row != nullptr && row->role != AggregateRole::kOperator;
}

// What a stage that can be built has in its own pipelines, at any depth. Requires: it was built.
bool has_facet_or_source(const engine::Field& stage) {
  if (stage.has_name("$facet")) return true;
  bool joins = stage.has_name("$lookup") || stage.has_name("$unionWith");
  if (!joins || !stage.value.is_object()) return false;
  Value pipeline = stage.value.as_object().get("pipeline");
  if (!pipeline.is_array()) return false;
  if (begins_with_source(pipeline)) return true;
  for (const Value& element : pipeline.as_array()) {
    if (has_facet_or_source(*element.as_object().begin())) return true;
  }
  return false;
}

}  // namespace

Result<OperatorPtr> parse_facet(const Value& spec, StageContext& context,
                                AggregateBuilder& builder) {
  if (!spec.is_object() || spec.as_object().empty()) {
    return Status(40169,
                  "the $facet specification must be a non-empty object, but found: $facet: " +
                      shell_text(spec));
  }
  std::vector<FacetOperator::Facet> facets;
  for (const auto& field : spec.as_object()) {
    if (!field.value.is_array())
      return Status(40170, "arguments to $facet must be arrays, " + std::string(field.name()) +
                               " is of type " + std::string(field.value.type_name()));
    MR_RETURN_IF_ERROR(check_facet_name(field.name()));
    // What is wrong with a stage itself is said before that it may not stand here (6.0.5).
    std::vector<Value> stages;
    std::string_view end;
    for (const Value& element : field.value.as_array()) {
      MR_RETURN_IF_ERROR(check_facet_stage(element, builder.scope().database));
      std::string_view name = element.as_object().begin()->name();
      if (is_end_of_pipeline(name)) {
        end = name;
      } else {
        stages.push_back(element);
      }
    }
    MR_ASSIGN_OR_RETURN(auto operators,
                        context.builder.build(Value::array(stages), context.place, context));
    if (!end.empty()) return refused(end);
    for (const Value& element : stages) {
      auto stage = *element.as_object().begin();
      if (has_facet_or_source(stage)) return refused(stage.name());
    }
    facets.push_back(
        {context.parse.names().intern(field.name()), OperatorChain(std::move(operators)), {}});
  }
  return OperatorPtr(std::make_unique<FacetOperator>(std::move(facets)));
}

}  // namespace millrace::commands
