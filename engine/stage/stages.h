// The parse function of every stage in this folder; engine/runtime/stage_table.cc puts them beside
// their names.
#pragma once

#include "engine/stage/operator.h"

namespace millrace::engine {

Result<OperatorPtr> parse_add_fields_stage(std::string_view name, const Value& spec,
                                           StageContext& context);
Result<OperatorPtr> parse_count_stage(std::string_view name, const Value& spec,
                                      StageContext& context);
Result<OperatorPtr> parse_group_stage(std::string_view name, const Value& spec,
                                      StageContext& context);
Result<OperatorPtr> parse_limit_stage(std::string_view name, const Value& spec,
                                      StageContext& context);
Result<OperatorPtr> parse_match_stage(std::string_view name, const Value& spec,
                                      StageContext& context);
Result<OperatorPtr> parse_project_stage(std::string_view name, const Value& spec,
                                        StageContext& context);
Result<OperatorPtr> parse_redact_stage(std::string_view name, const Value& spec,
                                       StageContext& context);
Result<OperatorPtr> parse_replace_root_stage(std::string_view name, const Value& spec,
                                             StageContext& context);
Result<OperatorPtr> parse_sort_stage(std::string_view name, const Value& spec,
                                     StageContext& context);
Result<OperatorPtr> parse_unset_stage(std::string_view name, const Value& spec,
                                      StageContext& context);
Result<OperatorPtr> parse_unwind_stage(std::string_view name, const Value& spec,
                                       StageContext& context);
Result<OperatorPtr> parse_validate_stage(std::string_view name, const Value& spec,
                                         StageContext& context);

}  // namespace millrace::engine
