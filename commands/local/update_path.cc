#include "commands/local/update_path.h"

#include <algorithm>

#include "engine/document/array_position.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;

namespace {

Status empty_name(std::string_view path) {
  return Status(ErrorCode::kEmptyFieldName,
                "The update path '" + std::string(path) +
                    "' contains an empty field name, which is not allowed.");
}

UpdatePart make_part(std::string_view text) {
  if (text == "$") return {UpdatePart::Kind::kMatched, {}};
  if (text == "$[]") return {UpdatePart::Kind::kAll, {}};
  if (text.starts_with("$[") && text.ends_with("]"))
    return {UpdatePart::Kind::kFiltered, std::string(text.substr(2, text.size() - 3))};
  return {UpdatePart::Kind::kName, std::string(text)};
}

int compare_parts(const std::string& a, const std::string& b) {
  if (engine::array_position(a) && engine::array_position(b) && a.size() != b.size())
    return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

std::string spelt(const UpdatePart& part) {
  switch (part.kind) {
    case UpdatePart::Kind::kName:
      return part.text;
    case UpdatePart::Kind::kMatched:
      return "$";
    default:
      return "$[" + part.text + "]";
  }
}

bool is_of_many(const UpdatePart& part) {
  return part.kind == UpdatePart::Kind::kAll || part.kind == UpdatePart::Kind::kFiltered;
}

}  // namespace

std::string UpdatePath::prefix(size_t count) const {
  std::string dotted;
  for (size_t i = 0; i < count && i < parts.size(); ++i) {
    if (i > 0) dotted += '.';
    dotted += spelt(parts[i]);
  }
  return dotted;
}

Result<UpdatePath> parse_update_path(std::string_view text) {
  if (text.empty()) return Status(ErrorCode::kEmptyFieldName, "An empty update path is not valid.");
  UpdatePath path{std::string(text), {}};
  for (size_t start = 0;;) {
    size_t dot = std::min(text.find('.', start), text.size());
    std::string_view part = text.substr(start, dot - start);
    if (part.empty()) return empty_name(text);
    path.parts.push_back(make_part(part));
    if (dot == text.size()) break;
    start = dot + 1;
  }
  const UpdatePart& first = path.parts.front();
  if (first.kind == UpdatePart::Kind::kMatched) {
    return Status(ErrorCode::kBadValue,
                  "Cannot have positional (i.e. '$') element in the first position in path '" +
                      path.text + "'");
  }
  if (first.kind != UpdatePart::Kind::kName) {
    return Status(ErrorCode::kBadValue,
                  "Cannot have array filter identifier (i.e. '$[<id>]') element in the first "
                  "position in path '" +
                      path.text + "'");
  }
  auto matched = std::count_if(path.parts.begin(), path.parts.end(),
                               [](const auto& p) { return p.kind == UpdatePart::Kind::kMatched; });
  if (matched > 1)
    return Status(ErrorCode::kBadValue,
                  "Too many positional (i.e. '$') elements found in path '" + path.text + "'");
  return path;
}

bool applies_before(const UpdatePath& a, const UpdatePath& b) {
  size_t common = std::min(a.parts.size(), b.parts.size());
  for (size_t i = 0; i < common; ++i) {
    int order = compare_parts(spelt(a.parts[i]), spelt(b.parts[i]));
    if (order != 0) return order < 0;
  }
  return a.parts.size() < b.parts.size();
}

Status ClaimedPaths::add(const UpdatePath& path) {
  auto conflict = [&](size_t at) {
    return Status(ErrorCode::kConflictingUpdateOperators, "Updating the path '" + path.text +
                                                              "' would create a conflict at '" +
                                                              path.prefix(at) + "'");
  };
  Node* node = &nodes_.front();
  for (size_t i = 0; i < path.parts.size(); ++i) {
    if (node->ends) return conflict(i);
    Node*& below = node->below[spelt(path.parts[i])];
    if (below == nullptr) {
      // Beside all elements of an array, or some of them, none can be named by its position.
      bool many = is_of_many(path.parts[i]);
      if (node->below.size() > 1 && node->many != many) return conflict(i);
      node->many = many;
      below = &nodes_.emplace_back();
    }
    node = below;
  }
  if (node->ends || !node->below.empty()) return conflict(path.parts.size());
  node->ends = true;
  return {};
}

}  // namespace millrace::commands
