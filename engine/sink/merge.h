// $merge: what the encoder on the pipeline thread and the writer on the sink thread agree on.
// Source: https://www.mongodb.com/docs/atlas/atlas-stream-processing/sp-agg-merge/ and, for what it
// leaves open, https://www.mongodb.com/docs/manual/reference/operator/aggregation/merge/ as
// observed on 6.0.5.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/document/field_path.h"
#include "engine/sink/sink.h"

namespace millrace::engine {

inline constexpr std::string_view kMergeOperatorName = "MergeOperator";

// What happens to a document of the target that has the same `on` fields.
enum class WhenMatched : uint8_t { kReplace, kKeepExisting, kMerge, kDelete, kPipeline };
// What happens when there is none.
enum class WhenNotMatched : uint8_t { kInsert, kDiscard };

// Errors: nothing for a word that is none of them.
std::optional<WhenMatched> parse_when_matched(std::string_view word);
std::optional<WhenNotMatched> parse_when_not_matched(std::string_view word);

// The compiled options as far as the writer needs them.
struct MergePlan {
  ConnectionPtr connection;
  ClusterConnector* clusters = nullptr;
  // Where a document goes unless its route says otherwise; "" where every route does.
  std::string database;
  std::string collection;
  WhenMatched when_matched = WhenMatched::kMerge;
  WhenNotMatched when_not_matched = WhenNotMatched::kInsert;
  std::vector<FieldPath> on;
  Document update;  // {pipeline: [...]} of WhenMatched::kPipeline

  bool on_id() const { return on.size() == 1 && on[0].size() == 1 && on[0].parts[0] == "_id"; }
};

// Fields of a route document; each is there only if it is evaluated per document.
namespace merge_route {
inline constexpr std::string_view kDatabase = "db";
inline constexpr std::string_view kCollection = "coll";
inline constexpr std::string_view kWhenMatched = "matched";        // int32: WhenMatched
inline constexpr std::string_view kWhenNotMatched = "notMatched";  // int32: WhenNotMatched
inline constexpr std::string_view kLet = "let";  // the constants of an update pipeline
}  // namespace merge_route

std::unique_ptr<SinkWriter> make_merge_writer(MergePlan plan);

}  // namespace millrace::engine
