// The projection of find and findAndModify: $project's language and beside it $slice, $elemMatch
// and the positional operator. Source:
// https://www.mongodb.com/docs/manual/reference/method/db.collection.find/#projection ; order and
// codes observed on 6.0.5.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/local/evaluation.h"
#include "commands/local/mutable_document.h"
#include "commands/local/stage_errors.h"
#include "engine/stage/operator.h"

namespace millrace::commands {

// Single-threaded. `spec` and `query` must outlive it, and so must `evaluation`.
class Projection {
 public:
  // Null for an empty projection. Errors: those of $project, 31275, 31395, 28667.
  static engine::Result<std::unique_ptr<Projection>> parse(const engine::Value& spec,
                                                           const engine::Value& query,
                                                           engine::PipelineBuilder& stages,
                                                           Evaluation& evaluation);

  // The projected document; lives until the next call. Errors: those of the expressions, 51246 when
  // $ finds no match.
  engine::Result<engine::Value> apply(const engine::Value& document);
  bool positional() const;

 private:
  enum class Kind { kSlice, kElementMatch, kPositional };
  struct ArrayPart {
    Kind kind;
    std::string path;
    int64_t skip = 0;
    int64_t limit = 0;
    bool from_end = false;  // $slice: -n
    engine::PredicatePtr
        predicate;          // of $elemMatch, on {element: <value>} or on the element's fields
    engine::Value matched;  // what $elemMatch found
  };
  explicit Projection(Evaluation& evaluation) : evaluation_(evaluation) {}

  engine::Status add_field(const engine::Field& field, engine::ObjectBuilder& plain);
  engine::Result<bool> add_special(const engine::Field& field);
  engine::Status add_slice(const engine::Field& field, const engine::Value& operand);
  engine::Status add_element_match(const engine::Field& field, const engine::Value& condition);
  engine::Status build_project(engine::ObjectBuilder& plain, engine::PipelineBuilder& stages);
  engine::Value placeholder() const;
  bool is_placeholder(const engine::Field& field) const;
  engine::Status check_collision(const engine::Field& field, bool special);
  engine::Status find_matches(const engine::Value& document);
  engine::Status cut_arrays(const engine::Value& document, MutableDocument& changed);
  engine::Value put_matches(const engine::Value& projected);
  engine::Result<engine::Value> run_project(const engine::Value& document);

  Evaluation& evaluation_;
  engine::Value query_;
  std::vector<std::string> paths_;          // of the specification
  std::vector<std::string> special_paths_;  // those of them that are in arrays_
  std::vector<ArrayPart> arrays_;
  bool inclusion_ = false;
  bool exclusion_ = false;
  std::vector<engine::OperatorPtr> project_;
  engine::Batch batch_;
  engine::Arena cut_;
  engine::OperatorContext context_;
  engine::MemoryAccount memory_;
  StageErrors errors_;
};

}  // namespace millrace::commands
