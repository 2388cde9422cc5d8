// $group: one document per distinct key. Blocking: legal inside windows and in aggregate commands.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/group/
#pragma once

#include <memory>
#include <string_view>

#include "engine/stage/group_table.h"
#include "engine/stage/operator.h"

namespace millrace::engine {

// Documents come out in the order in which their keys were first seen, without metadata: the window
// that holds the stage sets it.
class GroupOperator final : public Operator {
 public:
  explicit GroupOperator(std::unique_ptr<GroupTable> table);

  std::string_view name() const override { return "GroupOperator"; }
  void dependencies(Dependencies& dependencies) const override;
  bool stateless() const override { return false; }
  void on_batch(Batch& batch, OperatorContext& context) override;
  void on_end(Batch& batch, OperatorContext& context) override;
  void reset() override;
  int64_t state_bytes() const override;

  // For a window that keeps sets of groups of its own instead of running the operator. Lives as
  // long as the operator.
  GroupTable& table() { return *table_; }

 private:
  std::unique_ptr<GroupTable> table_;
  GroupsPtr groups_;
};

}  // namespace millrace::engine
