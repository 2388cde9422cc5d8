#include "commands/demo.h"

#include <string_view>

#include "engine/document/compare.h"
#include "engine/document/extended_json.h"

namespace millrace::commands {
namespace {

using engine::Status;

// Readings of solar panels, averaged over ten seconds, into the local database.
constexpr std::string_view kName = "solarDemo";
constexpr std::string_view kPipeline = R"({"pipeline": [
  {"$source": {"connectionName": "sample_stream_solar", "timeField": {"$dateFromString": {"dateString": "$timestamp"}}}},
  {"$tumblingWindow": {"interval": {"size": 10, "unit": "second"}, "allowedLateness": 0, "pipeline": [
    {"$group": {"_id": "$group_id", "readings": {"$sum": 1}, "avgWatts": {"$avg": "$obs.watts"}, "maxTemp": {"$max": "$obs.temp"}}},
    {"$project": {"_id": {"group": "$_id", "at": {"$meta": "stream.window.start"}}, "readings": 1, "avgWatts": 1, "maxTemp": 1}}]}},
  {"$merge": {"into": {"connectionName": "local", "db": "demo", "coll": "solar"}}}]})";

engine::Result<engine::CreateOptions> demo() {
  engine::CreateOptions options;
  options.name = kName;
  MR_ASSIGN_OR_RETURN(options.pipeline, engine::parse_extended_json(kPipeline));
  return options;
}

bool is_untouched_demo(engine::ProcessorManager& processors, std::string_view name) {
  if (name != kName) return false;
  auto existing = processors.get(name);
  auto original = demo();
  return existing.ok() && original.ok() && existing->definition.pipeline_version == 1 &&
         !existing->definition.dlq.configured() &&
         engine::equal(existing->definition.pipeline.value(), original->pipeline.value());
}

}  // namespace

Status start_demo(engine::ProcessorManager& processors) {
  MR_ASSIGN_OR_RETURN(auto options, demo());
  MR_RETURN_IF_ERROR(processors.create(options));
  return processors.start(kName, {});
}

Status create_over_demo(engine::ProcessorManager& processors,
                        const engine::CreateOptions& options) {
  if (!is_untouched_demo(processors, options.name)) return processors.create(options);
  MR_RETURN_IF_ERROR(processors.drop(options.name));
  Status created = processors.create(options);
  if (!created.ok()) MR_RETURN_IF_ERROR(start_demo(processors));
  return created;
}

}  // namespace millrace::commands
