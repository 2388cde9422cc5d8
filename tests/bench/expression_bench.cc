// What one evaluation of an expression costs in a warm loop, on a document with the fields of the
// canonical jobs. The bound for a simple stage is 30 ns.
#include <benchmark/benchmark.h>

#include <stdexcept>

#include "engine/document/extended_json.h"
#include "engine/expression/expression.h"
#include "engine/runtime/pipeline.h"
#include "engine/runtime/stage_table.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kDocument =
    R"({"device_id": "device_7", "group_id": 3, "timestamp": "2024-01-01T00:00:01.000+00:00",)"
    R"( "max_watts": 450, "event_type": 0, "obs": {"watts": 250, "temp": 17.5}, "tags": [1, 2, 3]})";

// The document as the decoder gives it: a tree of fields.
Value tree_of(const Document& document, Arena& arena) { return deep_copy(document.value(), arena); }

void evaluate(benchmark::State& state, const char* text) {
  Document document = *parse_extended_json(kDocument);
  Document spec = *parse_extended_json(std::string(R"({"e": )") + text + "}");
  CompiledMemory memory;
  ParseContext parse(memory);
  auto expression = parse_expression(spec.get("e"), parse);
  if (!expression.ok()) throw std::runtime_error(expression.status().message());
  SystemClock clock;
  Arena fields;
  Arena arena;
  EvalContext context;
  context.arena = &arena;
  context.root = tree_of(document, fields);
  context.variables.resize(parse.variable_count());
  context.clock = &clock;
  int count = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize((*expression)->evaluate(context));
    if (++count == 1000) {
      arena.reset();
      count = 0;
    }
  }
}

// A whole stage over a batch of 100 documents; the reciprocal of items_per_second is the time per
// document.
void run_stage(benchmark::State& state, const char* text) {
  Document document = *parse_extended_json(kDocument);
  Document spec = *parse_extended_json(std::string(R"({"stages": [)") + text + "]}");
  CompiledMemory memory;
  ParseContext parse(memory);
  StageListBuilder builder;
  StageContext stage_context{parse, builder, Place::kMain};
  auto stages = builder.build(spec.get("stages"), Place::kMain, stage_context);
  if (!stages.ok()) throw std::runtime_error(stages.status().message());
  SystemClock clock;
  Arena fields;
  Value body = tree_of(document, fields);
  OperatorContext context;
  context.clock = &clock;
  context.eval.clock = &clock;
  context.eval.variables.resize(parse.variable_count());
  constexpr int64_t kDocuments = 100;
  Batch batch;
  for (auto _ : state) {
    batch.clear();
    batch.documents.resize(kDocuments);
    for (StreamDocument& d : batch.documents) d.body = body;
    for (const OperatorPtr& op : *stages) op->on_batch(batch, context);
    benchmark::DoNotOptimize(batch.documents.data());
  }
  state.SetItemsProcessed(state.iterations() * kDocuments);
}

BENCHMARK_CAPTURE(evaluate, field, R"("$obs.watts")");
BENCHMARK_CAPTURE(evaluate, add, R"({"$add": ["$obs.watts", 1]})");
BENCHMARK_CAPTURE(evaluate, percent,
                  R"({"$multiply": [{"$divide": ["$obs.watts", "$max_watts"]}, 100]})");
BENCHMARK_CAPTURE(evaluate, compare, R"({"$gt": ["$obs.watts", 100]})");
BENCHMARK_CAPTURE(evaluate, condition,
                  R"({"$cond": [{"$gte": ["$obs.temp", 20]}, "hot", "cold"]})");
BENCHMARK_CAPTURE(evaluate, to_date, R"({"$toDate": "$timestamp"})");
BENCHMARK_CAPTURE(evaluate, concat, R"({"$concat": ["$device_id", "-", "x"]})");
BENCHMARK_CAPTURE(evaluate, if_null, R"({"$ifNull": ["$missing", 0]})");
BENCHMARK_CAPTURE(evaluate, map, R"({"$map": {"input": "$tags", "in": {"$add": ["$$this", 1]}}})");

BENCHMARK_CAPTURE(run_stage, match, R"({"$match": {"event_type": 0, "obs.watts": {"$gt": 100}}})");
BENCHMARK_CAPTURE(run_stage, add_fields, R"({"$addFields": {"x": {"$add": ["$obs.watts", 1]}}})");
BENCHMARK_CAPTURE(run_stage, project,
                  R"({"$project": {"_id": 0, "device_id": 1, "watts": "$obs.watts"}})");
BENCHMARK_CAPTURE(run_stage, unset, R"({"$unset": "tags"})");

}  // namespace
}  // namespace millrace::engine
