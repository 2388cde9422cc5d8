// The stages that only the aggregate command has. They stand here and not in the engine because
// most of them need the database.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "commands/local/local_database.h"
#include "engine/stage/operator.h"

namespace millrace::commands {

// What stages of one running pipeline share. The transaction changes from batch to batch.
struct AggregateScope {
  LocalDatabase& local;
  std::string database;
  storage::ReadTransaction* txn = nullptr;
  int depth = 0;  // of pipelines within pipelines
};

class AggregateBuilder;

using AggregateStageFunction = engine::Result<engine::OperatorPtr> (*)(
    const engine::Value& spec, engine::StageContext& context, AggregateBuilder& builder);

// Codes of build() for an output or a source that does not stand where it must.
inline constexpr int kMisplacedOutput = 40601;
inline constexpr int kMisplacedSource = 40602;

enum class AggregateRole : uint8_t {
  kOperator,  // takes documents and gives documents
  kSource,    // stands first and makes documents (aggregate_sources.cc)
  kOutput,    // stands last and writes documents (aggregate_output.cc)
};

struct AggregateStageRow {
  std::string_view name;
  AggregateRole role;
  AggregateStageFunction parse;  // operators only
  std::string_view manual;  // page under https://www.mongodb.com/docs/manual/reference/operator/
};
std::span<const AggregateStageRow> aggregate_stage_rows();
const AggregateStageRow* find_aggregate_stage(std::string_view name);

// Builds pipelines of the aggregate command: stages of the table above, else the engine's.
class AggregateBuilder final : public engine::PipelineBuilder {
 public:
  explicit AggregateBuilder(AggregateScope& scope) : scope_(scope) {}
  // Sources and outputs are refused: the caller takes the pipeline's own off before.
  engine::Result<std::vector<engine::OperatorPtr>> build(const engine::Value& pipeline,
                                                         engine::Place place,
                                                         engine::StageContext& context) override;
  AggregateScope& scope() { return scope_; }

 private:
  AggregateScope& scope_;
};

// The name and operand of one element of a pipeline. Errors: 14, 40323.
engine::Result<engine::Field> pipeline_stage(const engine::Value& element);

// One stage's parse function each.
engine::Result<engine::OperatorPtr> parse_bucket(const engine::Value& spec,
                                                 engine::StageContext& context,
                                                 AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_bucket_auto(const engine::Value& spec,
                                                      engine::StageContext& context,
                                                      AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_densify(const engine::Value& spec,
                                                  engine::StageContext& context,
                                                  AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_facet(const engine::Value& spec,
                                                engine::StageContext& context,
                                                AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_fill(const engine::Value& spec,
                                               engine::StageContext& context,
                                               AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_graph_lookup(const engine::Value& spec,
                                                       engine::StageContext& context,
                                                       AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_lookup(const engine::Value& spec,
                                                 engine::StageContext& context,
                                                 AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_sample(const engine::Value& spec,
                                                 engine::StageContext& context,
                                                 AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_set_window_fields(const engine::Value& spec,
                                                            engine::StageContext& context,
                                                            AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_skip(const engine::Value& spec,
                                               engine::StageContext& context,
                                               AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_sort_by_count(const engine::Value& spec,
                                                        engine::StageContext& context,
                                                        AggregateBuilder& builder);
engine::Result<engine::OperatorPtr> parse_union_with(const engine::Value& spec,
                                                     engine::StageContext& context,
                                                     AggregateBuilder& builder);

}  // namespace millrace::commands
