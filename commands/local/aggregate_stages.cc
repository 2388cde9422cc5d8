#include "commands/local/aggregate_stages.h"

#include <algorithm>
#include <array>

#include "engine/runtime/stage_table.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Field;
using engine::OperatorPtr;
using engine::Place;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::Value;

namespace {

constexpr int kMaxPipelineDepth = 20;

// clang-format off
constexpr std::array kStages = {
    AggregateStageRow{"$bucket",            AggregateRole::kOperator, parse_bucket,        "aggregation/bucket"},
    AggregateStageRow{"$bucketAuto",        AggregateRole::kOperator, parse_bucket_auto, "aggregation/bucketAuto"},
    AggregateStageRow{"$collStats",         AggregateRole::kSource,   nullptr,             "aggregation/collStats"},
    AggregateStageRow{"$currentOp",         AggregateRole::kSource,   nullptr,             "aggregation/currentOp"},
    AggregateStageRow{"$densify",           AggregateRole::kOperator, parse_densify, "aggregation/densify"},
    AggregateStageRow{"$documents",         AggregateRole::kSource,   nullptr,             "aggregation/documents"},
    AggregateStageRow{"$facet",             AggregateRole::kOperator, parse_facet,         "aggregation/facet"},
    AggregateStageRow{"$fill",              AggregateRole::kOperator, parse_fill, "aggregation/fill"},
    AggregateStageRow{"$graphLookup",       AggregateRole::kOperator, parse_graph_lookup, "aggregation/graphLookup"},
    AggregateStageRow{"$indexStats",        AggregateRole::kSource,   nullptr,             "aggregation/indexStats"},
    AggregateStageRow{"$listLocalSessions", AggregateRole::kSource,   nullptr,             "aggregation/listLocalSessions"},
    AggregateStageRow{"$listSessions",      AggregateRole::kSource,   nullptr,             "aggregation/listSessions"},
    AggregateStageRow{"$lookup",            AggregateRole::kOperator, parse_lookup,        "aggregation/lookup"},
    AggregateStageRow{"$merge",             AggregateRole::kOutput,   nullptr,             "aggregation/merge"},
    AggregateStageRow{"$out",               AggregateRole::kOutput,   nullptr,             "aggregation/out"},
    AggregateStageRow{"$planCacheStats",    AggregateRole::kSource,   nullptr,             "aggregation/planCacheStats"},
    AggregateStageRow{"$sample",            AggregateRole::kOperator, parse_sample,        "aggregation/sample"},
    AggregateStageRow{"$setWindowFields",   AggregateRole::kOperator, parse_set_window_fields, "aggregation/setWindowFields"},
    AggregateStageRow{"$skip",              AggregateRole::kOperator, parse_skip,          "aggregation/skip"},
    AggregateStageRow{"$sortByCount",       AggregateRole::kOperator, parse_sort_by_count, "aggregation/sortByCount"},
    AggregateStageRow{"$unionWith",         AggregateRole::kOperator, parse_union_with,    "aggregation/unionWith"},
};
// clang-format on
static_assert(std::is_sorted(kStages.begin(), kStages.end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));

Status misplaced(const AggregateStageRow& row) {
  if (row.role == AggregateRole::kOutput)
    return Status(kMisplacedOutput,
                  std::string(row.name) + " can only be the final stage in the pipeline");
  return Status(kMisplacedSource,
                std::string(row.name) + " is only valid as the first stage in a pipeline");
}

}  // namespace

std::span<const AggregateStageRow> aggregate_stage_rows() { return kStages; }

const AggregateStageRow* find_aggregate_stage(std::string_view name) {
  auto row = std::lower_bound(kStages.begin(), kStages.end(), name,
                              [](const auto& r, std::string_view n) { return r.name < n; });
  return row != kStages.end() && row->name == name ? &*row : nullptr;
}

Result<Field> pipeline_stage(const Value& element) {
  if (!element.is_object())
    return Status(ErrorCode::kTypeMismatch,
                  "Each element of the 'pipeline' array must be an object");
  if (element.as_object().size() != 1) {
    return Status(40323, "A pipeline stage specification object must contain exactly one field.");
  }
  return *element.as_object().begin();
}

Result<std::vector<OperatorPtr>> AggregateBuilder::build(const Value& pipeline, Place place,
                                                         StageContext& context) {
  if (!pipeline.is_array())
    return Status(ErrorCode::kTypeMismatch, "'pipeline' option must be specified as an array");
  MR_RETURN_IF_ERROR(engine::check_stage_count(pipeline.as_array().size()));
  if (scope_.depth >= kMaxPipelineDepth)
    return Status(5048107, "Sub-pipelines are nested too deeply (limit 20)");
  ++scope_.depth;
  std::vector<OperatorPtr> operators;
  StageContext inner{context.parse, *this, place};
  Status status;
  for (const Value& element : pipeline.as_array()) {
    auto stage = pipeline_stage(element);
    status = stage.status();
    if (!status.ok()) break;
    // Searching needs Atlas Search; clients turn their search features off when they see this text
    // (clients-wire.md section 7.2).
    if (stage->has_name("$listSearchIndexes")) {
      status = Status(40324, "Unrecognized pipeline stage name: '$listSearchIndexes'");
      break;
    }
    if (stage->has_name("$changeStream")) {
      status = Status(40573, "The $changeStream stage is only supported on replica sets");
      break;
    }
    const AggregateStageRow* row = find_aggregate_stage(stage->name());
    if (row == nullptr) {
      auto made = scope_.local.stages().build(Value::array({&element, 1}), place, inner);
      status = made.status();
      if (!status.ok()) break;
      for (auto& op : *made) operators.push_back(std::move(op));
      continue;
    }
    if (row->parse == nullptr) {
      status = misplaced(*row);
      break;
    }
    auto made = row->parse(stage->value, inner, *this);
    status = made.status();
    if (!status.ok()) break;
    operators.push_back(std::move(made).value());
  }
  --scope_.depth;
  if (!status.ok()) return status;
  return operators;
}

}  // namespace millrace::commands
