// The tables of query operators: one row per operator at the foot of its family's file; registry.cc
// lists the families.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "engine/match/match.h"
#include "engine/match/predicate.h"

namespace millrace::engine {

// What the parse functions share.
struct QueryParse {
  ParseContext& context;
  const MatchOptions& options;
  int depth = 0;               // levels of $and, $elemMatch, … so far
  bool whole_document = true;  // false inside $elemMatch, where $expr may not stand
};

// One operator of {<path>: {<name>: <operand>, …}}.
struct FieldOperator {
  std::string_view path;
  std::string_view name;
  Value operand;
  ObjectView siblings;  // the whole {$regex: …, $options: …}
};

// {$and: […]} and others that stand where a field name could.
using QueryFunction = Result<PredicatePtr> (*)(std::string_view name, const Value& operand,
                                               QueryParse& parse);
// nullopt: the operator adds no condition of its own ($options).
using FieldFunction = Result<std::optional<FieldCondition>> (*)(const FieldOperator& field,
                                                                QueryParse& parse);

struct QueryRow {
  std::string_view name;    // with the dollar, as the user types it
  QueryFunction query;      // at the place of a field name, or nullptr
  FieldFunction field;      // on a field, or nullptr; both nullptr: only an argument of other
                            // operators, or not supported
  std::string_view manual;  // page under https://www.mongodb.com/docs/manual/reference/operator/
  bool argument_only =
      false;  // not an operator by itself ($geometry inside $geoWithin): unknown anywhere else
};

template <size_t N>
constexpr bool sorted_and_unique(const std::array<QueryRow, N>& rows) {
  for (size_t i = 1; i < N; ++i) {
    if (!(rows[i - 1].name < rows[i].name)) return false;
  }
  return true;
}

std::span<const QueryRow> comparison_queries();
std::span<const QueryRow> logical_queries();
std::span<const QueryRow> element_queries();
std::span<const QueryRow> array_queries();
std::span<const QueryRow> evaluation_queries();
std::span<const QueryRow> bits_queries();
std::span<const QueryRow> geo_queries();
std::span<const QueryRow> json_schema_queries();
std::span<const QueryRow> projection_queries();

std::span<const std::span<const QueryRow>> query_families();

// The row of "$name", or nullptr.
const QueryRow* find_query(std::string_view name);

// Helpers for the parse functions.

// A whole query document: all its clauses must hold.
Result<PredicatePtr> parse_query(const Value& query, QueryParse& parse);
// True for {$operator: …, …}: a document that is not to be compared with as it stands. {$ref: …,
// $id: …} is a DBRef and a value.
bool is_operator_document(const Value& value);
// {$gt: 1, $lt: 5} as conditions that must all hold.
Result<FieldCondition> parse_field_operators(std::string_view path, const Value& operators,
                                             QueryParse& parse);
// {<path>: <value>}: equality, or a match for a regular expression.
Result<FieldCondition> make_equality(const Value& value, QueryParse& parse);
// Pattern and options as in {$regex: …, $options: …}.
Result<FieldCondition> make_regex_condition(std::string_view pattern, std::string_view options);
// Says that nesting has gone too deep, or that it is fine.
Status check_depth(const QueryParse& parse);

// The integer that a count or position is given as: an int, a long, or a double or decimal without
// fraction. Errors: `code` when it is no number, has a fraction, or is out of 64 bits.
Result<int64_t> parse_integer(std::string_view what, const Value& value, ErrorCode code);

}  // namespace millrace::engine
