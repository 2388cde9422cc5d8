#include "engine/expression/number.h"

#include "engine/document/extended_json.h"

namespace millrace::engine {

std::string shown(const Value& v) {
  constexpr size_t kMaxShown = 200;
  std::string text = v.is_missing() ? "missing" : to_json(v);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

}  // namespace millrace::engine
