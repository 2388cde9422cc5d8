#include "engine/match/match_path.h"

#include <algorithm>

namespace millrace::engine {
namespace {

// "0", "1", "10" …, as the positions of an array are spelt; -1 for any other text ("00", "a", "").
int64_t position_of(std::string_view name) {
  constexpr size_t kMaxDigits = 9;
  if (name.empty() || name.size() > kMaxDigits || (name.size() > 1 && name[0] == '0')) return -1;
  int64_t position = 0;
  for (char c : name) {
    if (c < '0' || c > '9') return -1;
    position = position * 10 + (c - '0');
  }
  return position;
}

}  // namespace

MatchPath::MatchPath(std::string_view dotted, NameTable& names) : text_(dotted) {
  size_t from = 0;
  while (from <= dotted.size()) {
    size_t dot = std::min(dotted.find('.', from), dotted.size());
    std::string_view name = dotted.substr(from, dot - from);
    parts_.push_back({names.intern(name), position_of(name), 0});
    from = dot + 1;
  }
}

void MatchPath::add_dependencies(Dependencies& dependencies) const {
  std::vector<std::string_view> names{parts_[0].name};
  for (size_t i = 1; i < parts_.size() && parts_[i].index < 0; ++i) names.push_back(parts_[i].name);
  dependencies.fields.add(names.data(), names.size());
}

}  // namespace millrace::engine
