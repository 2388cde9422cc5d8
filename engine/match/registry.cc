#include "engine/match/registry.h"

#include <cmath>
#include <unordered_map>

#include "engine/document/bson.h"
#include "engine/document/decimal.h"

namespace millrace::engine {
namespace {

// Names that the coverage list counts as query operators and that only mean something elsewhere: in
// an expression ($rand under $expr), in find's projection or hint.
// clang-format off
constexpr std::array kProjectionQueries = {
    QueryRow{"$ (projection)",          nullptr, nullptr, "projection/positional", true},
    QueryRow{"$elemMatch (projection)", nullptr, nullptr, "projection/elemMatch",  true},
    QueryRow{"$meta (projection)",      nullptr, nullptr, "aggregation/meta",      true},
    QueryRow{"$natural",                nullptr, nullptr, "meta/natural",          true},
    QueryRow{"$rand",                   nullptr, nullptr, "aggregation/rand",      true},
    QueryRow{"$slice (projection)",     nullptr, nullptr, "projection/slice",      true},
};
// clang-format on
static_assert(sorted_and_unique(kProjectionQueries));

bool is_dbref(const ObjectView& object) { return object.has("$ref") && object.has("$id"); }

Result<PredicatePtr> parse_clause(const Field& field, QueryParse& parse) {
  std::string_view name = field.name();
  bool dbref_part = !parse.whole_document && (name == "$ref" || name == "$id" || name == "$db");
  if (!name.empty() && name[0] == '$' && !dbref_part) {
    const QueryRow* row = find_query(name);
    if (row == nullptr || row->query == nullptr) {
      return Status(ErrorCode::kBadValue,
                    "unknown top level operator: " + std::string(name) +
                        ". $getField reaches a field whose name starts with a dollar sign.");
    }
    return row->query(name, field.value, parse);
  }
  MatchPath path(name, parse.context.names());
  if (is_operator_document(field.value)) {
    MR_ASSIGN_OR_RETURN(FieldCondition condition, parse_field_operators(name, field.value, parse));
    return make_path_predicate(path, std::move(condition));
  }
  MR_ASSIGN_OR_RETURN(FieldCondition condition, make_equality(field.value, parse));
  return make_path_predicate(path, std::move(condition));
}

}  // namespace

std::span<const QueryRow> projection_queries() { return kProjectionQueries; }

std::span<const std::span<const QueryRow>> query_families() {
  static const std::array kFamilies = {
      comparison_queries(), logical_queries(),     element_queries(),
      array_queries(),      evaluation_queries(),  bits_queries(),
      geo_queries(),        json_schema_queries(), projection_queries(),
  };
  return kFamilies;
}

const QueryRow* find_query(std::string_view name) {
  static const auto* const kByName = [] {
    auto* map = new std::unordered_map<std::string_view, const QueryRow*>;
    for (auto family : query_families()) {
      for (const QueryRow& row : family) map->emplace(row.name, &row);
    }
    return map;
  }();
  auto found = kByName->find(name);
  return found == kByName->end() ? nullptr : found->second;
}

bool is_operator_document(const Value& value) {
  if (!value.is_object()) return false;
  ObjectView object = value.as_object();
  if (object.empty()) return false;
  std::string_view first = object.begin()->name();
  return !first.empty() && first[0] == '$' && !is_dbref(object);
}

Status check_depth(const QueryParse& parse) {
  if (parse.depth <= kMaxNestingDepth) return {};
  return Status(ErrorCode::kBadValue, "the query is nested too deeply (limit 200)");
}

Result<PredicatePtr> parse_query(const Value& query, QueryParse& parse) {
  ++parse.depth;
  MR_RETURN_IF_ERROR(check_depth(parse));
  std::vector<PredicatePtr> clauses;
  for (const Field& field : query.as_object()) {
    MR_ASSIGN_OR_RETURN(PredicatePtr clause, parse_clause(field, parse));
    clauses.push_back(std::move(clause));
  }
  --parse.depth;
  return make_and(std::move(clauses));
}

Result<FieldCondition> parse_field_operators(std::string_view path, const Value& operators,
                                             QueryParse& parse) {
  ++parse.depth;
  MR_RETURN_IF_ERROR(check_depth(parse));
  FieldCondition conditions;
  for (const Field& field : operators.as_object()) {
    const QueryRow* row = find_query(field.name());
    bool known =
        row != nullptr && !row->argument_only && (row->field != nullptr || row->query == nullptr);
    if (!known)
      return Status(ErrorCode::kBadValue, "unknown operator: " + std::string(field.name()));
    if (row->field == nullptr) {
      return Status(ErrorCode::kNotImplemented, "Query operator " + std::string(field.name()) +
                                                    " is not supported by Millrace yet");
    }
    FieldOperator op{path, field.name(), field.value, operators.as_object()};
    MR_ASSIGN_OR_RETURN(auto condition, row->field(op, parse));
    if (condition) conditions.all.push_back(std::move(*condition));
  }
  --parse.depth;
  if (conditions.all.size() != 1) return conditions;
  FieldCondition only = std::move(conditions.all[0]);
  return only;
}

Result<int64_t> parse_integer(std::string_view what, const Value& value, ErrorCode code) {
  if (value.is_integer()) return value.integer_value();
  if (!value.is_number()) return Status(code, std::string(what) + " must be a number");
  if (value.is(Type::kDecimal)) {
    if (auto whole = decimal::to_int64_exact(value.as_decimal())) return *whole;
    return Status(code, std::string(what) + " must be an integer of 64 bits");
  }
  double d = value.as_double();
  if (d != std::trunc(d) || !(d >= -9223372036854775808.0 && d < 9223372036854775808.0)) {
    return Status(code, std::string(what) + " must be an integer of 64 bits");
  }
  return static_cast<int64_t>(d);
}

Result<PredicatePtr> parse_predicate(const Value& query, ParseContext& context,
                                     const MatchOptions& options) {
  if (!query.is_object()) return Status(ErrorCode::kFailedToParse, "a query must be a document");
  QueryParse parse{context, options};
  return parse_query(query, parse);
}

}  // namespace millrace::engine
