#include "engine/runtime/stage_table.h"

#include <algorithm>
#include <array>

#include "engine/sink/sinks.h"
#include "engine/source/sources.h"
#include "engine/stage/stages.h"
#include "engine/window/windows.h"

namespace millrace::engine {
namespace {

constexpr uint8_t kMain = static_cast<uint8_t>(Place::kMain);
constexpr uint8_t kWindow = static_cast<uint8_t>(Place::kWindow);
constexpr uint8_t kPayload = static_cast<uint8_t>(Place::kPayload);
constexpr uint8_t kAggregate = static_cast<uint8_t>(Place::kAggregate);
constexpr uint8_t kUpdate = static_cast<uint8_t>(Place::kUpdate);

// Placement: https://www.mongodb.com/docs/atlas/atlas-stream-processing/stream-aggregation/#stages
// clang-format off
constexpr std::array kStages = {
    StageRow{"$addFields",        kMain | kWindow | kPayload | kAggregate | kUpdate, parse_add_fields_stage,   "aggregation/addFields"},
    StageRow{"$bucket",           kAggregate,                              nullptr,                  "aggregation/bucket"},
    StageRow{"$bucketAuto",       kAggregate,                              nullptr,                  "aggregation/bucketAuto"},
    StageRow{"$cachedLookup",     kMain,                                   nullptr,                  "sp-agg-cachedlookup"},
    StageRow{"$changeStream",     kAggregate,                              nullptr,                  "aggregation/changeStream"},
    StageRow{"$changeStreamSplitLargeEvent", kAggregate,                   nullptr,                  "aggregation/changeStreamSplitLargeEvent"},
    StageRow{"$collStats",        kAggregate,                              nullptr,                  "aggregation/collStats"},
    StageRow{"$count",            kWindow | kAggregate,                    parse_count_stage,        "aggregation/count"},
    StageRow{"$currentOp",        kAggregate,                              nullptr,                  "aggregation/currentOp"},
    StageRow{"$densify",          kAggregate,                              nullptr,                  "aggregation/densify"},
    StageRow{"$documents",        kAggregate,                              nullptr,                  "aggregation/documents"},
    StageRow{"$externalFunction", kMain | kWindow,                         nullptr,                  "sp-agg-externalfunction"},
    StageRow{"$facet",            kAggregate,                              nullptr,                  "aggregation/facet"},
    StageRow{"$fill",             kAggregate,                              nullptr,                  "aggregation/fill"},
    StageRow{"$geoNear",          kAggregate,                              nullptr,                  "aggregation/geoNear"},
    StageRow{"$graphLookup",      kAggregate,                              nullptr,                  "aggregation/graphLookup"},
    StageRow{"$group",            kWindow | kAggregate,                    parse_group_stage,        "aggregation/group"},
    StageRow{"$hoppingWindow",    kMain,                                   parse_hopping_window_stage, "sp-agg-hopping"},
    StageRow{"$https",            kMain | kWindow,                         nullptr,                  "sp-agg-https"},
    StageRow{"$indexStats",       kAggregate,                              nullptr,                  "aggregation/indexStats"},
    StageRow{"$limit",            kWindow | kAggregate,                    parse_limit_stage,        "aggregation/limit"},
    StageRow{"$listLocalSessions", kAggregate,                             nullptr,                  "aggregation/listLocalSessions"},
    StageRow{"$listSampledQueries", kAggregate,                            nullptr,                  "aggregation/listSampledQueries"},
    StageRow{"$listSearchIndexes", kAggregate,                             nullptr,                  "aggregation/listSearchIndexes"},
    StageRow{"$listSessions",     kAggregate,                              nullptr,                  "aggregation/listSessions"},
    StageRow{"$lookup",           kMain | kWindow | kAggregate,            nullptr,                  "aggregation/lookup"},
    StageRow{"$match",            kMain | kWindow | kAggregate,            parse_match_stage,        "aggregation/match"},
    StageRow{"$out",              kAggregate,                              nullptr,                  "aggregation/out"},
    StageRow{"$planCacheStats",   kAggregate,                              nullptr,                  "aggregation/planCacheStats"},
    StageRow{"$project",          kMain | kWindow | kPayload | kAggregate | kUpdate, parse_project_stage, "aggregation/project"},
    StageRow{"$querySettings",    kAggregate,                              nullptr,                  "aggregation/querySettings"},
    StageRow{"$queryStats",       kAggregate,                              nullptr,                  "aggregation/queryStats"},
    StageRow{"$rankFusion",       kAggregate,                              nullptr,                  "aggregation/rankFusion"},
    StageRow{"$redact",           kMain | kWindow | kAggregate,            parse_redact_stage,       "aggregation/redact"},
    StageRow{"$replaceRoot",      kMain | kWindow | kPayload | kAggregate | kUpdate, parse_replace_root_stage, "aggregation/replaceRoot"},
    StageRow{"$replaceWith",      kMain | kWindow | kAggregate | kUpdate,  parse_replace_root_stage, "aggregation/replaceWith"},
    StageRow{"$sample",           kAggregate,                              nullptr,                  "aggregation/sample"},
    StageRow{"$score",            kAggregate,                              nullptr,                  "aggregation/score"},
    StageRow{"$scoreFusion",      kAggregate,                              nullptr,                  "aggregation/scoreFusion"},
    StageRow{"$search",           kAggregate,                              nullptr,                  "aggregation/search"},
    StageRow{"$searchMeta",       kAggregate,                              nullptr,                  "aggregation/searchMeta"},
    StageRow{"$sessionWindow",    kMain,                                   parse_session_window_stage, "sp-agg-session"},
    StageRow{"$set",              kMain | kWindow | kPayload | kAggregate | kUpdate, parse_add_fields_stage, "aggregation/set"},
    StageRow{"$setStreamMeta",    kMain,                                   nullptr,                  "sp-agg-setStreamMeta"},
    StageRow{"$setWindowFields",  kAggregate,                              nullptr,                  "aggregation/setWindowFields"},
    StageRow{"$shardedDataDistribution", kAggregate,                       nullptr,                  "aggregation/shardedDataDistribution"},
    StageRow{"$skip",             kAggregate,                              nullptr,                  "aggregation/skip"},
    StageRow{"$sort",             kWindow | kAggregate,                    parse_sort_stage,         "aggregation/sort"},
    StageRow{"$sortByCount",      kAggregate,                              nullptr,                  "aggregation/sortByCount"},
    StageRow{"$throttle",         kMain,                                   nullptr,                  "sp-agg-throttle"},
    StageRow{"$tumblingWindow",   kMain,                                   parse_tumbling_window_stage, "sp-agg-tumbling"},
    StageRow{"$unionWith",        kAggregate,                              nullptr,                  "aggregation/unionWith"},
    StageRow{"$unset",            kMain | kWindow | kAggregate | kUpdate,  parse_unset_stage,        "aggregation/unset"},
    StageRow{"$unwind",           kMain | kWindow | kAggregate,            parse_unwind_stage,       "aggregation/unwind"},
    StageRow{"$validate",         kMain | kWindow,                         parse_validate_stage,     "sp-agg-validate"},
    StageRow{"$vectorSearch",     kMain | kAggregate,                      nullptr,                  "sp-agg-vectorsearch"},
};

// A pipeline's ends: not StageRows, because they are no operators.
constexpr std::array kSinks = {
    SinkRow{"$emit",             "",                      parse_test_log_sink,   "sp-agg-emit"},
    SinkRow{"$emit",             "AWSKinesisDataStreams", nullptr,               "sp-agg-emit"},
    SinkRow{"$emit",             "AzureBlobStorage",      nullptr,               "sp-agg-emit"},
    SinkRow{"$emit",             "Cluster",               nullptr,               "sp-agg-emit"},
    SinkRow{"$emit",             "GCPPubSub",             nullptr,               "sp-agg-emit"},
    SinkRow{"$emit",             "Kafka",                 parse_kafka_emit_sink, "sp-agg-emit"},
    SinkRow{"$emit",             "S3",                    nullptr,               "sp-agg-emit"},
    SinkRow{"$externalFunction", "AWSLambda",             nullptr,               "sp-agg-externalfunction"},
    SinkRow{"$https",            "Https",                 nullptr,               "sp-agg-https"},
    SinkRow{"$iceberg",          "S3",                    nullptr,               "sp-agg-iceberg"},
    SinkRow{"$merge",            "Cluster",               parse_merge_sink,      "sp-agg-merge"},
};

struct SourceRow {
  std::string_view connection_type;
  SourceFunction parse;
};
constexpr std::array kSources = {
    SourceRow{"",                      parse_documents_source},
    SourceRow{"AWSKinesisDataStreams", nullptr},
    SourceRow{"Cluster",               parse_change_stream_source},
    SourceRow{"Kafka",                 parse_kafka_source},
    SourceRow{"Sample",                parse_sample_source},
};
// clang-format on

static_assert(std::is_sorted(kStages.begin(), kStages.end(),
                             [](const StageRow& a, const StageRow& b) { return a.name < b.name; }));

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

Status misplaced(const StageRow& row, Place place) {
  std::string name(row.name);
  if (place == Place::kAggregate) {
    return Status(ErrorCode::kInvalidOptions, name + " is only valid in a stream processor");
  }
  std::string where = place == Place::kWindow    ? "inside a window's pipeline"
                      : place == Place::kPayload ? "inside a payload pipeline"
                      : place == Place::kUpdate  ? "inside an update pipeline"
                                                 : "in the main pipeline of a stream processor";
  std::string hint;
  if (place == Place::kMain && (row.places & kWindow) != 0)
    hint = "; it may stand inside the pipeline of a window stage";
  return Status(ErrorCode::kStreamProcessorInvalidOptions,
                name + " is not allowed " + where + hint);
}

}  // namespace

std::span<const StageRow> stage_rows() { return kStages; }
std::span<const SinkRow> sink_rows() { return kSinks; }

const StageRow* find_stage(std::string_view name) {
  auto row = std::lower_bound(kStages.begin(), kStages.end(), name,
                              [](const StageRow& r, std::string_view n) { return r.name < n; });
  return row != kStages.end() && row->name == name ? &*row : nullptr;
}

bool is_sink_stage(std::string_view name) {
  return name == "$merge" || name == "$emit" || name == "$iceberg";
}

bool is_window_stage(std::string_view name) {
  return name == "$tumblingWindow" || name == "$hoppingWindow" || name == "$sessionWindow";
}

SourceFunction find_source(std::string_view connection_type) {
  for (const SourceRow& row : kSources) {
    if (row.connection_type == connection_type) return row.parse;
  }
  return nullptr;
}

Status check_stage_count(size_t count) {
  constexpr size_t kMaxStages = 1000;
  if (count <= kMaxStages) return {};
  return Status(7749501,
                "Pipeline length must be no longer than " + std::to_string(kMaxStages) + " stages");
}

Result<Field> stage_of(const Value& element) {
  if (!element.is_object() || element.as_object().size() != 1) {
    return Status(40323, "A pipeline stage specification object must contain exactly one field.");
  }
  return *element.as_object().begin();
}

Result<std::vector<OperatorPtr>> StageListBuilder::build(const Value& pipeline, Place place,
                                                         StageContext& context) {
  if (!pipeline.is_array())
    return Status(ErrorCode::kTypeMismatch, "A pipeline must be an array of stages");
  MR_RETURN_IF_ERROR(check_stage_count(pipeline.as_array().size()));
  std::vector<OperatorPtr> operators;
  bool window = false;
  for (const Value& element : pipeline.as_array()) {
    MR_ASSIGN_OR_RETURN(Field stage, stage_of(element));
    std::string_view name = stage.name();
    if (name == "$source") {
      return Status(ErrorCode::kStreamProcessorInvalidOptions,
                    "$source is only allowed as the first stage of a stream processor");
    }
    if (is_sink_stage(name) && place != Place::kAggregate) {
      return Status(ErrorCode::kStreamProcessorInvalidOptions,
                    std::string(name) + " is only allowed as the last stage of a stream processor");
    }
    const StageRow* row = find_stage(name);
    if (row == nullptr) return Status(40324, "Unrecognized pipeline stage name: " + quoted(name));
    if ((row->places & static_cast<uint8_t>(place)) == 0) return misplaced(*row, place);
    if (row->parse == nullptr) {
      return Status(ErrorCode::kNotImplemented,
                    std::string(name) + " is not supported by Millrace yet");
    }
    if (is_window_stage(name)) {
      if (window)
        return Status(ErrorCode::kStreamProcessorInvalidOptions,
                      "a pipeline can have only one window stage");
      window = true;
    }
    StageContext inner{context.parse, context.builder, place};
    MR_ASSIGN_OR_RETURN(OperatorPtr op, row->parse(name, stage.value, inner));
    operators.push_back(std::move(op));
  }
  return operators;
}

}  // namespace millrace::engine
