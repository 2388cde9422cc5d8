// A list of stages for runners that need no sources, sinks and connections: those of engine/stage
// and engine/window, anywhere.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/stage/operator.h"
#include "engine/stage/stages.h"
#include "engine/window/windows.h"

namespace millrace::tests {

class StageList final : public engine::PipelineBuilder {
 public:
  engine::Result<std::vector<engine::OperatorPtr>> build(const engine::Value& pipeline,
                                                         engine::Place place,
                                                         engine::StageContext& context) override {
    struct Row {
      std::string_view name;
      engine::StageFunction parse;
    };
    static constexpr Row kRows[] = {
        {"$addFields", engine::parse_add_fields_stage},
        {"$count", engine::parse_count_stage},
        {"$group", engine::parse_group_stage},
        {"$hoppingWindow", engine::parse_hopping_window_stage},
        {"$limit", engine::parse_limit_stage},
        {"$match", engine::parse_match_stage},
        {"$project", engine::parse_project_stage},
        {"$redact", engine::parse_redact_stage},
        {"$replaceRoot", engine::parse_replace_root_stage},
        {"$replaceWith", engine::parse_replace_root_stage},
        {"$sessionWindow", engine::parse_session_window_stage},
        {"$set", engine::parse_add_fields_stage},
        {"$sort", engine::parse_sort_stage},
        {"$tumblingWindow", engine::parse_tumbling_window_stage},
        {"$unset", engine::parse_unset_stage},
        {"$unwind", engine::parse_unwind_stage},
        {"$validate", engine::parse_validate_stage},
    };
    std::vector<engine::OperatorPtr> operators;
    if (!pipeline.is_array())
      return engine::Status(engine::ErrorCode::kTypeMismatch, "a pipeline must be an array");
    for (const engine::Value& element : pipeline.as_array()) {
      const engine::Field stage = *element.as_object().begin();
      auto row = std::find_if(std::begin(kRows), std::end(kRows),
                              [&](const Row& r) { return r.name == stage.name(); });
      if (row == std::end(kRows))
        return engine::Status(40324,
                              "Unrecognized pipeline stage name: " + std::string(stage.name()));
      engine::StageContext inner{context.parse, *this, place};
      MR_ASSIGN_OR_RETURN(engine::OperatorPtr op, row->parse(row->name, stage.value, inner));
      operators.push_back(std::move(op));
    }
    return operators;
  }
};

}  // namespace millrace::tests
