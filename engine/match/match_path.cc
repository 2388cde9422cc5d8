#include "engine/match/match_path.h"

#include <algorithm>
#include <optional>

#include "engine/document/array_position.h"

namespace millrace::engine {
MatchPath::MatchPath(std::string_view dotted, NameTable& names) : text_(dotted) {
  size_t from = 0;
  while (from <= dotted.size()) {
    size_t dot = std::min(dotted.find('.', from), dotted.size());
    std::string_view name = dotted.substr(from, dot - from);
    std::optional<size_t> position = array_position(name);
    parts_.push_back({names.intern(name), position ? static_cast<int64_t>(*position) : -1, 0});
    from = dot + 1;
  }
}

void MatchPath::add_dependencies(Dependencies& dependencies) const {
  std::vector<std::string_view> names{parts_[0].name};
  for (size_t i = 1; i < parts_.size() && parts_[i].index < 0; ++i) names.push_back(parts_[i].name);
  dependencies.fields.add(names.data(), names.size());
}

}  // namespace millrace::engine
