#include "engine/stage/group.h"

#include "engine/stage/stages.h"

namespace millrace::engine {

GroupOperator::GroupOperator(std::unique_ptr<GroupTable> table)
    : table_(std::move(table)), groups_(table_->make_groups()) {}

void GroupOperator::dependencies(Dependencies& dependencies) const {
  Dependencies own;
  table_->add_dependencies(own);
  dependencies = std::move(own);
}

void GroupOperator::on_batch(Batch& batch, OperatorContext& context) {
  context.eval.arena = &batch.arena;
  stats.input_count += static_cast<int64_t>(batch.documents.size());
  stats.dlq_count += static_cast<int64_t>(table_->add(*groups_, batch.documents, context, name()));
  batch.documents.clear();
  stats.max_state_bytes = std::max(stats.max_state_bytes, state_bytes());
}

void GroupOperator::on_end(Batch& batch, OperatorContext&) {
  StreamDocument like;
  like.watermark_ms = batch.watermark_ms;
  GroupsCursor all(*groups_);
  stats.output_count +=
      static_cast<int64_t>(table_->emit(all, groups_->count(), batch.arena, like, batch.documents));
}

void GroupOperator::reset() { groups_ = table_->make_groups(); }

int64_t GroupOperator::state_bytes() const { return groups_->bytes() + table_->shared_bytes(); }

Result<OperatorPtr> parse_group_stage(std::string_view, const Value& spec, StageContext& context) {
  MR_ASSIGN_OR_RETURN(auto table, GroupTable::parse(spec, context.parse));
  return OperatorPtr(std::make_unique<GroupOperator>(std::move(table)));
}

}  // namespace millrace::engine
