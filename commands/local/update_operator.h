// What an update operator does to the value at its path. One row per operator at the foot of its
// family's file. Source: https://www.mongodb.com/docs/manual/reference/operator/update/
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "commands/local/evaluation.h"
#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::commands {

// The document and the place an operator works on.
struct UpdateTarget {
  const engine::Value& document;  // before the update, for messages
  std::string_view path;          // as in the command
  std::string_view field;         // its last part
  engine::Arena& arena;           // what the new value may be made in
  int64_t now_ms;
};

class UpdateAction {
 public:
  virtual ~UpdateAction() = default;
  // What happens where the path leads nowhere.
  enum class Absent {
    kCreate,   // the path is made, apply() is called with a missing value
    kRefuse,   // nothing where it just ends; 28 PathNotViable where a scalar stands in the way
    kNothing,  // nothing
  };
  virtual Absent absent() const = 0;
  virtual bool only_on_insert() const { return false; }
  // Applied to this it counts as a modification even if nothing changes (6.0.5).
  virtual bool counts(const engine::Value& /*current*/) const { return false; }
  // The new value; missing removes the field (in an array: makes it null). `current` itself for no
  // change.
  virtual engine::Result<engine::Value> apply(const engine::Value& current,
                                              const UpdateTarget& target) const = 0;
};
using UpdateActionPtr = std::unique_ptr<UpdateAction>;

// `path` names the field, `operand` is what stands beside it. Operands are views of the command and
// outlive the action.
using UpdateFunction = engine::Result<UpdateActionPtr> (*)(std::string_view path,
                                                           const engine::Value& operand,
                                                           Evaluation& evaluation);

struct UpdateRow {
  std::string_view name;
  UpdateFunction parse;     // nullptr: $rename, which has two paths (update.cc)
  std::string_view manual;  // page under https://www.mongodb.com/docs/manual/reference/operator/
};

template <size_t N>
constexpr bool sorted_and_unique(const std::array<UpdateRow, N>& rows) {
  for (size_t i = 1; i < N; ++i) {
    if (!(rows[i - 1].name < rows[i].name)) return false;
  }
  return true;
}

std::span<const UpdateRow> field_update_operators();  // update_field_operators.cc
std::span<const UpdateRow> array_update_operators();  // update_array_operators.cc
std::span<const std::span<const UpdateRow>> update_operator_families();
// nullptr for an unknown one.
const UpdateRow* find_update_operator(std::string_view name);

// " {_id: 1}" and the like, for messages.
std::string id_text(const engine::Value& document);

}  // namespace millrace::commands
