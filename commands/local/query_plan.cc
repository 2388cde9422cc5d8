#include "commands/local/query_plan.h"

#include <algorithm>

#include "commands/local/key_bytes.h"
#include "engine/document/compare.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

constexpr size_t kMaxPoints = 100'000;

// An index holds null for what is missing, an array by its elements, and no regular expression as a
// pattern.
bool is_point(const Value& value) {
  switch (value.type()) {
    case Type::kMissing:
    case Type::kNull:
    case Type::kUndefined:
    case Type::kArray:
    case Type::kRegex:
      return false;
    default:
      return true;
  }
}

bool is_operator_object(const Value& value) {
  if (!value.is_object()) return false;
  auto fields = value.as_object();
  return !fields.empty() && fields.begin()->name().starts_with('$');
}

void add_condition(std::string_view path, const Value& condition, std::vector<Equality>* found,
                   bool* only) {
  if (!is_operator_object(condition)) {
    if (is_point(condition)) {
      found->push_back({path, {condition}});
    } else {
      *only = false;
    }
    return;
  }
  for (const auto& part : condition.as_object()) {
    if (part.has_name("$eq") && is_point(part.value)) {
      found->push_back({path, {part.value}});
    } else if (part.has_name("$in") && part.value.is_array()) {
      Equality any{path, {}};
      for (const Value& value : part.value.as_array()) any.values.push_back(value);
      if (std::all_of(any.values.begin(), any.values.end(), is_point)) {
        found->push_back(std::move(any));
      } else {
        *only = false;
      }
    } else {
      *only = false;
    }
  }
}

void add_clauses(const Value& filter, std::vector<Equality>* found, bool* only, int depth) {
  for (const auto& field : filter.as_object()) {
    if (!field.name().starts_with('$')) {
      add_condition(field.name(), field.value, found, only);
    } else if (field.has_name("$and") && field.value.is_array() && depth < 20) {
      for (const Value& clause : field.value.as_array()) {
        if (clause.is_object()) add_clauses(clause, found, only, depth + 1);
      }
    } else if (!field.has_name("$comment")) {
      *only = false;
    }
  }
}

const Equality* find_path(const std::vector<Equality>& equalities, std::string_view path) {
  for (const auto& equality : equalities) {
    if (equality.path == path) return &equality;
  }
  return nullptr;
}

// How many of the index's leading fields the equalities fix.
size_t bound_fields(const IndexInfo& index, const std::vector<Equality>& equalities) {
  size_t bound = 0;
  size_t points = 1;
  for (const auto& field : index.fields) {
    const Equality* equality = find_path(equalities, field.path);
    if (equality == nullptr) break;
    points *= std::max<size_t>(equality->values.size(), 1);
    if (points > kMaxPoints) break;
    ++bound;
  }
  return bound;
}

bool usable(const IndexInfo& index) {
  if (!index.has_entries || index.hidden || !index.partial_filter().is_missing()) return false;
  for (const auto& field : index.fields) {
    for (const auto& part : field.parts) {
      bool number = !part.empty() && std::all_of(part.begin(), part.end(),
                                                 [](char c) { return c >= '0' && c <= '9'; });
      if (number) return false;  // a position or a name: not decided here
    }
  }
  return true;
}

void make_prefixes(const IndexInfo& index, size_t bound, const std::vector<Equality>& equalities,
                   QueryPlan* plan) {
  plan->prefixes.assign(1, "");
  for (size_t i = 0; i < bound; ++i) {
    std::vector<std::string> longer;
    for (const auto& prefix : plan->prefixes) {
      for (const Value& value : find_path(equalities, index.fields[i].path)->values) {
        append_key_bytes(longer.emplace_back(prefix), value, index.fields[i].descending);
      }
    }
    plan->prefixes = std::move(longer);
  }
  std::sort(plan->prefixes.begin(), plan->prefixes.end());
  plan->prefixes.erase(std::unique(plan->prefixes.begin(), plan->prefixes.end()),
                       plan->prefixes.end());
}

// The index that a hint names; null for $natural, whose direction goes to the plan.
Result<const IndexInfo*> hinted_index(const Collection& collection, const Value& hint,
                                      QueryPlan* plan) {
  const IndexInfo* none = nullptr;
  if (hint.is_object() && hint.as_object().has("$natural")) {
    if (hint.as_object().size() > 1)
      return Status(ErrorCode::kBadValue, "Cannot include '$natural' in compound hint");
    plan->backward = hint.as_object().get("$natural").is_number() &&
                     hint.as_object().get("$natural").to_double() < 0;
    return none;
  }
  if (!hint.is_string() && !hint.is_object())
    return Status(ErrorCode::kFailedToParse, "Hint must be a string or an object");
  for (const auto& index : collection.indexes) {
    if (hint.is_string() ? index.name == hint.as_string() : engine::equal(index.key(), hint))
      return &index;
  }
  return Status(ErrorCode::kBadValue, "error processing query: ns=" + collection.ns() +
                                          ": planner returned error :: caused by :: hint provided "
                                          "does not correspond to an existing index");
}

}  // namespace

std::vector<Equality> find_equalities(const Value& filter, bool* only) {
  std::vector<Equality> found;
  *only = true;
  if (filter.is_object()) add_clauses(filter, &found, only, 0);
  return found;
}

Result<QueryPlan> plan_query(const Collection& collection, const Value& filter, const Value& hint) {
  QueryPlan plan;
  const IndexInfo* hinted = nullptr;
  bool empty_hint = hint.is_nullish() || (hint.is_object() && hint.as_object().empty());
  if (!empty_hint) {
    MR_ASSIGN_OR_RETURN(hinted, hinted_index(collection, hint, &plan));
    if (hinted == nullptr) return plan;
  }
  bool only = false;
  auto equalities = find_equalities(filter, &only);
  if (equalities.empty()) return plan;
  const IndexInfo* best = nullptr;
  size_t best_bound = 0;
  for (const auto& index : collection.indexes) {
    if (hinted != nullptr && hinted != &index) continue;
    if (!usable(index)) continue;
    size_t bound = bound_fields(index, equalities);
    if (bound == 0) continue;
    bool whole_unique = index.unique && bound == index.fields.size();
    bool better = best == nullptr ||
                  (whole_unique && !(best->unique && best_bound == best->fields.size())) ||
                  (bound > best_bound && !(best->unique && best_bound == best->fields.size()));
    if (better) best = &index, best_bound = bound;
  }
  if (best == nullptr) return plan;
  plan.kind = QueryPlan::Kind::kIndexPoints;
  plan.index = best;
  plan.whole_key = best_bound == best->fields.size();
  plan.exact = best->is_id() && only && equalities.size() == 1;
  make_prefixes(*best, best_bound, equalities, &plan);
  return plan;
}

const IndexInfo* index_on_path(const Collection& collection, std::string_view path) {
  for (const auto& index : collection.indexes) {
    const IndexField& first = index.fields.front();
    if (usable(index) && !index.sparse && first.path == path && !first.descending) return &index;
  }
  return nullptr;
}

}  // namespace millrace::commands
