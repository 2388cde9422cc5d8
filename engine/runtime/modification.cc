#include "engine/runtime/modification.h"

#include <optional>

#include "engine/document/compare.h"

namespace millrace::engine {
namespace {

struct Window {
  std::string name;
  Value spec;
};

std::optional<Window> window_of(const Value& stages) {
  for (const Value& stage : stages.as_array()) {
    if (!stage.is_object() || stage.as_object().empty()) continue;
    Field field = *stage.as_object().begin();
    for (std::string_view name : {"$tumblingWindow", "$hoppingWindow", "$sessionWindow"}) {
      if (field.name() == name && field.value.is_object())
        return Window{std::string(name), field.value};
    }
  }
  return std::nullopt;
}

// Whether the window keeps aggregates or sorted documents: only then can its open windows be
// recomputed.
bool groups_or_sorts(const Value& window) {
  Value pipeline = window.as_object().get("pipeline");
  if (!pipeline.is_array()) return false;
  for (const Value& stage : pipeline.as_array()) {
    if (!stage.is_object() || stage.as_object().empty()) continue;
    std::string_view name = stage.as_object().begin()->name();
    if (name == "$group" || name == "$sort") return true;
  }
  return false;
}

Status refused(const std::string& what) {
  return Status(ErrorCode::kInvalidOptions, what +
                                                " cannot be changed while the saved state is kept; "
                                                "use resumeFromCheckpoint: false to start afresh");
}

}  // namespace

Status check_modification(const ProcessorDefinition& before, const ProcessorDefinition& after) {
  Value old_stages = before.pipeline.get("pipeline");
  Value new_stages = after.pipeline.get("pipeline");
  if (equal(old_stages, new_stages)) return {};
  if (!equal(old_stages.as_array().at(0), new_stages.as_array().at(0))) return refused("$source");
  auto old_window = window_of(old_stages);
  auto new_window = window_of(new_stages);
  if (!old_window) return {};
  if (!new_window) return refused("the pipeline's window (it would be removed)");
  if (old_window->name != new_window->name) return refused("the type of the window");
  for (std::string_view option :
       {"interval", "hopSize", "gap", "offset", "boundary", "partitionBy"}) {
    if (!equal(old_window->spec.as_object().get(option),
               new_window->spec.as_object().get(option))) {
      return refused("the window's " + std::string(option));
    }
  }
  if (!groups_or_sorts(old_window->spec))
    return refused("a pipeline whose window has neither $group nor $sort");
  return {};
}

}  // namespace millrace::engine
