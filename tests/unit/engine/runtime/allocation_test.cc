// Evaluation takes its memory from the batch's arena: in the ordinary case nothing is allocated for
// a document.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "engine/document/extended_json.h"
#include "engine/expression/expression.h"
#include "engine/runtime/stage_table.h"

namespace {
thread_local long allocations = 0;
}

// Not inlined: the compiler would take free() for a mistake.
// NOLINTBEGIN(misc-new-delete-overloads)
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-new-delete-overloads)

namespace millrace::engine {
namespace {

constexpr std::string_view kDocument =
    R"({"device_id": "device_7", "group_id": 3, "timestamp": "2024-01-01T00:00:01.000+00:00",)"
    R"( "max_watts": 450, "event_type": 0, "obs": {"watts": 250, "temp": 17.5}, "tags": [1, 2, 3],)"
    R"( "at": {"$date": "2024-02-29T13:45:12.345Z"}, "name": " a Name "})";

TEST(Allocation, IsCounted) {
  long before = allocations;
  std::vector<int> numbers(1000);
  EXPECT_EQ(allocations, before + 1) << numbers.size();
}

TEST(Allocation, NoneForOrdinaryExpressions) {
  for (
      std::string_view text :
      {R"("$obs.watts")",
       R"("$tags")",
       R"({"$add": ["$obs.watts", 1]})",
       R"({"$multiply": [{"$divide": ["$obs.watts", "$max_watts"]}, 100]})",
       R"({"$subtract": ["$at", 1000]})",
       R"({"$mod": ["$group_id", 2]})",
       R"({"$round": ["$obs.temp", 0]})",
       R"({"$abs": {"$subtract": [0, "$obs.temp"]}})",
       R"({"$gt": ["$obs.watts", 100]})",
       R"({"$and": [{"$gte": ["$obs.temp", 20]}, {"$ne": ["$group_id", null]}]})",
       R"({"$cond": [{"$gte": ["$obs.temp", 20]}, "hot", "cold"]})",
       R"({"$switch": {"branches": [{"case": {"$lt": ["$obs.temp", 0]}, "then": "ice"}], "default": "$name"}})",
       R"({"$ifNull": ["$missing", 0]})",
       R"({"$toDate": "$timestamp"})",
       R"({"$dateTrunc": {"date": "$at", "unit": "hour"}})",
       R"({"$hour": "$at"})",
       R"({"$dateAdd": {"startDate": "$at", "unit": "minute", "amount": 5}})",
       R"({"$concat": ["$device_id", "-", "x"]})",
       R"({"$toLower": "$device_id"})",
       R"({"$substrCP": ["$device_id", 0, 6]})",
       R"({"$strLenCP": "$device_id"})",
       R"({"$trim": {"input": "$name"}})",
       R"({"$toString": "$group_id"})",
       R"({"$toInt": "$obs.temp"})",
       R"({"$type": "$tags"})",
       R"({"$in": [2, "$tags"]})",
       R"({"$size": "$tags"})",
       R"({"$arrayElemAt": ["$tags", -1]})",
       R"({"$map": {"input": "$tags", "in": {"$add": ["$$this", 1]}}})",
       R"({"$filter": {"input": "$tags", "cond": {"$gt": ["$$this", 1]}}})",
       R"({"$reduce": {"input": "$tags", "initialValue": 0, "in": {"$add": ["$$value", "$$this"]}}})",
       R"({"$sum": "$tags"})",
       R"({"a": "$group_id", "b": ["$device_id", 1]})",
       R"({"$mergeObjects": ["$obs", {"x": 1}]})",
       R"({"$let": {"vars": {"w": "$obs.watts"}, "in": {"$multiply": ["$$w", 2]}}})"}) {
    Document document = *parse_extended_json(kDocument);
    Arena parts;
    CompiledMemory memory;
    ParseContext parse(memory);
    auto expression = parse_expression(*parse_extended_json_value(text, parts), parse);
    ASSERT_TRUE(expression.ok()) << text << ": " << expression.status().message();
    SystemClock clock;
    Arena arena;
    EvalContext context;
    context.arena = &arena;
    context.root = deep_copy(document.value(), parts);
    context.variables.resize(parse.variable_count());
    context.clock = &clock;
    long before = 0;
    for (int i = 0; i < 200; ++i) {
      if (i == 100) before = allocations;  // the arena has its memory now
      (*expression)->evaluate(context);
      if (i % 10 == 9) arena.reset();
    }
    EXPECT_EQ(allocations, before) << text;
  }
}

TEST(Allocation, NoneForOrdinaryStages) {
  for (
      std::string_view text :
      {R"({"$match": {"event_type": 0, "obs.watts": {"$gt": 100}, "tags": {"$in": [2, 5]}}})",
       R"({"$match": {"$expr": {"$gt": ["$obs.watts", "$obs.temp"]}, "device_id": {"$exists": true}}})",
       R"({"$addFields": {"x": {"$add": ["$obs.watts", 1]}, "obs.low": true}})",
       R"({"$project": {"_id": 0, "device_id": 1, "obs.temp": 1, "watts": "$obs.watts"}})",
       R"({"$unset": ["tags", "obs.temp"]})", R"({"$replaceWith": "$obs"})",
       R"({"$unwind": "$tags"})"}) {
    Document document = *parse_extended_json(kDocument);
    Document spec = *parse_extended_json(R"({"stages": [)" + std::string(text) + "]}");
    CompiledMemory memory;
    ParseContext parse(memory);
    StageListBuilder builder;
    StageContext stage_context{parse, builder, Place::kMain};
    auto stages = builder.build(spec.get("stages"), Place::kMain, stage_context);
    ASSERT_TRUE(stages.ok()) << text << ": " << stages.status().message();
    SystemClock clock;
    Arena parts;
    Value body = deep_copy(document.value(), parts);
    OperatorContext context;
    context.clock = &clock;
    context.eval.clock = &clock;
    context.eval.variables.resize(parse.variable_count());
    Batch batch;
    long before = 0;
    for (int i = 0; i < 40; ++i) {
      if (i == 20) before = allocations;
      batch.clear();
      batch.documents.resize(100);
      for (StreamDocument& d : batch.documents) d.body = body;
      for (const OperatorPtr& op : *stages) op->on_batch(batch, context);
    }
    EXPECT_EQ(allocations, before) << text;
    EXPECT_FALSE(batch.documents.empty()) << text;
  }
}

}  // namespace
}  // namespace millrace::engine
