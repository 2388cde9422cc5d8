#include "engine/testing/matcher.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "engine/document/compare.h"
#include "engine/expression/regex.h"
#include "engine/testing/exact_json.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxAligned =
    2000;  // documents on either side; beyond, lists are compared by position

std::optional<Field> marker_of(const Value& value) {
  if (!value.is_object() || value.as_object().empty()) return std::nullopt;
  Field first = *value.as_object().begin();
  if (!first.name().starts_with("$$")) return std::nullopt;
  return first;
}

std::string child(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}
std::string child(const std::string& path, size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

// For each left node the right one that it is matched with, where all can be; the sizes are those
// of test cases.
class Pairing {
 public:
  Pairing(size_t left, size_t right) : edges_(left), owner_(right, kNone) {}
  void allow(size_t left, size_t right) { edges_[left].push_back(right); }
  // The left nodes that no partner is left for.
  std::vector<size_t> unmatched() {
    std::vector<size_t> alone;
    for (size_t i = 0; i < edges_.size(); ++i) {
      std::vector<bool> tried(owner_.size());
      if (!place(i, tried)) alone.push_back(i);
    }
    return alone;
  }
  bool taken(size_t right) const { return owner_[right] != kNone; }

 private:
  static constexpr size_t kNone = SIZE_MAX;
  bool place(size_t left, std::vector<bool>& tried) {
    for (size_t right : edges_[left]) {
      if (tried[right]) continue;
      tried[right] = true;
      if (owner_[right] == kNone || place(owner_[right], tried)) {
        owner_[right] = left;
        return true;
      }
    }
    return false;
  }
  std::vector<std::vector<size_t>> edges_;
  std::vector<size_t> owner_;
};

class Comparison {
 public:
  // Both: nothing is different.
  std::optional<Difference> compare(const Value& expected, const Value& actual,
                                    const std::string& path, bool partial) {
    if (auto marker = marker_of(expected)) return by_marker(*marker, expected, actual, path);
    if (expected.is_object() && actual.is_object()) {
      return partial ? contained(expected, actual, path) : whole(expected, actual, path);
    }
    if (expected.is_array() && actual.is_array()) return array(expected, actual, path, partial);
    if (identical(expected, actual)) return std::nullopt;
    return Difference{path, exact_json(expected), exact_json(actual)};
  }

 private:
  std::optional<Difference> whole(const Value& expected, const Value& actual,
                                  const std::string& path) {
    Arena arena;
    auto want = object_fields(expected, arena);
    auto got = object_fields(actual, arena);
    for (size_t i = 0; i < want.size() && i < got.size(); ++i) {
      if (want[i].name() != got[i].name()) return at_field(want[i], actual, expected, got[i], path);
      if (auto difference =
              compare(want[i].value, got[i].value, child(path, want[i].name()), false))
        return difference;
    }
    if (want.size() > got.size()) {
      const Field& field = want[got.size()];
      return Difference{child(path, field.name()), exact_json(field.value), "(missing)"};
    }
    if (want.size() < got.size()) {
      const Field& field = got[want.size()];
      return Difference{child(path, field.name()), "(no such field)", exact_json(field.value)};
    }
    return std::nullopt;
  }

  // Where two documents stop having the same names.
  std::optional<Difference> at_field(const Field& want, const Value& actual, const Value& expected,
                                     const Field& got, const std::string& path) {
    if (!actual.as_object().has(want.name()))
      return Difference{child(path, want.name()), exact_json(want.value), "(missing)"};
    if (!expected.as_object().has(got.name()))
      return Difference{child(path, got.name()), "(no such field)", exact_json(got.value)};
    return Difference{path, "field '" + std::string(want.name()) + "' at this place",
                      "field '" + std::string(got.name()) + "' (the order of fields counts)"};
  }

  std::optional<Difference> contained(const Value& expected, const Value& actual,
                                      const std::string& path) {
    for (const Field& field : expected.as_object()) {
      Value value = actual.as_object().get(field.name());
      if (auto difference = compare(field.value, value, child(path, field.name()), true))
        return difference;
    }
    return std::nullopt;
  }

  std::optional<Difference> array(const Value& expected, const Value& actual,
                                  const std::string& path, bool partial) {
    Arena arena;
    auto want = expected.as_array().elements(arena);
    auto got = actual.as_array().elements(arena);
    for (size_t i = 0; i < want.size() && i < got.size(); ++i) {
      if (auto difference = compare(want[i], got[i], child(path, i), partial)) return difference;
    }
    if (want.size() > got.size())
      return Difference{child(path, got.size()), exact_json(want[got.size()]), "(missing)"};
    if (want.size() < got.size())
      return Difference{child(path, want.size()), "(no more elements)",
                        exact_json(got[want.size()])};
    return std::nullopt;
  }

  std::optional<Difference> by_marker(const Field& marker, const Value& whole_marker,
                                      const Value& actual, const std::string& path) {
    Difference difference{path, exact_json(whole_marker), exact_json(actual)};
    bool same = false;
    if (marker.name() == "$$any") {
      bool any_type = !marker.value.is_string();
      same = any_type ? !actual.is_missing()
                      : marker.value.as_string() == actual.type_name() ||
                            (marker.value.as_string() == "number" && actual.is_number());
    } else if (marker.name() == "$$regex") {
      RegexError error;
      auto regex = Regex::compile(marker.value.as_string(), "", &error);
      same = actual.is_string() && regex != nullptr && regex->search(actual.as_string()) == 1;
    } else if (marker.name() == "$$near") {
      double within = whole_marker.as_object().get("within").to_double();
      same =
          actual.is_number() && std::abs(actual.to_double() - marker.value.to_double()) <= within;
    } else if (marker.name() == "$$contains") {
      return compare(marker.value, actual, path, true);
    } else if (marker.name() == "$$unordered") {
      same = actual.is_array() && unordered(marker.value, actual);
    }
    if (same) return std::nullopt;
    return difference;
  }

  bool unordered(const Value& expected, const Value& actual) {
    Arena arena;
    auto want = expected.as_array().elements(arena);
    auto got = actual.as_array().elements(arena);
    if (want.size() != got.size()) return false;
    Pairing pairing(want.size(), got.size());
    for (size_t i = 0; i < want.size(); ++i) {
      for (size_t j = 0; j < got.size(); ++j) {
        if (!compare(want[i], got[j], "", false)) pairing.allow(i, j);
      }
    }
    return pairing.unmatched().empty();
  }
};

std::optional<Difference> letter_difference(const Value& expected, const Document& letter) {
  for (const Field& field : expected.as_object()) {
    Value actual = letter.get(field.name());
    if (field.name() == "reason") {
      Value info = letter.get("errInfo");
      actual = info.is_object() ? info.as_object().get("reason") : Value();
    }
    if (auto difference =
            Comparison().compare(field.value, actual, std::string(field.name()), false))
      return difference;
  }
  return std::nullopt;
}

std::optional<Difference> item_difference(const Value& expected, const Actual& actual,
                                          ListKind kind) {
  if (kind == ListKind::kDeadLetters) return letter_difference(expected, actual.message);
  auto marker = marker_of(expected);
  if (marker && marker->name() == "$$message")
    return find_missing_part(marker->value, actual.message.value());
  return find_difference(expected, actual.document.value());
}

std::string shown(const Value& expected, const Actual& actual) {
  auto marker = marker_of(expected);
  bool message = marker && marker->name() == "$$message";
  return exact_json(message ? actual.message.value() : actual.document.value());
}

// The two lists side by side: what is in both stays together, so that one document too much does
// not make all behind it differ.
class ListReport {
 public:
  ListReport(const std::vector<Value>& expected, const std::vector<Actual>& actual, ListKind kind)
      : expected_(expected), actual_(actual), kind_(kind) {}

  std::string in_order() {
    size_t begin = 0, end_i = expected_.size(), end_j = actual_.size();
    while (begin < end_i && begin < end_j && same(begin, begin)) ++begin;
    while (begin < end_i && begin < end_j && same(end_i - 1, end_j - 1)) --end_i, --end_j;
    if (end_i - begin <= kMaxAligned && end_j - begin <= kMaxAligned) {
      align(begin, end_i, end_j);
    } else {
      gap(begin, end_i, begin, end_j);
    }
    return text_;
  }

  std::string in_any_order() {
    // First those that are the very same: there can be many. What matches such a one matches its
    // twins too, so that nobody is robbed of a partner.
    std::multimap<std::string, size_t> by_text;
    for (size_t j = 0; j < actual_.size(); ++j)
      by_text.emplace(exact_json(actual_[j].document.value()), j);
    std::vector<size_t> left;
    for (size_t i = 0; i < expected_.size(); ++i) {
      auto twin = by_text.find(exact_json(expected_[i]));
      if (twin == by_text.end()) {
        left.push_back(i);
      } else {
        by_text.erase(twin);
      }
    }
    std::vector<size_t> right;
    for (const auto& [text, j] : by_text) right.push_back(j);
    std::sort(right.begin(), right.end());
    Pairing pairing(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) {
      for (size_t j = 0; j < right.size(); ++j) {
        if (same(left[i], right[j])) pairing.allow(i, j);
      }
    }
    for (size_t i : pairing.unmatched()) missing(left[i]);
    for (size_t j = 0; j < right.size(); ++j) {
      if (!pairing.taken(j)) surplus(right[j]);
    }
    return text_;
  }

 private:
  bool same(size_t i, size_t j) const { return !item_difference(expected_[i], actual_[j], kind_); }

  // Between what both lists begin and end with.
  void align(size_t begin, size_t end_i, size_t end_j) {
    size_t rows = end_i - begin, columns = end_j - begin;
    // common[i][j]: how many documents of the rest behind i and j can stay together.
    std::vector<std::vector<uint16_t>> common(rows + 1, std::vector<uint16_t>(columns + 1));
    std::vector<std::vector<bool>> alike(rows, std::vector<bool>(columns));
    for (size_t i = rows; i-- > 0;) {
      for (size_t j = columns; j-- > 0;) {
        alike[i][j] = same(begin + i, begin + j);
        common[i][j] =
            alike[i][j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
      }
    }
    size_t i = 0, j = 0, gap_i = 0, gap_j = 0;
    while (i < rows && j < columns) {
      if (alike[i][j]) {
        gap(begin + gap_i, begin + i, begin + gap_j, begin + j);
        gap_i = ++i;
        gap_j = ++j;
      } else if (common[i + 1][j] >= common[i][j + 1]) {
        ++i;
      } else {
        ++j;
      }
    }
    gap(begin + gap_i, end_i, begin + gap_j, end_j);
  }

  void gap(size_t i, size_t end_i, size_t j, size_t end_j) {
    while (i < end_i && j < end_j) {
      if (auto difference = item_difference(expected_[i], actual_[j], kind_)) {
        missing(i);
        text_ += "\n  + " + shown(expected_[i], actual_[j]);
        std::string where = difference->path.empty() ? "" : " at " + difference->path;
        text_ += "\n    differs" + where + ": expected " + difference->expected + ", got " +
                 difference->actual;
      }
      ++i;
      ++j;
    }
    while (i < end_i) missing(i++);
    while (j < end_j) surplus(j++);
  }
  void missing(size_t i) { text_ += "\n  - " + exact_json(expected_[i]); }
  void surplus(size_t j) { text_ += "\n  + " + exact_json(actual_[j].document.value()); }

  const std::vector<Value>& expected_;
  const std::vector<Actual>& actual_;
  const ListKind kind_;
  std::string text_;
};

Status wrong_marker(const Field& marker, std::string_view what) {
  return Status(ErrorCode::kBadValue, std::string(marker.name()) + " " + std::string(what));
}

Status check_marker(const Field& marker, const Value& whole) {
  constexpr std::array<std::string_view, 21> kTypes = {
      "number",    "double",     "string",    "object",
      "array",     "binData",    "undefined", "objectId",
      "bool",      "date",       "null",      "regex",
      "dbPointer", "javascript", "symbol",    "javascriptWithScope",
      "int",       "timestamp",  "long",      "decimal",
      "minKey"};
  size_t fields = whole.as_object().size();
  if (marker.name() == "$$near") {
    if (fields != 2 || !marker.value.is_number() || !whole.as_object().get("within").is_number())
      return wrong_marker(marker, "must be {$$near: <number>, within: <number>}");
    return {};
  }
  if (fields != 1) return wrong_marker(marker, "must be the only field of its object");
  if (marker.name() == "$$any") {
    bool type = marker.value.is_string() &&
                std::find(kTypes.begin(), kTypes.end(), marker.value.as_string()) != kTypes.end();
    bool any = marker.value.is(Type::kBool) && marker.value.as_bool();
    return type || any ? Status() : wrong_marker(marker, "must be true or the name of a BSON type");
  }
  if (marker.name() == "$$regex") {
    if (!marker.value.is_string()) return wrong_marker(marker, "must be a string");
    RegexError error;
    if (Regex::compile(marker.value.as_string(), "", &error) == nullptr)
      return wrong_marker(marker, "is no regular expression: " + error.text);
    return {};
  }
  if (marker.name() == "$$contains") {
    if (!marker.value.is_object()) return wrong_marker(marker, "must be a document");
    return check_markers(marker.value);
  }
  if (marker.name() == "$$unordered") {
    if (!marker.value.is_array()) return wrong_marker(marker, "must be an array");
    return check_markers(marker.value);
  }
  return Status(ErrorCode::kBadValue, "unknown marker '" + std::string(marker.name()) + "'");
}

// A sink writes when a batch is through: whose letter comes first depends on the batches.
bool of_several_operators(const std::vector<Actual>& letters) {
  for (const Actual& letter : letters) {
    if (!equal(letter.document.get("operatorName"), letters.front().document.get("operatorName")))
      return true;
  }
  return false;
}

}  // namespace

std::optional<Difference> find_difference(const Value& expected, const Value& actual) {
  return Comparison().compare(expected, actual, "", false);
}

std::optional<Difference> find_missing_part(const Value& expected, const Value& actual) {
  return Comparison().compare(expected, actual, "", true);
}

Status check_markers(const Value& expected, bool messages) {
  if (auto marker = marker_of(expected)) {
    if (messages && marker->name() == "$$message") {
      if (!marker->value.is_object() || expected.as_object().size() != 1)
        return wrong_marker(*marker, "must be a document, and the only field of its object");
      return check_markers(marker->value);
    }
    return check_marker(*marker, expected);
  }
  if (expected.is_object()) {
    for (const Field& field : expected.as_object()) MR_RETURN_IF_ERROR(check_markers(field.value));
  } else if (expected.is_array()) {
    for (const Value& element : expected.as_array()) MR_RETURN_IF_ERROR(check_markers(element));
  }
  return {};
}

std::optional<std::string> list_difference(const std::vector<Value>& expected,
                                           const std::vector<Actual>& actual, ListKind kind,
                                           bool any_order) {
  ListReport report(expected, actual, kind);
  any_order = any_order || (kind == ListKind::kDeadLetters && of_several_operators(actual));
  std::string text = any_order ? report.in_any_order() : report.in_order();
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace millrace::engine
