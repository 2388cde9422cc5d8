// Sets of field paths as the data files write them: ["a", "b.c"], or [""] for the whole document.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "engine/document/field_path.h"
#include "tests/runner/case_file.h"

namespace millrace::tests {

inline void list_paths(const engine::PathSet& set, const std::string& prefix,
                       std::vector<std::string>& to) {
  if (set.all || (set.children.empty() && !prefix.empty())) to.push_back(prefix);
  for (const auto& child : set.children) {
    list_paths(child.set,
               prefix.empty() ? std::string(child.name) : prefix + "." + std::string(child.name),
               to);
  }
}

inline engine::PathSet read_paths(const engine::Value& list, engine::NameTable& names) {
  engine::PathSet set;
  for (const engine::Value& path : list.as_array()) {
    if (path.as_string().empty()) {
      set.add_all();
      continue;
    }
    auto parsed = engine::parse_field_path(path.as_string(), names);
    if (parsed.ok()) set.add(*parsed);
  }
  return set;
}

// Whether `set` is exactly the paths of `expected`, in any order.
inline CaseFailure check_paths(const engine::PathSet& set, const engine::Value& expected) {
  std::vector<std::string> actual;
  list_paths(set, "", actual);
  std::vector<std::string> wanted;
  for (const engine::Value& path : expected.as_array()) wanted.emplace_back(path.as_string());
  std::sort(actual.begin(), actual.end());
  std::sort(wanted.begin(), wanted.end());
  if (actual == wanted) return std::nullopt;
  std::string text = "needs the paths";
  for (const std::string& path : actual) text += " '" + path + "'";
  return text;
}

}  // namespace millrace::tests
