// An update compiled: a replacement document, update operators, or a pipeline. Applied to one
// document after the other. Source: https://www.mongodb.com/docs/manual/reference/command/update/ ;
// order, texts and codes observed on 6.0.5.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "commands/local/evaluation.h"
#include "engine/document/bson.h"
#include "engine/stage/operator.h"

namespace millrace::commands {

struct UpdateSpec {
  engine::Value update;         // u: a document or a pipeline
  engine::Value query;          // q: for the positional operator
  engine::Value array_filters;  // missing: none
  engine::Value constants;      // c
  engine::Value let;
  bool keep_empty_timestamps = false;  // of a replacement
};

// Single-threaded. The spec's values must outlive it.
class Update {
 public:
  static engine::Result<std::unique_ptr<Update>> parse(const UpdateSpec& spec,
                                                       engine::PipelineBuilder& builder,
                                                       const engine::Clock& clock);
  virtual ~Update() = default;

  // True for a document without operators: it can change one document only.
  virtual bool replaces() const { return false; }
  // A pipeline of the same text with other constants: true if this one now stands for it.
  virtual bool rebind(const UpdateSpec&) { return false; }

  // Writes the changed document, whole, into `out` (cleared first). `inserting`: the document is
  // the beginning of one that an upsert makes, maybe without _id. Errors: the operators', 66
  // ImmutableField for a changed _id.
  virtual engine::Status apply(const engine::Value& document, bool inserting,
                               engine::BsonWriter& out) = 0;
  // The last apply() counts as a modification even if it changed nothing.
  virtual bool counts() const { return false; }
};

// 66 when the new document's _id differs from the old one's. `by_path`: an operator named it.
engine::Status check_id_unchanged(const engine::Value& before, const engine::Value& after,
                                  bool by_path);

// What an upsert begins with: the fields that the query fixes by equality. {_id: 1, a: {$gt: 2}, b:
// 3} gives {_id: 1, b: 3}. Only _id for a replacement. Errors: 54 NotSingleValueField.
engine::Result<engine::Document> upsert_base(const engine::Value& query, bool only_id);

// The position in an array that made `document` match the query: what $ stands for, in whatever
// array. Nothing when none did. The last clause decides; an update has its clauses sorted, a
// projection as they are written (6.0.5).
enum class ClauseOrder { kAsWritten, kSorted };
engine::Result<std::optional<size_t>> matched_position(const engine::Value& query,
                                                       const engine::Value& document,
                                                       ClauseOrder order, Evaluation& evaluation);

}  // namespace millrace::commands
