// What an update takes from its query: the fields of an upsert, the position that $ stands for.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "commands/local/mutable_document.h"
#include "commands/local/update.h"
#include "commands/local/update_path.h"

namespace millrace::commands {

using engine::Document;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

using FixedFields = std::map<std::string, Value, std::less<>>;

bool is_operator_object(const Value& value) {
  return value.is_object() && !value.as_object().empty() &&
         value.as_object().begin()->name().starts_with('$');
}

Status fix(std::string_view path, const Value& value, FixedFields* fields) {
  if (!fields->emplace(std::string(path), value).second) {
    return Status(ErrorCode::kNotSingleValueField, "cannot infer query fields to set, path '" +
                                                       std::string(path) + "' is matched twice");
  }
  return {};
}

Status collect(const Value& query, FixedFields* fields, int depth);

Status collect_condition(std::string_view path, const Value& condition, FixedFields* fields) {
  if (condition.is(Type::kRegex)) return {};
  if (!is_operator_object(condition)) return fix(path, condition, fields);
  for (const auto& part : condition.as_object()) {
    if (part.has_name("$eq")) MR_RETURN_IF_ERROR(fix(path, part.value, fields));
    bool one_of = (part.has_name("$in") || part.has_name("$all")) && part.value.is_array() &&
                  part.value.as_array().size() == 1;
    if (!one_of) continue;
    Value only = part.value.as_array().at(0);
    if (!only.is(Type::kRegex) && !is_operator_object(only))
      MR_RETURN_IF_ERROR(fix(path, only, fields));
  }
  return {};
}

Status collect(const Value& query, FixedFields* fields, int depth) {
  if (!query.is_object() || depth > 20) return {};
  for (const auto& field : query.as_object()) {
    if (!field.name().starts_with('$')) {
      MR_RETURN_IF_ERROR(collect_condition(field.name(), field.value, fields));
      continue;
    }
    bool all = field.has_name("$and") && field.value.is_array();
    bool only =
        field.has_name("$or") && field.value.is_array() && field.value.as_array().size() == 1;
    if (!all && !only) continue;
    for (Value clause : field.value.as_array())
      MR_RETURN_IF_ERROR(collect(clause, fields, depth + 1));
  }
  return {};
}

// One operator on one field of the query.
struct Clause {
  std::string_view path;
  Value condition;  // {$op: operand}, or the value that the field is to have
  int rank;
};

// The place of an operator where the server sorts the clauses of a query (6.0.5); those of one
// operator go by their paths.
int rank_of(const engine::Field& part) {
  constexpr std::array<std::string_view, 19> kOrder = {
      "$elemMatch",    "$size", "$eq",     "$lte", "$lt",         "$gt",           "$gte",
      "$regex",        "$mod",  "$exists", "$in",  "$bitsAllSet", "$bitsAllClear", "$bitsAnySet",
      "$bitsAnyClear", "$not",  "$ne",     "$nin", "$type"};
  std::string_view name = part.name();
  bool single = part.value.is_array() && part.value.as_array().size() == 1;
  if (name == "$all") name = "$eq";
  if (name == "$in" && single)
    name = part.value.as_array().at(0).is(Type::kRegex) ? "$regex" : "$eq";
  return static_cast<int>(std::find(kOrder.begin(), kOrder.end(), name) - kOrder.begin());
}

void add_clauses(const engine::Field& field, engine::Arena& arena, std::vector<Clause>* clauses) {
  const Value& condition = field.value;
  if (!is_operator_object(condition)) {
    engine::Field equality(condition.is(Type::kRegex) ? "$regex" : "$eq", condition);
    clauses->push_back({field.name(), condition, rank_of(equality)});
    return;
  }
  for (const auto& part : condition.as_object()) {
    if (part.has_name("$options")) continue;
    bool pattern = part.has_name("$regex");  // which has its options beside it
    engine::ObjectBuilder alone(arena, 1);
    alone.add(part.name(), part.value);
    clauses->push_back({field.name(), pattern ? condition : alone.finish(), rank_of(part)});
  }
}

// The clauses of the query on fields, as they are written.
void field_clauses(const Value& query, engine::Arena& arena, std::vector<Clause>* clauses,
                   int depth) {
  if (!query.is_object() || depth > 20) return;
  for (const auto& field : query.as_object()) {
    if (!field.name().starts_with('$')) {
      add_clauses(field, arena, clauses);
    } else if (field.value.is_array() && !field.has_name("$nor")) {
      for (Value clause : field.value.as_array()) field_clauses(clause, arena, clauses, depth + 1);
    }
  }
}

// The first array on a path of a document.
struct ArrayOnPath {
  Value array;             // missing when there is none
  std::string_view below;  // what is left of the path
};

ArrayOnPath first_array(const Value& document, std::string_view path) {
  Value at = document;
  while (!path.empty() && at.is_object()) {
    size_t dot = std::min(path.find('.'), path.size());
    at = at.as_object().get(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return {at.is_array() ? at : Value(), path};
}

// What an element of the array itself must satisfy. Missing when the condition is one of the whole
// array, or says what there is not: such a clause finds no element.
Value element_condition(const Value& condition, engine::Arena& arena) {
  Value tried = condition;
  if (!is_operator_object(condition)) {
    engine::ObjectBuilder equality(arena, 1);
    equality.add(condition.is(Type::kRegex) ? "$regex" : "$eq", condition);
    tried = equality.finish();
  }
  for (const auto& part : tried.as_object()) {
    for (std::string_view whole : {"$size", "$not", "$ne", "$nin"})
      if (part.has_name(whole)) return {};
    if (part.has_name("$elemMatch") || part.has_name("$all")) return condition;
  }
  engine::ObjectBuilder match(arena, 1);
  match.add("$elemMatch", tried);
  return match.finish();
}

}  // namespace

Result<Document> upsert_base(const Value& query, bool only_id) {
  FixedFields fields;
  if (only_id) {
    // A replacement brings its own fields: only _id counts, and a path below it makes none.
    Value id;
    FixedFields all;
    MR_RETURN_IF_ERROR(collect(query, &all, 0));
    if (auto at = all.find("_id"); at != all.end()) fields.insert(*at);
  } else {
    MR_RETURN_IF_ERROR(collect(query, &fields, 0));
  }
  for (auto at = fields.begin(); at != fields.end(); ++at) {
    for (auto other = fields.begin(); other != fields.end(); ++other) {
      if (other->first.size() > at->first.size() && other->first.starts_with(at->first) &&
          other->first[at->first.size()] == '.') {
        return Status(ErrorCode::kNotSingleValueField,
                      "cannot infer query fields to set, both paths '" + other->first + "' and '" +
                          at->first + "' are matched");
      }
    }
  }
  engine::Arena arena;
  MutableDocument document(Value::object({}));
  auto put = [&](const std::string& path, const Value& value) {
    MutableNode* node = &document.root();
    for (size_t start = 0;;) {
      size_t dot = std::min(path.find('.', start), path.size());
      std::string_view name = std::string_view(path).substr(start, dot - start);
      MutableNode* child = document.find(*node, name);
      if (child == nullptr) {
        child = &document.add(*node, arena.copy(name));
        child->set(Value::object({}));
      }
      node = child;
      if (dot == path.size()) break;
      start = dot + 1;
    }
    node->set(value);
  };
  for (const auto& [path, value] : fields) {
    if (path == "_id" || path.starts_with("_id.")) put(path, value);
  }
  for (const auto& [path, value] : fields) {
    if (path != "_id" && !path.starts_with("_id.")) put(path, value);
  }
  engine::BsonWriter writer;
  document.write(writer);
  return Document(writer.bytes());
}

// A clause is tried against the first array on its path, cut down to one of its elements: the first
// that satisfies it is the position. The last clause decides, whatever array it is on, as on the
// server.
Result<std::optional<size_t>> matched_position(const Value& query, const Value& document,
                                               ClauseOrder order, Evaluation& evaluation) {
  std::optional<size_t> position;
  Evaluation local(evaluation.clock());
  engine::Arena& constants = local.parse().constants();
  std::vector<Clause> clauses;
  field_clauses(query, constants, &clauses, 0);
  if (order == ClauseOrder::kSorted) {
    std::stable_sort(clauses.begin(), clauses.end(), [](const Clause& a, const Clause& b) {
      return std::tie(a.rank, a.path) < std::tie(b.rank, b.path);
    });
  }
  for (const Clause& clause : clauses) {
    auto [array, below] = first_array(document, clause.path);
    if (!array.is_array()) continue;
    Value condition =
        below.empty() ? element_condition(clause.condition, constants) : clause.condition;
    if (condition.is_missing()) continue;
    engine::ObjectBuilder wrapped(constants, 1);
    wrapped.add(constants.copy(below.empty() ? "array" : "array." + std::string(below)), condition);
    MR_ASSIGN_OR_RETURN(auto predicate, local.parse_predicate(wrapped.finish()));
    size_t index = 0;
    for (const Value& element : array.as_array()) {
      Value single = Value::array({&element, 1});
      engine::Field field("array", single);
      MR_ASSIGN_OR_RETURN(bool matches, local.matches(*predicate, Value::object({&field, 1})));
      if (matches) {
        position = index;
        break;
      }
      ++index;
    }
  }
  return position;
}

}  // namespace millrace::commands
