// Update operators on an array: $push, $addToSet, $pop, $pull, $pullAll.
#include <algorithm>
#include <optional>
#include <vector>

#include "commands/local/index_keys.h"
#include "commands/local/update_operator.h"
#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/sort_pattern.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

std::vector<Value> elements_of(const Value& array) {
  std::vector<Value> elements;
  for (const Value& element : array.as_array()) elements.push_back(element);
  return elements;
}

Value make_array(const std::vector<Value>& elements, engine::Arena& arena) {
  engine::ArrayBuilder array(arena, elements.size());
  for (const Value& element : elements) array.add(element);
  return array.finish();
}

std::optional<int64_t> whole_number(const Value& value) {
  if (value.is_integer()) return value.integer_value();
  if (value.is(Type::kDouble)) {
    double number = value.as_double();
    if (number >= -9e18 && number <= 9e18 &&
        number == static_cast<double>(static_cast<int64_t>(number)))
      return static_cast<int64_t>(number);
  }
  if (value.is(Type::kDecimal)) return engine::decimal::to_int64_exact(value.as_decimal());
  return std::nullopt;
}

// ---- $push

class PushAction final : public UpdateAction {
 public:
  Absent absent() const override { return Absent::kCreate; }
  bool counts(const Value& current) const override {
    if (!current.is_array()) return false;
    bool sorts = (whole_order != 0 || pattern) && !current.as_array().empty();
    return sorts || !added.empty();
  }
  Result<Value> apply(const Value& current, const UpdateTarget& target) const override {
    if (!current.is_missing() && !current.is_array()) {
      return Status(ErrorCode::kBadValue, "The field '" + std::string(target.field) +
                                              "' must be an array but is of type " +
                                              std::string(current.type_name()) + " in document {" +
                                              id_text(target.document) + "}");
    }
    std::vector<Value> elements =
        current.is_missing() ? std::vector<Value>{} : elements_of(current);
    elements.insert(elements.begin() + insert_at(elements.size()), added.begin(), added.end());
    sort(elements);
    if (slice) {
      auto size = static_cast<int64_t>(elements.size());
      int64_t kept = std::min(size, *slice < 0 ? -*slice : *slice);
      if (*slice < 0) {
        elements.erase(elements.begin(), elements.end() - kept);
      } else {
        elements.resize(static_cast<size_t>(kept));
      }
    }
    return make_array(elements, target.arena);
  }

  std::vector<Value> added;
  std::optional<int64_t> position;
  std::optional<int64_t> slice;
  int whole_order = 0;  // $sort: ±1
  std::optional<engine::SortPattern> pattern;

 private:
  ptrdiff_t insert_at(size_t size) const {
    auto count = static_cast<int64_t>(size);
    if (!position) return count;
    return *position >= 0 ? std::min(*position, count)
                          : std::max<int64_t>(count + std::max(*position, -count), 0);
  }

  void sort(std::vector<Value>& elements) const {
    if (whole_order != 0) {
      std::stable_sort(elements.begin(), elements.end(), [&](const Value& a, const Value& b) {
        return whole_order * engine::compare(a, b) < 0;
      });
    }
    if (!pattern) return;
    size_t width = pattern->size();
    std::vector<std::pair<std::vector<Value>, Value>> keyed;
    for (const Value& element : elements) {
      auto& entry = keyed.emplace_back(std::vector<Value>(width), element);
      pattern->whole_key(element, entry.first.data());
    }
    std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
      return pattern->compare(a.first.data(), b.first.data()) < 0;
    });
    for (size_t i = 0; i < keyed.size(); ++i) elements[i] = keyed[i].second;
  }
};

bool has_empty_part(std::string_view path) {
  return path.empty() || path.front() == '.' || path.back() == '.' ||
         path.find("..") != std::string_view::npos;
}

Status parse_push_sort(const Value& operand, PushAction* push, Evaluation& evaluation) {
  if (operand.is_number()) {
    auto order = whole_number(operand);
    if (!order || (*order != 1 && *order != -1))
      return Status(ErrorCode::kBadValue, "The $sort element value must be either 1 or -1");
    push->whole_order = static_cast<int>(*order);
    return {};
  }
  if (!operand.is_object()) {
    return Status(ErrorCode::kBadValue,
                  "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to "
                  "sort embedded fields");
  }
  if (operand.as_object().empty())
    return Status(ErrorCode::kBadValue,
                  "The sort pattern is empty when it should be a set of fields.");
  for (const auto& field : operand.as_object()) {
    auto order = whole_number(field.value);
    if (!order || (*order != 1 && *order != -1))
      return Status(ErrorCode::kBadValue, "The sort element value must be either 1 or -1");
    if (has_empty_part(field.name()))
      return Status(ErrorCode::kBadValue,
                    "The sort field has an empty part: \"" + std::string(field.name()) + "\"");
  }
  MR_ASSIGN_OR_RETURN(push->pattern, engine::SortPattern::parse(operand, evaluation.parse(),
                                                                engine::SortPattern::Paths::kAny));
  evaluation.ready();
  return {};
}

Status parse_push_clause(const engine::Field& clause, PushAction* push, Evaluation& evaluation) {
  if (clause.has_name("$each")) {
    if (!clause.value.is_array()) {
      return Status(ErrorCode::kBadValue,
                    "The argument to $each in $push must be an array but it was of type: " +
                        std::string(clause.value.type_name()));
    }
    push->added = elements_of(clause.value);
    return {};
  }
  if (clause.has_name("$slice")) {
    push->slice = whole_number(clause.value);
    if (push->slice) return {};
    return Status(ErrorCode::kBadValue,
                  "The value for $slice must be an integer value but was given type: " +
                      std::string(clause.value.type_name()));
  }
  if (clause.has_name("$position")) {
    push->position = whole_number(clause.value);
    if (push->position) return {};
    return Status(ErrorCode::kBadValue,
                  "The value for $position must be an integer value, not of type: " +
                      std::string(clause.value.type_name()));
  }
  if (clause.has_name("$sort")) return parse_push_sort(clause.value, push, evaluation);
  return Status(ErrorCode::kBadValue,
                "Unrecognized clause in $push: " + std::string(clause.name()));
}

Result<UpdateActionPtr> parse_push(std::string_view, const Value& operand, Evaluation& evaluation) {
  auto push = std::make_unique<PushAction>();
  if (!operand.is_object() || !operand.as_object().has("$each")) {
    push->added.push_back(operand);
  } else {
    for (const auto& clause : operand.as_object())
      MR_RETURN_IF_ERROR(parse_push_clause(clause, push.get(), evaluation));
  }
  return UpdateActionPtr(std::move(push));
}

// ---- $addToSet

class AddToSetAction final : public UpdateAction {
 public:
  explicit AddToSetAction(std::vector<Value> added) : added_(std::move(added)) {}
  Absent absent() const override { return Absent::kCreate; }
  Result<Value> apply(const Value& current, const UpdateTarget& target) const override {
    if (!current.is_missing() && !current.is_array()) {
      return Status(ErrorCode::kBadValue,
                    "Cannot apply $addToSet to non-array field. Field named '" +
                        std::string(target.field) + "' has non-array type " +
                        std::string(current.type_name()));
    }
    std::vector<Value> elements =
        current.is_missing() ? std::vector<Value>{} : elements_of(current);
    size_t before = elements.size();
    for (const Value& value : added_) {
      bool there = std::any_of(elements.begin(), elements.end(),
                               [&](const Value& element) { return engine::equal(element, value); });
      if (!there) elements.push_back(value);
    }
    if (elements.size() == before && !current.is_missing()) return current;
    return make_array(elements, target.arena);
  }

 private:
  std::vector<Value> added_;
};

Result<UpdateActionPtr> parse_add_to_set(std::string_view, const Value& operand, Evaluation&) {
  std::vector<Value> added{operand};
  if (operand.is_object() && !operand.as_object().empty() &&
      operand.as_object().begin()->has_name("$each")) {
    Value each = operand.as_object().get("$each");
    if (!each.is_array()) {
      return Status(ErrorCode::kTypeMismatch,
                    "The argument to $each in $addToSet must be an array but it was of type " +
                        std::string(each.type_name()));
    }
    if (operand.as_object().size() > 1) {
      return Status(ErrorCode::kBadValue,
                    "Found unexpected fields after $each in $addToSet: " + shell_text(operand));
    }
    added = elements_of(each);
  }
  return UpdateActionPtr(std::make_unique<AddToSetAction>(std::move(added)));
}

// ---- $pop

class PopAction final : public UpdateAction {
 public:
  explicit PopAction(bool first) : first_(first) {}
  Absent absent() const override { return Absent::kRefuse; }
  Result<Value> apply(const Value& current, const UpdateTarget& target) const override {
    if (!current.is_array()) {
      return Status(ErrorCode::kTypeMismatch, "Path '" + std::string(target.path) +
                                                  "' contains an element of non-array type '" +
                                                  std::string(current.type_name()) + "'");
    }
    auto elements = elements_of(current);
    if (elements.empty()) return current;
    elements.erase(first_ ? elements.begin() : elements.end() - 1);
    return make_array(elements, target.arena);
  }

 private:
  bool first_;
};

Result<UpdateActionPtr> parse_pop(std::string_view path, const Value& operand, Evaluation&) {
  if (!operand.is_number()) {
    return Status(ErrorCode::kFailedToParse,
                  "Expected a number in: " + std::string(path) + ": " + shell_text(operand));
  }
  auto which = whole_number(operand);
  if (!which || (*which != 1 && *which != -1)) {
    return Status(ErrorCode::kFailedToParse, "$pop expects 1 or -1, found: " + shell_text(operand));
  }
  return UpdateActionPtr(std::make_unique<PopAction>(*which < 0));
}

// ---- $pull, $pullAll

class PullAction : public UpdateAction {
 public:
  Absent absent() const override { return Absent::kRefuse; }
  Result<Value> apply(const Value& current, const UpdateTarget& target) const override {
    if (!current.is_array())
      return Status(ErrorCode::kBadValue, "Cannot apply $pull to a non-array value");
    std::vector<Value> kept;
    size_t count = 0;
    for (const Value& element : current.as_array()) {
      ++count;
      MR_ASSIGN_OR_RETURN(bool removed, removes(element, target.arena));
      if (!removed) kept.push_back(element);
    }
    if (kept.size() == count) return current;
    return make_array(kept, target.arena);
  }
  virtual Result<bool> removes(const Value& element, engine::Arena& arena) const = 0;
};

class PullAllAction final : public PullAction {
 public:
  explicit PullAllAction(std::vector<Value> values) : values_(std::move(values)) {}
  Result<bool> removes(const Value& element, engine::Arena&) const override {
    return std::any_of(values_.begin(), values_.end(),
                       [&](const Value& value) { return engine::equal(element, value); });
  }

 private:
  std::vector<Value> values_;
};

constexpr std::string_view kElement = "element";

// $pull with conditions: on the fields of elements that are documents, or ({$gte: 2}) on the
// element itself.
class PullMatchAction final : public PullAction {
 public:
  PullMatchAction(engine::PredicatePtr predicate, bool of_fields, Evaluation& evaluation)
      : predicate_(std::move(predicate)), of_fields_(of_fields), evaluation_(evaluation) {}
  Result<bool> removes(const Value& element, engine::Arena& arena) const override {
    if (of_fields_) return element.is_object() ? evaluation_.matches(*predicate_, element) : false;
    engine::ObjectBuilder wrapped(arena, 1);
    wrapped.add(kElement, element);
    return evaluation_.matches(*predicate_, wrapped.finish());
  }

 private:
  engine::PredicatePtr predicate_;
  bool of_fields_;
  Evaluation& evaluation_;
};

Result<UpdateActionPtr> parse_pull(std::string_view, const Value& operand, Evaluation& evaluation) {
  bool of_value = operand.is(Type::kRegex);
  if (operand.is_object() && !operand.as_object().empty()) {
    std::string_view first = operand.as_object().begin()->name();
    of_value = first.starts_with('$') && first != "$and" && first != "$or" && first != "$nor" &&
               first != "$not" && first != "$expr";
  }
  if (!of_value && !operand.is_object()) {
    return UpdateActionPtr(std::make_unique<PullAllAction>(std::vector<Value>{operand}));
  }
  Value query = operand;
  if (of_value) {
    engine::ObjectBuilder wrapped(evaluation.parse().constants(), 1);
    wrapped.add(kElement, operand);
    query = wrapped.finish();
  }
  MR_ASSIGN_OR_RETURN(auto predicate, evaluation.parse_predicate(query));
  return UpdateActionPtr(
      std::make_unique<PullMatchAction>(std::move(predicate), !of_value, evaluation));
}

Result<UpdateActionPtr> parse_pull_all(std::string_view, const Value& operand, Evaluation&) {
  if (!operand.is_array()) {
    return Status(ErrorCode::kBadValue, "$pullAll requires an array argument but was given a " +
                                            std::string(operand.type_name()));
  }
  return UpdateActionPtr(std::make_unique<PullAllAction>(elements_of(operand)));
}

// clang-format off
constexpr std::array kArrayOperators = {
    UpdateRow{"$addToSet", parse_add_to_set, "update/addToSet"},
    UpdateRow{"$pop",      parse_pop,        "update/pop"},
    UpdateRow{"$pull",     parse_pull,       "update/pull"},
    UpdateRow{"$pullAll",  parse_pull_all,   "update/pullAll"},
    UpdateRow{"$push",     parse_push,       "update/push"},
};
// clang-format on
static_assert(sorted_and_unique(kArrayOperators));

}  // namespace

std::span<const UpdateRow> array_update_operators() { return kArrayOperators; }

}  // namespace millrace::commands
